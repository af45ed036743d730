"""ELU."""

from mien_tools.activation import Activation
from mien_tools.numbers import real_option


class ELU(Activation):
    kind = "ELU"
    plain_name = "ELU"
    summary = "x, or alpha (e^x - 1) below 0"
    onnx = "Elu"
    cpp_names = ("ELU",)
    options = (real_option("alpha", 1.0),)
    attributes = {"alpha": ("alpha", 1.0)}
    other_options = ({"alpha": 0.7},)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.elu(inputs[0], options["alpha"])


RECORD = ELU()
