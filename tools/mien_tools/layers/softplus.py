"""Softplus."""

from mien_tools.activation import Activation


class Softplus(Activation):
    kind = "Softplus"
    plain_name = "softplus"
    summary = "log(1 + e^x)"
    onnx = "Softplus"
    cpp_names = ("Softplus",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.softplus(inputs[0], threshold=100)


RECORD = Softplus()
