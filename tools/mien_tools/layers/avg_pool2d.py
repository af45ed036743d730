"""AvgPool2d."""

import math

import numpy as np

from mien_tools.layer import Case, Option, is_symmetric, pair_of, pair_options, sides
from mien_tools.layers.conv2d import RECORD as CONV2D
from mien_tools.onnx_windows import pair, window
from mien_tools.pooling import CEIL_MODE, WINDOW, Pooling2d, padded, reached


class AvgPool2d(Pooling2d):
    kind = "AvgPool2d"
    plain_name = "average pooling"
    summary = (
        "mean under the window, padding counted as zeros or not (`count_include_pad`); the output "
        "size is rounded down, or up (`ceil_mode`)"
    )
    onnx = "AveragePool"
    options = (*WINDOW, CEIL_MODE, Option("count_include_pad", 1, least=0, most=1))
    cpp_names = ("AvgPool2d", "CeilMode", "ExcludePadding", "Kernel", "Padding", "Stride")

    def operators(self):
        return {"AveragePool": self._of_onnx}

    def _of_onnx(self, node):
        # Without padding both ways count the same.
        has_padding = any(node.attribute("pads", [0])) or "SAME" in node.attribute("auto_pad", "")
        counts = node.attribute("count_include_pad", 0) if has_padding else 1
        dilations = node.attribute("dilations", [1])
        if set(dilations) == {1}:
            return self.of_onnx(node, count_include_pad=counts)
        if not counts or (node.attribute("ceil_mode", 0) and set(node.attribute("strides")) != {1}):
            raise node.fail("dilations of 1 with padding or ceil_mode", f"dilations={dilations}")
        return self._dilated(node)

    def _dilated(self, node):
        """A depthwise convolution whose weights are all the same."""
        value, kernel = node.value(0), pair(node, "kernel_shape", None)
        channels = value.shape[0]
        options = window(node, kernel, value.shape)
        options |= {"in_channels": channels, "out_channels": channels, "groups": channels}
        weight = np.full((channels, 1, *kernel), 1 / math.prod(kernel))
        return node.make(
            CONV2D, options | {"bias": 0}, [value], [node.new_tensor("weight", weight)]
        )

    def other_cpp(self, options):
        return [] if options["count_include_pad"] else ["ExcludePadding"]

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        kernel, stride, padding = (
            pair_of(options, name) for name in ("kernel", "stride", "padding")
        )
        is_small = all(2 * p <= k for p, k in zip(padding, kernel, strict=True))
        if is_symmetric(options) and is_small:
            ceil_mode, counts = bool(options["ceil_mode"]), bool(options["count_include_pad"])
            return functional.avg_pool2d(inputs[0], kernel, stride, padding, ceil_mode, counts)
        # A mean is a sum of pixels by a sum of those that count.
        ones = functional.pad(
            inputs[0].new_ones(inputs[0].shape),
            (*sides(options, "x"), *sides(options, "y")),
            value=float(options["count_include_pad"]),
        )
        counted = reached(options, ones, inputs[0], 0.0)
        sums = functional.avg_pool2d(padded(options, inputs[0], 0.0), kernel, stride)
        return sums / functional.avg_pool2d(counted, kernel, stride)

    def cases(self):
        from torch import nn

        def window(kernel, padding=0, **others):
            stride = others.pop("stride", kernel)
            return pair_options((kernel,) * 2, (stride,) * 2, (padding,) * 2) | others

        return [
            Case(nn.AvgPool2d(2), (3, 4, 6)),
            Case(nn.AvgPool2d(2), (17, 5, 7)),
            Case(nn.AvgPool2d(3, 2), (16, 7, 8)),
            Case(nn.AvgPool2d(3, 2, 1), (33, 6, 5)),
            Case(nn.AvgPool2d(3, 1, 1), (5, 1, 1)),
            Case(nn.AvgPool2d((2, 3), None, (0, 1)), (4, 5, 8)),
            Case(nn.AvgPool2d(1, 2), (8, 3, 4)),
            Case(nn.AvgPool2d(4, 3, 2), (2, 6, 6)),
            Case(nn.AvgPool2d(6), (40, 6, 6)),
            Case(window(3, stride=2, ceil_mode=1), (17, 8, 7)),
            Case(window(3, stride=2, padding=1, ceil_mode=1), (4, 6, 5)),
            Case(window(3, stride=2, padding=1, ceil_mode=1, count_include_pad=0), (33, 6, 5)),
            Case(window(3, stride=1, padding=1, count_include_pad=0), (16, 4, 5)),
            Case(window(5, stride=2, padding=2, count_include_pad=0), (3, 1, 2)),
            Case(window(2, stride=3, ceil_mode=1), (2, 4, 6)),
            Case(window(3, stride=2, padding_bottom=1, padding_right=1), (9, 8, 6)),
            Case(
                window(3, stride=2, padding_bottom=1, padding_right=1, count_include_pad=0),
                (9, 8, 6),
            ),
            Case(window(3, stride=1, padding=2, padding_bottom=0), (4, 4, 5)),
            Case(window(3, stride=3, padding=2, padding_right=0, ceil_mode=1), (4, 9, 10)),
        ]


RECORD = AvgPool2d()
