"""LayerNorm2d: over the channels of each pixel."""

from mien_tools.layer import Case
from mien_tools.normalisation import Normalisation


class LayerNorm2d(Normalisation):
    kind = "LayerNorm2d"
    plain_name = "layer normalisation over the channels"
    summary = (
        "normalisation by the mean and variance of each pixel's channels, with weight and bias"
    )
    onnx = "LayerNormalization"
    cpp_names = ("LayerNorm2d",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        moved = inputs[0].movedim(1, -1)
        sizes = (options["channels"],)
        normalised = functional.layer_norm(moved, sizes, *tensors, options["epsilon"])
        return normalised.movedim(-1, 1)

    def cases(self):
        return [*super().cases(), Case({"channels": 40}, (40,))]


RECORD = LayerNorm2d()
