"""ReLU."""

from mien_tools.activation import Activation
from mien_tools.layer import Case


class ReLU(Activation):
    kind = "ReLU"
    plain_name = "ReLU"
    summary = "max(0, x)"
    onnx = "Relu"
    cpp_names = ("ReLU",)

    def reference(self, options, inputs, tensors):
        return inputs[0].relu()

    def cases(self):
        from torch import nn

        return [Case(nn.ReLU(), (3, 4, 5))]


RECORD = ReLU()
