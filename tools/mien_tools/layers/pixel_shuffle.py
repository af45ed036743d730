"""PixelShuffle."""

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.shapes import shape_text


class PixelShuffle(Layer):
    kind = "PixelShuffle"
    plain_name = "pixel shuffle"
    summary = "`factor` x `factor` neighbouring channels become as many pixels"
    onnx = "DepthToSpace"
    options = (Option("factor", most=4096),)
    cpp_names = ("PixelShuffle",)

    def operators(self):
        return {"DepthToSpace": self._of_onnx}

    def _of_onnx(self, node):
        factor = node.attribute("blocksize")
        mode = node.attribute("mode", "DCR")
        value = node.value(0)
        if mode == "DCR":
            # Its channels stand in groups, one for each of the pixels.
            from mien_tools.layers.channel_shuffle import RECORD as shuffle

            value = node.make(shuffle, {"groups": factor * factor}, [value])
        elif mode != "CRD":
            raise node.fail("mode of DCR or CRD", f"mode={mode}")
        return node.make(self, {"factor": factor}, [value])

    def output_shape(self, options, inputs):
        factor = options["factor"]
        channels, *size = inputs[0]
        if channels % (factor * factor):
            raise LayerError(
                f"input: expected a multiple of {factor * factor} channels, "
                f"found {shape_text(inputs[0])}"
            )
        larger = (None if length is None else length * factor for length in size)
        return (channels // (factor * factor), *larger)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.pixel_shuffle(inputs[0], options["factor"])

    def cpp(self, options):
        return f"PixelShuffle<{options['factor']}>"

    def cases(self):
        return [
            Case({"factor": 1}, (3, 2, 2)),
            Case({"factor": 2}, (12, 3, 4)),
            Case({"factor": 3}, (27, 2, 1)),
            Case({"factor": 2}, (68, 1, 3)),
        ]


RECORD = PixelShuffle()
