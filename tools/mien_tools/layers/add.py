"""Add: the sum of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic
from mien_tools.layer import Case


class Add(Arithmetic):
    kind = "Add"
    plain_name = "an addition of two values"
    summary = "the sum of two values, or of one and a constant, that broadcast"
    onnx = "Add"
    cpp_names = ("Add", "AddConstant", "Identity", "Residual", "Reversed")

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


RECORD = Add()
