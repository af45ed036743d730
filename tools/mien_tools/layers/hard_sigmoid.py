"""HardSigmoid."""

from mien_tools.activation import Activation
from mien_tools.numbers import real_option


class HardSigmoid(Activation):
    kind = "HardSigmoid"
    plain_name = "hard sigmoid"
    summary = "min(max(0, alpha x + beta), 1)"
    onnx = "HardSigmoid"
    cpp_names = ("HardSigmoid",)
    options = (real_option("alpha", 1 / 6), real_option("beta", 0.5))
    attributes = {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}
    other_options = ({"alpha": 0.2}, {"alpha": 0.5, "beta": 0.25})

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        if options == self.resolve({}):
            return functional.hardsigmoid(inputs[0])
        return (options["alpha"] * inputs[0] + options["beta"]).clamp(0, 1)


RECORD = HardSigmoid()
