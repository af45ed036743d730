"""Mish."""

from mien_tools.activation import Activation


class Mish(Activation):
    kind = "Mish"
    plain_name = "Mish"
    summary = "x tanh(log(1 + e^x))"
    onnx = "Mish"
    cpp_names = ("Mish",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.mish(inputs[0])


RECORD = Mish()
