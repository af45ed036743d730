"""Shapes of tensors, for the tools that need no PyTorch as well."""

# Channels, height, width (None: any); or the dimensions of a tensor.
Shape = tuple[int | None, ...]


def shape_text(shape: Shape) -> str:
    """A shape for people: "64 x 40 x 40"."""
    return " x ".join("any" if size is None else str(size) for size in shape)
