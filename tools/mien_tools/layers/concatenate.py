"""Concatenate: values side by side, along the channels."""

import sys

from mien_tools.layer import Case, Layer, LayerError
from mien_tools.shapes import shape_text


class Concatenate(Layer):
    kind = "Concatenate"
    plain_name = "a concatenation"
    summary = "values of the same height and width, joined along the channels"
    onnx = "Concat"
    fewest_inputs, most_inputs = 2, sys.maxsize
    cpp_names = ("Concatenate", "Identity")

    def output_shape(self, options, inputs):
        for shape in inputs[1:]:
            if shape[1:] != inputs[0][1:]:
                raise LayerError(
                    "inputs: expected the same height and width, found "
                    f"{shape_text(inputs[0])} and {shape_text(shape)}"
                )
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def reference(self, options, inputs, tensors):
        import torch

        return torch.cat(list(inputs), dim=1)

    def cases(self):
        import torch
        from torch import nn

        class Beside(nn.ModuleList):
            def forward(self, x):
                return torch.cat([branch(x) for branch in self], dim=1)

        return [
            Case(Beside([nn.ReLU(), nn.ReLU6()]), (3, 4, 5)),
            Case(Beside([nn.Conv2d(2, 17, 1), nn.ReLU(), nn.AvgPool2d(3, 1, 1)]), (2, 3, 4)),
        ]


RECORD = Concatenate()
