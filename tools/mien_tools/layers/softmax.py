"""Softmax."""

from mien_tools.layer import Case, Layer


class Softmax(Layer):
    kind = "Softmax"
    plain_name = "softmax"
    summary = "softmax over the channels: of a flat vector, or at every place of an image"
    onnx = "Softmax"
    cpp_names = ("Softmax",)

    def operators(self):
        return {"Softmax": lambda node: node.make(self, {})}

    def reference(self, options, inputs, tensors):
        return inputs[0].softmax(dim=1)

    def cases(self):
        from torch import nn

        return [Case(nn.Softmax(1), (7,)), Case(nn.Softmax(1), (5, 2, 3))]


RECORD = Softmax()
