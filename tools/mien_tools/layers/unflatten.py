"""Unflatten: a vector becomes an image."""

import math

from mien_tools.layer import Case, Layer, LayerError, Option, require_shape


class Unflatten(Layer):
    kind = "Unflatten"
    plain_name = "unflattening"
    summary = "a flat vector becomes an image, its elements in the order channels, height, width"
    onnx = "Reshape"
    options = (Option("channels"), Option("height"), Option("width"))
    cpp_names = ("Unflatten",)

    def check(self, options):
        most = 1 << 24
        if math.prod(options.values()) > most:
            raise LayerError(
                f"options: expected an image of at most {most} values, "
                f"found {math.prod(options.values())}"
            )

    def output_shape(self, options, inputs):
        shape = (options["channels"], options["height"], options["width"])
        require_shape(inputs[0], math.prod(shape), one_pixel=True)
        return shape

    def reference(self, options, inputs, tensors):
        shape = (options["channels"], options["height"], options["width"])
        return inputs[0].flatten(1).unflatten(1, shape)

    def cpp(self, options):
        return f"Unflatten<{options['channels']}, {options['height']}, {options['width']}>"

    def cases(self):
        return [
            Case({"channels": 3, "height": 2, "width": 5}, (30,)),
            Case({"channels": 1, "height": 1, "width": 1}, (1,)),
            Case({"channels": 17, "height": 3, "width": 1}, (51,)),
        ]


RECORD = Unflatten()
