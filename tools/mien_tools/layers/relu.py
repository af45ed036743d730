"""ReLU."""

from mien_tools.layer import Call, Case, Layer


class ReLU(Layer):
    kind = "ReLU"
    plain_name = "ReLU"
    summary = "max(0, x)"
    onnx = "Relu"
    cpp_names = ("ReLU",)

    def modules(self):
        return {"ReLU": lambda call, module: {}}

    def functions(self):
        return dict.fromkeys(
            (
                "torch.nn.functional.relu",
                "torch.nn.functional.relu_",
                "torch.relu",
                "torch.relu_",
                "Tensor.relu",
                "Tensor.relu_",
            ),
            _convert,
        )

    def operators(self):
        return {"Relu": lambda node: node.make(self, {})}

    def reference(self, options, inputs, tensors):
        return inputs[0].relu()

    def cases(self):
        from torch import nn

        return [Case(nn.ReLU(), (3, 4, 5))]


def _convert(call: Call, inplace: bool = False) -> dict[str, float]:
    return {}


RECORD = ReLU()
