"""Tanh."""

from mien_tools.activation import Activation


class Tanh(Activation):
    kind = "Tanh"
    plain_name = "hyperbolic tangent"
    summary = "tanh(x)"
    onnx = "Tanh"
    cpp_names = ("Tanh",)

    def reference(self, options, inputs, tensors):
        return inputs[0].tanh()


RECORD = Tanh()
