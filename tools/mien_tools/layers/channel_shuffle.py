"""ChannelShuffle."""

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.shapes import shape_text


class ChannelShuffle(Layer):
    kind = "ChannelShuffle"
    plain_name = "channel shuffle"
    summary = "the first channel of each group, then the second of each, and so on"
    onnx = "Transpose"
    options = (Option("groups"),)
    cpp_names = ("ChannelShuffle",)

    def output_shape(self, options, inputs):
        if inputs[0][0] % options["groups"]:
            raise LayerError(
                f"input: expected a multiple of {options['groups']} channels, "
                f"found {shape_text(inputs[0])}"
            )
        return inputs[0]

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.channel_shuffle(inputs[0], options["groups"])

    def cpp(self, options):
        return f"ChannelShuffle<{options['groups']}>"

    def cases(self):
        return [
            Case({"groups": 1}, (3, 2, 2)),
            Case({"groups": 2}, (6, 3, 4)),
            Case({"groups": 3}, (33, 2, 1)),
            Case({"groups": 8}, (32, 1, 3)),
        ]


RECORD = ChannelShuffle()
