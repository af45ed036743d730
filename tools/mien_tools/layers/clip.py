"""Clip."""

import math

from mien_tools.activation import Activation
from mien_tools.layer import LayerError
from mien_tools.layers.relu import RECORD as RELU
from mien_tools.layers.relu6 import RECORD as RELU6
from mien_tools.numbers import LARGEST_REAL, cpp_ratio, real_option, simplest

# Its limits, and those of what other layers do, which convolutions do besides.
_UNBOUNDED = (-LARGEST_REAL, LARGEST_REAL)
_RECTIFIERS = {(0, LARGEST_REAL): RELU, (0, 6): RELU6}


class Clip(Activation):
    kind = "Clip"
    plain_name = "a limit"
    summary = "min(max(lowest, x), highest)"
    onnx = "Clip"
    options = (real_option("lowest", _UNBOUNDED[0]), real_option("highest", _UNBOUNDED[1]))
    cpp_names = ("Clip", "Unbounded")
    other_options = (
        {"lowest": -1.5, "highest": 2.25},
        {"highest": -0.1},
        {"lowest": 1, "highest": 1},
    )

    def _convert(self, node):
        if node.opset < 11:
            names = zip(("min", "max"), _UNBOUNDED, strict=True)
            found = [node.attribute(name, limit) for name, limit in names]
        else:
            found = [
                node.constant(index).item() if node.has(index) else limit
                for index, limit in enumerate(_UNBOUNDED, start=1)
            ]
        limits = tuple(
            math.copysign(LARGEST_REAL, limit) if abs(limit) >= LARGEST_REAL else simplest(limit)
            for limit in found
        )
        # ONNX limits from below first.
        limits = (min(limits), limits[1])
        if limits in _RECTIFIERS:
            return node.make(_RECTIFIERS[limits], {})
        return node.make(self, {"lowest": limits[0], "highest": limits[1]})

    def check(self, options):
        if not options["lowest"] <= options["highest"]:
            raise LayerError(
                f"option lowest: expected at most highest, {options['highest']:g}, found "
                f"{options['lowest']:g}"
            )

    def reference(self, options, inputs, tensors):
        return inputs[0].clamp(options["lowest"], options["highest"])

    def cpp(self, options):
        limits = (options["lowest"], options["highest"])
        spelled = (
            "Unbounded" if limit == unbounded else cpp_ratio(limit)
            for limit, unbounded in zip(limits, _UNBOUNDED, strict=True)
        )
        return f"Clip<{', '.join(spelled)}>"


RECORD = Clip()
