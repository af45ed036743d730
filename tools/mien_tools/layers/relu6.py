"""ReLU6."""

from mien_tools.layer import Call, Case, Layer


class ReLU6(Layer):
    kind = "ReLU6"
    plain_name = "ReLU6"
    summary = "min(max(0, x), 6)"
    onnx = "Clip"
    cpp_names = ("ReLU6",)

    def modules(self):
        return {
            "ReLU6": lambda call, module: {},
            "Hardtanh": lambda call, module: _hardtanh(call, module.min_val, module.max_val),
        }

    def functions(self):
        return {
            "torch.nn.functional.relu6": _relu6,
            "torch.nn.functional.hardtanh": _hardtanh,
            "torch.nn.functional.hardtanh_": _hardtanh,
        }

    def reference(self, options, inputs, tensors):
        return inputs[0].clamp(0, 6)

    def cases(self):
        from torch import nn

        return [Case(nn.ReLU6(), (3, 4, 5))]


def _relu6(call: Call, inplace: bool = False) -> dict[str, float]:
    return {}


def _hardtanh(
    call: Call, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> dict[str, float]:
    if (min_val, max_val) != (0, 6):
        raise call.fail("limits 0 and 6 (ReLU6)", f"{min_val:g} and {max_val:g}")
    return {}


RECORD = ReLU6()
