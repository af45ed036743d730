"""Softmax."""

from mien_tools.layer import Case, Layer


class Softmax(Layer):
    kind = "Softmax"
    plain_name = "softmax"
    summary = "softmax over the channels: of a flat vector, or at every place of an image"
    onnx = "Softmax"
    cpp_names = ("Softmax",)

    def operators(self):
        return {"Softmax": lambda node: over_channels(self, node)}

    def reference(self, options, inputs, tensors):
        return inputs[0].softmax(dim=1)

    def cases(self):
        from torch import nn

        return [Case(nn.Softmax(1), (7,)), Case(nn.Softmax(1), (5, 2, 3))]


def over_channels(record: Layer, node):
    """A node of ONNX as a layer that takes the channels together, if it does so."""
    axis = node.attribute("axis", 1 if node.opset < 13 else -1)
    shape = node.value(0).shape
    # The last axis is that of the channels in a flat vector alone.
    if axis != 1 and not (axis in (-1, -3) and shape[1:] == (1, 1)):
        raise node.fail(f"{record.plain_name} over the channels (axis=1)", f"axis={axis}")
    return node.make(record, {})


RECORD = Softmax()
