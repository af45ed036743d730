"""PReLU."""

from mien_tools.layer import Case, Layer, Option, require_shape


class PReLU(Layer):
    kind = "PReLU"
    plain_name = "PReLU"
    summary = "x, or the slope of its channel times x below 0; of 1 channel: one slope for all"
    onnx = "PRelu"
    options = (Option("channels"),)
    cpp_names = ("PReLU",)

    def tensor_shapes(self, options):
        return {"weight": (options["channels"],)}

    def output_shape(self, options, inputs):
        if options["channels"] != 1:
            require_shape(inputs[0], options["channels"])
        return inputs[0]

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.prelu(inputs[0], tensors[0])

    def cpp(self, options):
        return f"PReLU<{options['channels']}>"

    def cases(self):
        return [
            Case({"channels": 3}, (3, 4, 5)),
            Case({"channels": 1}, (5, 3, 2)),
            Case({"channels": 33}, (33, 3, 1)),
            Case({"channels": 16}, (16,)),
        ]


RECORD = PReLU()
