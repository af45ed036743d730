"""GELU."""

from mien_tools.activation import Activation
from mien_tools.layer import Option

_APPROXIMATIONS = ("none", "tanh")


class GELU(Activation):
    kind = "GELU"
    plain_name = "GELU"
    summary = "x times the share of a normal distribution below x, or by tanh what is close to it"
    onnx = "Gelu"
    options = (Option("approximate", 0, least=0, most=1),)
    cpp_names = ("GELU", "TanhGELU")
    other_options = ({"approximate": 1},)

    def _convert(self, node):
        found = node.attribute("approximate", "none")
        if found not in _APPROXIMATIONS:
            raise node.fail(f"approximate one of {', '.join(_APPROXIMATIONS)}", f"'{found}'")
        return node.make(self, {"approximate": _APPROXIMATIONS.index(found)})

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.gelu(inputs[0], approximate=_APPROXIMATIONS[options["approximate"]])

    def cpp(self, options):
        return self.cpp_names[options["approximate"]]


RECORD = GELU()
