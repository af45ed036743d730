"""Train, export and trace the networks of Mien."""

__version__ = "0.1.0"
