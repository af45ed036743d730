"""Dense: a fully connected layer."""

import numpy as np

from mien_tools.layer import Case, Layer, Option, require_shape
from mien_tools.onnx_node import Constant
from mien_tools.shapes import shape_text


class Dense(Layer):
    kind = "Dense"
    plain_name = "linear"
    summary = "fully connected layer of a flat vector, with or without a bias"
    onnx = "Gemm"
    options = (
        Option("in_features"),
        Option("out_features"),
        Option("bias", 1, least=0, most=1),
    )
    cpp_names = ("Dense", "NoBias")

    def operators(self):
        return {"Gemm": self._gemm}

    def _gemm(self, node):
        if node.attribute("transA", 0):
            raise node.fail("transA=0", "transA=1")
        value, weight = node.value(0), node.constant(1)
        if not node.attribute("transB", 0):
            weight = weight.T
        tensors = [_scaled(node, 1, node.attribute("alpha", 1.0), "weight", weight)]
        if node.has(2):
            given = node.constant(2)
            if given.size not in (1, weight.shape[0]) or given.shape[-1:] not in (
                (),
                (given.size,),
            ):
                raise node.fail("a number for each output", shape_text(given.shape))
            bias = np.broadcast_to(given.reshape(-1), weight.shape[:1])
            tensors.append(_scaled(node, 2, node.attribute("beta", 1.0), "bias", bias))
        options = {
            "in_features": weight.shape[1],
            "out_features": weight.shape[0],
            "bias": len(tensors) - 1,
        }
        return node.make(self, options, [value], tensors)

    def tensor_shapes(self, options):
        weight = (options["out_features"], options["in_features"])
        bias = {"bias": (options["out_features"],)} if options["bias"] else {}
        return {"weight": weight} | bias

    def output_shape(self, options, inputs):
        require_shape(inputs[0], options["in_features"], one_pixel=True)
        return (options["out_features"], 1, 1)

    def multiply_adds(self, options, inputs, output):
        return options["in_features"] * options["out_features"]

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.linear(inputs[0].flatten(1), *tensors)[..., None, None]

    def cpp(self, options):
        no_bias = "" if options["bias"] else ", NoBias"
        return f"Dense<{options['in_features']}, {options['out_features']}{no_bias}>"

    def cases(self):
        from torch import nn

        return [
            Case(nn.Linear(1, 1), (1,)),
            Case(nn.Linear(5, 33), (5,)),
            Case(nn.Linear(70, 7), (70,)),
            Case(nn.Linear(16, 32, bias=False), (16,)),
        ]


def _scaled(node, index: int, factor: float, role: str, array: np.ndarray) -> Constant:
    """An input of the node under its name, times a factor."""
    if factor == 1:
        return Constant(node.tensor(index).name, array)
    return node.new_tensor(role, array * factor)


RECORD = Dense()
