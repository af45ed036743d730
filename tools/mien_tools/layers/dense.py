"""Dense: a fully connected layer."""

from mien_tools.layer import Call, Case, Layer, Option, require_shape
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

    def modules(self):
        return {"Linear": _convert}

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


def _convert(call: Call, module) -> dict[str, float]:
    if len(call.input_shape) != 2:
        raise call.fail("a flat vector (nn.Flatten before)", shape_text(call.input_shape[1:]))
    return {
        "in_features": module.in_features,
        "out_features": module.out_features,
        "bias": int(module.bias is not None),
    }


RECORD = Dense()
