"""Shapes of tensors, for the tools that need no PyTorch as well."""

# Channels, height, width; or the number of features of a flat vector.
Shape = tuple[int, ...]


def shape_text(shape: Shape) -> str:
    """A shape for people: "64 x 40 x 40"."""
    return " x ".join(str(size) for size in shape)
