"""Add: the sum of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic
from mien_tools.layer import Call, Case
from mien_tools.shapes import shape_text


class Add(Arithmetic):
    kind = "Add"
    plain_name = "an addition of two values"
    summary = "the sum of two values, or of one and a constant, that broadcast"
    onnx = "Add"
    cpp_names = ("Add", "AddConstant", "Identity", "Residual", "Reversed")

    def functions(self):
        return dict.fromkeys(
            ("operator.add", "operator.iadd", "torch.add", "Tensor.add", "Tensor.add_"), _convert
        )

    def combined(self, first, second):
        return first + second

    def cases(self):
        from torch import nn

        class Skip(nn.Sequential):
            def forward(self, x):
                return x + super().forward(x)

        return [
            Case(Skip(nn.ReLU()), (3, 4, 5)),
            Case(Skip(nn.MaxPool2d(3, 1, 1)), (17, 3, 1)),
            *super().cases(),
        ]


def _convert(call: Call, *others: object, alpha: float = 1) -> dict[str, float]:
    if len(call.input_shapes) != 2:
        raise call.fail(
            "the sum of two values computed from the images",
            f"+ {others[0]!r}" if others else "one",
        )
    call.require("alpha", 1, alpha)
    first, second = (shape[1:] for shape in call.input_shapes)
    if first != second:
        raise call.fail(
            "two values of the same shape", f"{shape_text(first)} and {shape_text(second)}"
        )
    return {}


RECORD = Add()
