"""ConvTranspose2d."""

import math

from mien_tools.convolution import Convolution2d
from mien_tools.layer import (
    DILATION,
    OTHER_SIDES,
    Case,
    LayerError,
    Option,
    cpp_pair,
    cpp_window,
    is_symmetric,
    pair_of,
    require_shape,
    sides,
)
from mien_tools.onnx_windows import transposed_window
from mien_tools.shapes import shape_text

_LARGEST_STRIDE = 64


class ConvTranspose2d(Convolution2d):
    kind = "ConvTranspose2d"
    plain_name = "transposed convolution"
    summary = "transposed convolution (the gradient of a convolution), in groups"
    onnx = "ConvTranspose"
    options = (
        Option("in_channels"),
        Option("out_channels"),
        Option("kernel_height"),
        Option("kernel_width"),
        Option("stride_y", 1, most=_LARGEST_STRIDE),
        Option("stride_x", 1, most=_LARGEST_STRIDE),
        Option("padding_y", 0, least=0),
        Option("padding_x", 0, least=0),
        *OTHER_SIDES,
        Option("output_padding_y", 0, least=0),
        Option("output_padding_x", 0, least=0),
        Option("groups", 1),
        Option("bias", 1, least=0, most=1),
        *DILATION,
    )
    cpp_names = (
        *("ConvTranspose2d", "Dilation", "Groups", "Kernel"),
        *("NoBias", "OutputPadding", "Padding", "Stride"),
    )

    def channels(self, first, second, groups):
        return first, second * groups

    def weight_channels(self, options):
        return options["in_channels"], options["out_channels"] // options["groups"]

    def window(self, node, kernel, size):
        return transposed_window(node, kernel, size)

    def check(self, options):
        super().check(options)
        for letter, extent in zip("yx", _extents(options), strict=True):
            for padding in sides(options, letter):
                if padding >= extent:
                    raise LayerError(
                        f"option padding: expected less than the kernel of {extent}, "
                        f"found {padding}"
                    )
            allowed = max(options[f"stride_{letter}"], options[f"dilation_{letter}"])
            if options[f"output_padding_{letter}"] >= allowed:
                raise LayerError(
                    f"option output_padding_{letter}: expected less than the stride or dilation, "
                    f"{allowed}, found {options[f'output_padding_{letter}']}"
                )

    def output_shape(self, options, inputs):
        require_shape(inputs[0], options["in_channels"])
        size = []
        for letter, extent, length in zip("yx", _extents(options), inputs[0][1:], strict=True):
            if length is None:
                size.append(None)
                continue
            whole = (length - 1) * options[f"stride_{letter}"] + extent
            size.append(whole + options[f"output_padding_{letter}"] - sum(sides(options, letter)))
            if size[-1] < 1:
                raise LayerError(
                    f"input: expected more pixels than padding takes away, found "
                    f"{shape_text(inputs[0])}"
                )
        return (options["out_channels"], *size)

    def multiply_adds(self, options, inputs, output):
        return math.prod(inputs[0][1:]) * math.prod(self.tensor_shapes(options)["weight"])

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        weight, bias = (*tensors, None)[:2]
        stride, output_padding, dilation = (
            pair_of(options, name) for name in ("stride", "output_padding", "dilation")
        )
        padding = pair_of(options, "padding") if is_symmetric(options) else (0, 0)
        whole = functional.conv_transpose2d(
            inputs[0], weight, bias, stride, padding, output_padding, options["groups"], dilation
        )
        if is_symmetric(options):
            return whole
        (top, bottom), (left, right) = sides(options, "y"), sides(options, "x")
        return whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]

    def cpp(self, options):
        arguments = cpp_window(options, (1, 1))
        if pair_of(options, "output_padding") != (0, 0):
            arguments.append(cpp_pair("OutputPadding", pair_of(options, "output_padding")))
        if options["groups"] != 1:
            arguments.append(f"Groups<{options['groups']}>")
        if not options["bias"]:
            arguments.append("NoBias")
        channels = f"{options['in_channels']}, {options['out_channels']}"
        return f"ConvTranspose2d<{channels}, {', '.join(arguments)}>"

    def cases(self):
        def case(in_channels, out_channels, kernel, stride, height, width, **others):
            sizes = {"kernel_height": kernel, "kernel_width": kernel}
            strides = {"stride_y": stride, "stride_x": stride}
            if "padding" in others:
                padding = others.pop("padding")
                others |= {"padding_y": padding, "padding_x": padding}
            channels = {"in_channels": in_channels, "out_channels": out_channels}
            return Case(channels | sizes | strides | others, (in_channels, height, width))

        return [
            case(1, 1, 1, 1, 1, 1),
            case(3, 5, 2, 2, 4, 3),
            case(17, 33, 2, 2, 3, 4, bias=0),
            case(4, 6, 4, 2, 5, 4, padding=1),
            case(3, 16, 3, 1, 4, 5),
            case(3, 4, 3, 1, 4, 5, padding=1),
            case(3, 4, 3, 2, 3, 4, padding=1, output_padding_y=1, output_padding_x=1),
            case(3, 4, 3, 2, 3, 4, padding=2),
            case(2, 3, 3, 2, 3, 2, output_padding_x=1),
            # Some outputs see the bias alone.
            case(2, 3, 1, 2, 3, 2),
            case(2, 3, 2, 3, 3, 2, output_padding_y=2),
            case(2, 3, 5, 3, 4, 3, padding=2),
            case(2, 3, 8, 4, 3, 3, padding=2),
            case(2, 3, 3, 2, 4, 3, dilation_y=2, dilation_x=3, padding=1),
            case(2, 3, 2, 4, 3, 3, dilation_y=2, dilation_x=6, padding=2),
            case(6, 4, 3, 2, 3, 3, groups=2, padding=1),
            case(5, 5, 4, 2, 3, 3, groups=5, padding=1, bias=0),
            case(17, 17, 3, 2, 3, 4, groups=17, padding=1),
            case(3, 4, 3, 2, 3, 4, padding_bottom=1, padding_right=2),
            case(3, 4, 4, 2, 3, 4, padding=2, padding_bottom=1, padding_right=0),
            Case(
                {"in_channels": 3, "out_channels": 4, "kernel_height": 3, "kernel_width": 2}
                | {"stride_y": 1, "stride_x": 2, "padding_y": 1},
                (3, 4, 5),
            ),
            case(16, 16, 3, 1, 7, 6, padding=1),
            case(16, 16, 6, 2, 6, 7, padding=2),
        ]


def _extents(options) -> tuple[int, int]:
    pairs = zip(pair_of(options, "kernel"), pair_of(options, "dilation"), strict=True)
    return tuple((kernel - 1) * dilation + 1 for kernel, dilation in pairs)


RECORD = ConvTranspose2d()
