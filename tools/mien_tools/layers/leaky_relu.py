"""LeakyReLU."""

from mien_tools.activation import Activation
from mien_tools.numbers import real_option


class LeakyReLU(Activation):
    kind = "LeakyReLU"
    plain_name = "leaky ReLU"
    summary = "x, or negative_slope x below 0"
    onnx = "LeakyRelu"
    cpp_names = ("LeakyReLU",)
    options = (real_option("negative_slope", 0.01),)
    attributes = {"negative_slope": ("alpha", 0.01)}
    other_options = ({"negative_slope": 0.2}, {"negative_slope": -1.5})

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.leaky_relu(inputs[0], options["negative_slope"])


RECORD = LeakyReLU()
