"""SiLU."""

from mien_tools.activation import Activation


class SiLU(Activation):
    kind = "SiLU"
    plain_name = "SiLU"
    summary = "x / (1 + e^-x)"
    onnx = "Swish"
    cpp_names = ("SiLU",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.silu(inputs[0])

    def _convert(self, node):
        alpha = node.attribute("alpha", 1.0)
        if alpha != 1:
            raise node.fail("alpha=1", f"alpha={alpha:g}")
        return node.make(self, {})


RECORD = SiLU()
