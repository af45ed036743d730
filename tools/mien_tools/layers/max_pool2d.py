"""MaxPool2d."""

import math

from mien_tools.layer import DILATION, Case, is_symmetric, pair_of, pair_options
from mien_tools.pooling import CEIL_MODE, WINDOW, Pooling2d, padded


class MaxPool2d(Pooling2d):
    kind = "MaxPool2d"
    plain_name = "max pooling"
    summary = "largest value under the window; the output size is rounded down, or up (`ceil_mode`)"
    onnx = "MaxPool"
    options = (*WINDOW, *DILATION, CEIL_MODE)
    cpp_names = ("CeilMode", "Dilation", "Kernel", "MaxPool2d", "Padding", "Stride")

    def operators(self):
        return {"MaxPool": self._of_onnx}

    def _of_onnx(self, node):
        if node.attribute("storage_order", 0) or len(node.proto.output) > 1:
            raise node.fail("max pooling without indices", "indices")
        return self.of_onnx(node)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        kernel, stride, padding, dilation = (
            pair_of(options, name) for name in ("kernel", "stride", "padding", "dilation")
        )
        is_small = all(2 * p <= k for p, k in zip(padding, kernel, strict=True))
        if is_symmetric(options) and is_small:
            ceil_mode = bool(options["ceil_mode"])
            return functional.max_pool2d(inputs[0], kernel, stride, padding, dilation, ceil_mode)
        image = padded(options, inputs[0], -math.inf)
        return functional.max_pool2d(image, kernel, stride, 0, dilation)

    def cases(self):
        from torch import nn

        def window(kernel, padding=0, **others):
            stride = others.pop("stride", kernel)
            return pair_options((kernel,) * 2, (stride,) * 2, (padding,) * 2) | others

        return [
            Case(nn.MaxPool2d(2), (3, 4, 6)),
            Case(nn.MaxPool2d(2), (17, 5, 7)),
            Case(nn.MaxPool2d(3, 2), (16, 7, 8)),
            Case(nn.MaxPool2d(3, 2, 1), (33, 6, 5)),
            Case(nn.MaxPool2d(3, 1, 1), (5, 1, 1)),
            Case(nn.MaxPool2d((2, 3)), (4, 5, 8)),
            Case(nn.MaxPool2d(1, 2), (8, 3, 4)),
            Case(nn.MaxPool2d(4, 3, 2), (2, 6, 6)),
            Case(window(3, stride=2, ceil_mode=1), (17, 8, 7)),
            Case(window(2, ceil_mode=1), (3, 5, 6)),
            Case(window(3, stride=3, padding=1, ceil_mode=1), (2, 8, 5)),
            Case(window(2, stride=3, ceil_mode=1), (2, 4, 6)),
            Case(window(3, stride=2, ceil_mode=1), (2, 2, 2)),
            Case(window(3, stride=1, dilation_y=2, dilation_x=2), (16, 7, 6)),
            Case(window(3, stride=2, padding=1, dilation_y=1, dilation_x=3), (5, 6, 9)),
            # A window between whose taps the image lies.
            Case(window(2, stride=1, padding=1, dilation_y=2, dilation_x=2), (3, 2, 2)),
            Case(window(3, stride=2, padding_bottom=1, padding_right=1), (33, 8, 6)),
            Case(window(3, stride=1, padding=2, padding_bottom=0), (4, 4, 5)),
            Case(window(4, stride=2, padding_right=3, ceil_mode=1), (4, 6, 5)),
        ]


RECORD = MaxPool2d()
