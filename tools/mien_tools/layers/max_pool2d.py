"""MaxPool2d."""

from mien_tools.layer import Call, Case, pair_of, pair_options
from mien_tools.pooling import Pooling2d, pooling_stride


class MaxPool2d(Pooling2d):
    kind = "MaxPool2d"
    plain_name = "max pooling"
    summary = "largest value under the window; the output size is rounded down"
    onnx = "MaxPool"
    cpp_names = ("Kernel", "MaxPool2d", "Padding", "Stride")

    def modules(self):
        return {
            "MaxPool2d": lambda call, module: _convert(
                call,
                module.kernel_size,
                module.stride,
                module.padding,
                module.dilation,
                module.ceil_mode,
                module.return_indices,
            )
        }

    def functions(self):
        return dict.fromkeys(("torch.nn.functional.max_pool2d", "torch.max_pool2d"), _convert)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        sizes = (pair_of(options, name) for name in ("kernel", "stride", "padding"))
        return functional.max_pool2d(inputs[0], *sizes)

    def cases(self):
        from torch import nn

        return [
            Case(nn.MaxPool2d(2), (3, 4, 6)),
            Case(nn.MaxPool2d(2), (17, 5, 7)),
            Case(nn.MaxPool2d(3, 2), (16, 7, 8)),
            Case(nn.MaxPool2d(3, 2, 1), (33, 6, 5)),
            Case(nn.MaxPool2d(3, 1, 1), (5, 1, 1)),
            Case(nn.MaxPool2d((2, 3)), (4, 5, 8)),
            Case(nn.MaxPool2d(1, 2), (8, 3, 4)),
            Case(nn.MaxPool2d(4, 3, 2), (2, 6, 6)),
        ]


def _convert(
    call: Call,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> dict[str, float]:
    call.require("dilation", (1, 1), call.pair("dilation", dilation))
    call.require("ceil_mode", False, ceil_mode)
    call.require("return_indices", False, return_indices)
    kernel = call.pair("kernel_size", kernel_size)
    return pair_options(kernel, pooling_stride(call, stride, kernel), call.pair("padding", padding))


RECORD = MaxPool2d()
