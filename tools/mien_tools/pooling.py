"""What the records of max and average pooling share."""

from mien_tools.layer import (
    OTHER_SIDES,
    Case,
    Layer,
    LayerError,
    Option,
    Pair,
    cpp_pair,
    cpp_window,
    pair_of,
    sides,
    slide,
)
from mien_tools.onnx_windows import pair, window

WINDOW = (
    Option("kernel_height"),
    Option("kernel_width"),
    Option("stride_y", "kernel_height"),
    Option("stride_x", "kernel_width"),
    Option("padding_y", 0, least=0),
    Option("padding_x", 0, least=0),
    *OTHER_SIDES,
)
CEIL_MODE = Option("ceil_mode", 0, least=0, most=1)


class Pooling2d(Layer):
    """One value for every place of a sliding window."""

    def check(self, options):
        for axis, letter in (("height", "y"), ("width", "x")):
            extent = (options[f"kernel_{axis}"] - 1) * options.get(f"dilation_{letter}", 1) + 1
            for padding in sides(options, letter):
                if padding >= extent:
                    raise LayerError(
                        f"option padding: expected less than the kernel of {extent}, "
                        f"found {padding}"
                    )

    def output_shape(self, options, inputs):
        return (inputs[0][0], *slide(options, inputs[0]))

    def cpp(self, options):
        arguments = cpp_window(options, pair_of(options, "kernel"))
        if options["ceil_mode"]:
            arguments.append("CeilMode")
        return f"{self.kind}<{', '.join([*arguments, *self.other_cpp(options)])}>"

    def other_cpp(self, options) -> list[str]:
        """Arguments in C++ that only this pooling has."""
        return []

    def of_onnx(self, node, **others: float):
        value = node.value(0)
        options = window(node, pair(node, "kernel_shape", None), value.shape)
        options |= {"ceil_mode": node.attribute("ceil_mode", 0)} | others
        return node.make(self, options, [value])


def padded(options, image, filling: float):
    """An image with padding around it, as far as the windows reach."""
    from torch.nn import functional

    (top, bottom), (left, right) = sides(options, "y"), sides(options, "x")
    return reached(
        options, functional.pad(image, (left, right, top, bottom), value=filling), image, filling
    )


def reached(options, padded_image, image, filling: float):
    """A padded image as far as the windows on the image reach, which may be beyond its padding."""
    from torch.nn import functional

    places = slide(options, image.shape[1:])
    height, width = (reach(options, *axis) for axis in zip("yx", places, strict=True))
    missing = (max(width - padded_image.shape[3], 0), max(height - padded_image.shape[2], 0))
    whole = functional.pad(padded_image, (0, missing[0], 0, missing[1]), value=filling)
    return whole[:, :, :height, :width]


def reach(options, letter: str, places: int) -> int:
    """Rows or columns from the first window's beginning to the last one's end."""
    kernel = options["kernel_height" if letter == "y" else "kernel_width"]
    extent = (kernel - 1) * options.get(f"dilation_{letter}", 1) + 1
    return (places - 1) * options[f"stride_{letter}"] + extent


class AdaptivePooling2d(Layer):
    """One value for each of the windows that make an output of a given size."""

    options = (Option("out_height"), Option("out_width"))

    def operators(self):
        size = {"out_height": 1, "out_width": 1}
        return {self.onnx: lambda node: node.make(self, size)}

    def size(self, options) -> Pair:
        return options["out_height"], options["out_width"]

    def output_shape(self, options, inputs):
        return (inputs[0][0], *self.size(options))

    def cpp(self, options):
        return cpp_pair(self.kind, self.size(options))

    def cases(self):
        sizes = (
            ((1, 1), (3, 5, 4)),
            ((1, 1), (70, 7, 7)),
            ((1, 1), (33, 1, 1)),
            ((2, 3), (4, 4, 6)),
            ((3, 2), (17, 7, 5)),
            ((5, 7), (3, 3, 4)),
        )
        return [
            Case({"out_height": height, "out_width": width}, shape)
            for (height, width), shape in sizes
        ]
