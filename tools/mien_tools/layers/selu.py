"""SELU."""

from mien_tools.activation import Activation

# ONNX's defaults, which are the publication's numbers.
_CONSTANTS = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


class SELU(Activation):
    kind = "SELU"
    plain_name = "SELU"
    summary = "1.0507 max(0, x), or 1.7581 (e^x - 1) below 0"
    onnx = "Selu"
    cpp_names = ("SELU",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.selu(inputs[0])

    def _convert(self, node):
        for name, expected in _CONSTANTS.items():
            found = node.attribute(name, expected)
            if abs(found - expected) > 1e-6:
                raise node.fail(f"{name}={expected:.8g}", f"{name}={found:.8g}")
        return node.make(self, {})


RECORD = SELU()
