"""Conv2d; in C++ also DepthwiseConv2d, which is the same with as many groups as channels."""

import math

from mien_tools.convolution import Convolution2d
from mien_tools.layer import (
    DILATION,
    OTHER_SIDES,
    Case,
    Option,
    cpp_window,
    pair_of,
    require_shape,
    sides,
    slide,
)
from mien_tools.onnx_windows import window


class Conv2d(Convolution2d):
    kind = "Conv2d"
    plain_name = "convolution"
    summary = "convolution with zero padding, in groups, with or without a bias"
    onnx = "Conv"
    options = (
        Option("in_channels"),
        Option("out_channels"),
        Option("kernel_height"),
        Option("kernel_width"),
        Option("stride_y", 1),
        Option("stride_x", 1),
        Option("padding_y", 0, least=0),
        Option("padding_x", 0, least=0),
        Option("groups", 1),
        Option("bias", 1, least=0, most=1),
        *OTHER_SIDES,
        *DILATION,
    )
    cpp_names = (
        *("Conv2d", "DepthwiseConv2d", "Dilation"),
        *("Groups", "Kernel", "NoBias", "Padding", "Stride"),
    )

    def channels(self, first, second, groups):
        return second * groups, first

    def weight_channels(self, options):
        return options["out_channels"], options["in_channels"] // options["groups"]

    def window(self, node, kernel, size):
        return window(node, kernel, size)

    def output_shape(self, options, inputs):
        require_shape(inputs[0], options["in_channels"])
        return (options["out_channels"], *slide(options, inputs[0]))

    def multiply_adds(self, options, inputs, output):
        return math.prod(output) * math.prod(self.tensor_shapes(options)["weight"][1:])

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.conv2d(
            functional.pad(inputs[0], (*sides(options, "x"), *sides(options, "y"))),
            *tensors,
            stride=pair_of(options, "stride"),
            dilation=pair_of(options, "dilation"),
            groups=options["groups"],
        )

    def cpp(self, options):
        channels, groups = options["in_channels"], options["groups"]
        is_depthwise = groups == channels == options["out_channels"] and groups > 1
        arguments = cpp_window(options, (1, 1))
        if groups != 1 and not is_depthwise:
            arguments.append(f"Groups<{groups}>")
        if not options["bias"]:
            arguments.append("NoBias")
        rest = ", ".join(arguments)
        if is_depthwise:
            return f"DepthwiseConv2d<{channels}, {rest}>"
        return f"Conv2d<{channels}, {options['out_channels']}, {rest}>"

    def cases(self):
        from torch import nn

        def options(in_channels, out_channels, kernel, **others):
            sizes = {"kernel_height": kernel, "kernel_width": kernel}
            return {"in_channels": in_channels, "out_channels": out_channels} | sizes | others

        def depthwise(channels, kernel, stride, padding, height, width):
            # Options with their defaults, too, in C++.
            return Case(
                nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels),
                (channels, height, width),
                f"DepthwiseConv2d<{channels}, Kernel<{kernel}>, Stride<{stride}>, "
                f"Padding<{padding}>>",
            )

        return [
            Case(nn.Conv2d(1, 1, 1), (1, 1, 1)),
            Case(nn.Conv2d(3, 17, 1), (3, 1, 1)),
            Case(nn.Conv2d(17, 33, 1, bias=False), (17, 3, 3)),
            Case(nn.Conv2d(33, 16, 1), (33, 5, 5)),
            Case(nn.Conv2d(64, 20, 1), (64, 9, 9)),
            Case(nn.Conv2d(5, 9, 1, 2), (5, 7, 8)),
            Case(nn.Conv2d(3, 5, 1, 1, 1), (3, 2, 3)),
            Case(nn.Conv2d(4, 6, 2), (4, 5, 6)),
            Case(nn.Conv2d(1, 4, 3), (1, 5, 5)),
            Case(nn.Conv2d(3, 5, 3), (3, 3, 3)),
            Case(nn.Conv2d(3, 5, 3, 1, 1), (3, 7, 9)),
            Case(nn.Conv2d(2, 3, 3, 1, 2), (2, 4, 5)),
            Case(nn.Conv2d(2, 3, 3, 1, 3), (2, 4, 5)),
            Case(nn.Conv2d(3, 40, 3, 1, 1), (3, 1, 1)),
            Case(nn.Conv2d(5, 7, 3, 2), (5, 9, 8)),
            Case(
                nn.Conv2d(5, 7, 3, 2, 1),
                (5, 9, 8),
                "Conv2d<5, 7, Stride<2>, Padding<1>, Kernel<3>>",
            ),
            Case(nn.Conv2d(2, 8, 3, 3, 1), (2, 11, 10)),
            Case(nn.Conv2d(16, 31, 3, 1, 1), (16, 6, 5)),
            Case(nn.Conv2d(1, 64, 3, 1, 1), (1, 10, 10)),
            Case(nn.Conv2d(5, 32, 3, 1, 1), (5, 4, 37)),
            Case(nn.Conv2d(7, 35, 3, 1, 1), (7, 5, 13)),
            Case(
                nn.Conv2d(4, 6, 4, 2, 2),
                (4, 7, 7),
                "Conv2d<4, 6, Kernel<4>, Padding<2>, Stride<2>>",
            ),
            Case(nn.Conv2d(4, 6, 5, 1, 1), (4, 9, 9)),
            Case(nn.Conv2d(4, 6, 5, 1, 2), (4, 8, 7)),
            Case(nn.Conv2d(8, 33, 5, 1, 1), (8, 10, 10)),
            Case(nn.Conv2d(1, 3, 7, 2, 3), (1, 13, 11)),
            Case(nn.Conv2d(1, 5, 11, 4), (1, 27, 23)),
            Case(nn.Conv2d(2, 5, (3, 5), 1, (1, 2)), (2, 6, 8)),
            Case(nn.Conv2d(3, 4, (1, 3), (1, 2), (0, 1)), (3, 5, 6)),
            Case(nn.Conv2d(6, 9, 3, 1, 1, groups=3), (6, 5, 7)),
            Case(nn.Conv2d(4, 8, 3, 2, 1, groups=2), (4, 7, 6)),
            Case(nn.Conv2d(4, 8, 3, groups=4, bias=False), (4, 5, 5)),
            Case(nn.Conv2d(34, 66, 1, groups=2), (34, 2, 3)),
            Case(nn.Conv2d(12, 20, 5, 1, 2, groups=2), (12, 9, 8)),
            Case(nn.Conv2d(48, 48, 3, 1, 1, groups=3), (48, 10, 11)),
            Case(
                nn.Conv2d(1, 1, 3, 1, 1),
                (1, 5, 4),
                "DepthwiseConv2d<1, Kernel<3>, Stride<1>, Padding<1>>",
            ),
            depthwise(2, 3, 1, 1, 1, 1),
            depthwise(3, 3, 1, 0, 3, 5),
            depthwise(7, 3, 2, 1, 6, 7),
            depthwise(8, 5, 1, 2, 6, 6),
            depthwise(15, 3, 1, 1, 4, 3),
            depthwise(16, 3, 1, 1, 9, 9),
            depthwise(17, 3, 3, 1, 8, 9),
            depthwise(33, 3, 1, 2, 3, 3),
            depthwise(40, 1, 1, 0, 2, 2),
            depthwise(5, 2, 2, 0, 7, 5),
            depthwise(3, 3, 1, 3, 2, 2),
            Case(nn.Conv2d(6, 6, 3, groups=6, bias=False), (6, 4, 4)),
            Case(options(3, 5, 3, dilation_y=2, dilation_x=2), (3, 7, 8)),
            Case(
                options(3, 18, 3, padding_y=2, padding_x=3, dilation_y=2, dilation_x=3, bias=0),
                (3, 5, 6),
            ),
            Case(options(4, 6, 3, stride_y=2, dilation_x=2, groups=2, padding_x=1), (4, 7, 6)),
            Case(
                options(17, 17, 3, padding_y=2, padding_x=2, dilation_y=2, dilation_x=2, groups=17),
                (17, 6, 5),
            ),
            Case(options(2, 3, 3, padding_y=5, padding_x=5, dilation_y=4, dilation_x=4), (2, 2, 1)),
            # As auto_pad of ONNX and TensorFlow pads an even size with stride 2.
            Case(
                options(3, 16, 3, stride_y=2, stride_x=2, padding_bottom=1, padding_right=1),
                (3, 8, 6),
            ),
            Case(options(16, 16, 4, padding_y=1, padding_x=2, padding_bottom=2), (16, 9, 8)),
            Case(options(16, 16, 3, padding_bottom=2, padding_right=2), (16, 9, 12)),
            Case(options(5, 5, 3, padding_y=1, padding_x=1, padding_right=0, groups=5), (5, 4, 5)),
            Case(
                options(33, 33, 3, padding_y=1, padding_x=1, padding_bottom=2, groups=33),
                (33, 3, 4),
            ),
            Case(options(3, 4, 1, padding_right=2), (3, 2, 3)),
        ]


RECORD = Conv2d()
