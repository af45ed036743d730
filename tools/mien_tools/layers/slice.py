"""Slice: some of a value's channels."""

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.shapes import shape_text


class Slice(Layer):
    kind = "Slice"
    plain_name = "slicing"
    summary = "channels `first` to `first + count - 1`"
    onnx = "Slice"
    options = (Option("first", 0, least=0), Option("count"))
    cpp_names = ("Slice",)

    def output_shape(self, options, inputs):
        needed = options["first"] + options["count"]
        if inputs[0][0] < needed:
            raise LayerError(
                f"input: expected at least {needed} channels, found {shape_text(inputs[0])}"
            )
        return (options["count"], *inputs[0][1:])

    def reference(self, options, inputs, tensors):
        return inputs[0].narrow(1, options["first"], options["count"])

    def cpp(self, options):
        return f"Slice<{options['first']}, {options['count']}>"

    def cases(self):
        return [
            Case({"first": 0, "count": 1}, (1, 1, 1)),
            Case({"first": 3, "count": 5}, (9, 4, 3)),
            Case({"first": 16, "count": 17}, (33, 2, 2)),
            Case({"first": 2, "count": 3}, (7,)),
        ]


RECORD = Slice()
