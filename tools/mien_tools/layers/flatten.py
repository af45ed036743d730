"""Flatten."""

import math

from mien_tools.layer import Case, Layer, LayerError
from mien_tools.shapes import shape_text


class Flatten(Layer):
    kind = "Flatten"
    plain_name = "flattening"
    summary = "an image becomes a vector in the order channels, height, width"
    onnx = "Flatten"
    cpp_names = ("Flatten",)

    def output_shape(self, options, inputs):
        if None in inputs[0]:
            raise LayerError(f"input: expected a fixed size, found {shape_text(inputs[0])}")
        return (math.prod(inputs[0]), 1, 1)

    def reference(self, options, inputs, tensors):
        return inputs[0].flatten(1)[..., None, None]

    def cases(self):
        from torch import nn

        return [Case(nn.Flatten(), (3, 2, 5))]


RECORD = Flatten()
