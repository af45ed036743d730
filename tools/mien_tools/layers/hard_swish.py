"""HardSwish."""

from mien_tools.activation import Activation


class HardSwish(Activation):
    kind = "HardSwish"
    plain_name = "hard swish"
    summary = "x min(max(0, x + 3), 6) / 6"
    onnx = "HardSwish"
    cpp_names = ("HardSwish",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.hardswish(inputs[0])


RECORD = HardSwish()
