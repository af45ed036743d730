"""Flatten."""

import math

from mien_tools.layer import Call, Case, Layer, LayerError
from mien_tools.shapes import shape_text


class Flatten(Layer):
    kind = "Flatten"
    plain_name = "flattening"
    summary = "an image becomes a vector in the order channels, height, width"
    onnx = "Flatten"
    cpp_names = ("Flatten",)

    def modules(self):
        return {"Flatten": lambda call, module: _convert(call)}

    def functions(self):
        return dict.fromkeys(
            ("torch.flatten", "torch.reshape", "Tensor.flatten", "Tensor.view", "Tensor.reshape"),
            _convert,
        )

    def output_shape(self, options, inputs):
        if None in inputs[0]:
            raise LayerError(f"input: expected a fixed size, found {shape_text(inputs[0])}")
        return (math.prod(inputs[0]), 1, 1)

    def reference(self, options, inputs, tensors):
        return inputs[0].flatten(1)[..., None, None]

    def cases(self):
        from torch import nn

        return [Case(nn.Flatten(), (3, 2, 5))]


def _convert(call: Call, *_sizes: object, **_options: object) -> dict[str, float] | None:
    """Judged by what it did to the images of the batch, whatever way it was asked."""
    batch = call.input_shape[0]
    if call.output_shape == call.input_shape:
        return None
    if call.output_shape != (batch, math.prod(call.input_shape[1:])):
        raise call.fail(
            "each image flattened whole",
            f"{shape_text(call.input_shape)} becoming {shape_text(call.output_shape)} "
            f"with {batch} images in the batch",
        )
    return {}


RECORD = Flatten()
