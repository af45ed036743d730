"""ReLU6."""

from mien_tools.layer import Case, Layer


class ReLU6(Layer):
    kind = "ReLU6"
    plain_name = "ReLU6"
    summary = "min(max(0, x), 6)"
    onnx = "Clip"
    cpp_names = ("ReLU6",)

    def reference(self, options, inputs, tensors):
        return inputs[0].clamp(0, 6)

    def cases(self):
        from torch import nn

        return [Case(nn.ReLU6(), (3, 4, 5))]


RECORD = ReLU6()
