"""AvgPool2d."""

from mien_tools.layer import Call, Case, pair_of, pair_options
from mien_tools.pooling import Pooling2d, pooling_stride
from mien_tools.shapes import shape_text


class AvgPool2d(Pooling2d):
    kind = "AvgPool2d"
    plain_name = "average pooling"
    summary = "mean under the window, padding counted as zeros; the output size is rounded down"
    onnx = "AveragePool"
    cpp_names = ("AvgPool2d", "Kernel", "Padding", "Stride")

    def modules(self):
        return {
            "AvgPool2d": lambda call, module: _convert(
                call,
                module.kernel_size,
                module.stride,
                module.padding,
                module.ceil_mode,
                module.count_include_pad,
                module.divisor_override,
            ),
            "AdaptiveAvgPool2d": lambda call, module: _adaptive(call, module.output_size),
        }

    def functions(self):
        return {
            "torch.nn.functional.avg_pool2d": _convert,
            "torch.nn.functional.adaptive_avg_pool2d": _adaptive,
        }

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        sizes = (pair_of(options, name) for name in ("kernel", "stride", "padding"))
        return functional.avg_pool2d(inputs[0], *sizes)

    def cases(self):
        from torch import nn

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
        ]


def _convert(
    call: Call,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> dict[str, float]:
    call.require("ceil_mode", False, ceil_mode)
    call.require("divisor_override", None, divisor_override)
    kernel = call.pair("kernel_size", kernel_size)
    padding = call.pair("padding", padding)
    if padding != (0, 0):
        call.require("count_include_pad", True, count_include_pad)
    return pair_options(kernel, pooling_stride(call, stride, kernel), padding)


def _adaptive(call: Call, output_size: int | tuple[int | None, ...]) -> dict[str, float]:
    """Judged by its output: windows are equal where it divides the input."""
    sizes, wanted = call.input_shape[2:], call.output_shape[2:]
    if any(size % want for size, want in zip(sizes, wanted, strict=True)):
        raise call.fail(
            f"an output that divides {shape_text(sizes)}", f"output_size={output_size!r}"
        )
    kernel = tuple(size // want for size, want in zip(sizes, wanted, strict=True))
    return pair_options(kernel, kernel, (0, 0))


RECORD = AvgPool2d()
