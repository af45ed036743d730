"""Concatenate: values side by side, along the channels."""

import sys

from mien_tools.layer import Call, Case, Layer, LayerError
from mien_tools.shapes import shape_text


class Concatenate(Layer):
    kind = "Concatenate"
    plain_name = "a concatenation"
    summary = "values of the same height and width, joined along the channels"
    onnx = "Concat"
    fewest_inputs, most_inputs = 2, sys.maxsize
    cpp_names = ("Concatenate", "Identity")

    def functions(self):
        return dict.fromkeys(("torch.cat", "torch.concat", "torch.concatenate"), _convert)

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


def _convert(call: Call, dim: int | None = None, *, axis: int | None = None) -> dict[str, float]:
    given = next((number for number in (dim, axis) if number is not None), 0)
    if given % len(call.input_shape) != 1:
        raise call.fail("values joined along the channels (dim=1)", f"dim={given}")
    if len(call.input_shapes) < 2:
        raise call.fail("two or more values", "one")
    return {}


RECORD = Concatenate()
