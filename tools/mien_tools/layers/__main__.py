"""Prints the table of layers."""

from mien_tools.layers import LAYERS, table

if __name__ == "__main__":
    print(table(LAYERS.values()))
