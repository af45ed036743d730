"""Sigmoid."""

from mien_tools.activation import Activation


class Sigmoid(Activation):
    kind = "Sigmoid"
    plain_name = "sigmoid"
    summary = "1 / (1 + e^-x)"
    onnx = "Sigmoid"
    cpp_names = ("Sigmoid",)

    def reference(self, options, inputs, tensors):
        return inputs[0].sigmoid()


RECORD = Sigmoid()
