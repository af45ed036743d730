"""Pad."""

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.numbers import cpp_ratio, real_option
from mien_tools.shapes import shape_text

# By the option's value: as PyTorch and as ONNX call it.
_MODES = ("constant", "reflect", "replicate")
_ONNX_MODES = ("constant", "reflect", "edge")
_SIDES = ("top", "bottom", "left", "right")


class Pad(Layer):
    kind = "Pad"
    plain_name = "padding"
    summary = "an image with a number, its mirror image or its outermost pixels around it"
    onnx = "Pad"
    options = (
        *(Option(side, 0, least=0) for side in _SIDES),
        Option("mode", 0, least=0, most=2),
        real_option("value", 0.0),
    )
    cpp_names = ("Pad", "PadValue", "Reflect", "Replicate")

    def operators(self):
        return {"Pad": self._of_onnx}

    def _of_onnx(self, node):
        if node.opset < 11:
            pads = node.attribute("pads")
            value = node.attribute("value", 0.0)
        else:
            pads = node.constant(1).tolist()
            value = float(node.constant(2, 0.0).reshape(()))
        rank = len(pads) // 2
        axes = list(range(rank))
        if node.has(3):
            axes = node.constant(3).tolist()
            rank = 4 if min(axes) < 0 or max(axes) == 3 else max(axes) + 1
        before, after = [0] * rank, [0] * rank
        for place, axis in enumerate(axes):
            before[axis], after[axis] = pads[place], pads[place + len(axes)]
        mode = node.attribute("mode", "constant")
        if mode not in _ONNX_MODES:
            raise node.fail(f"mode of {', '.join(_ONNX_MODES)}", f"mode={mode}")
        if rank not in (3, 4) or any(before[:2] + after[:2]) or min(before + after) < 0:
            raise node.fail("padding of heights and widths, none negative", f"pads={pads}")
        height = (before[2], after[2]) if rank == 4 else (0, 0)
        sides = dict(zip(_SIDES, (*height, before[-1], after[-1]), strict=True))
        options = sides | {"mode": _ONNX_MODES.index(mode)}
        if mode == "constant":
            options["value"] = value
        return node.make(self, options)

    def output_shape(self, options, inputs):
        channels, height, width = inputs[0]
        top, bottom, left, right = (options[side] for side in _SIDES)
        if options["mode"] == _MODES.index("reflect"):
            for length, padding in ((height, max(top, bottom)), (width, max(left, right))):
                if length is not None and padding >= length:
                    raise LayerError(
                        "input: expected one that is larger than its padding by reflection, "
                        f"found {shape_text(inputs[0])}"
                    )
        return (
            channels,
            None if height is None else height + top + bottom,
            None if width is None else width + left + right,
        )

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        top, bottom, left, right = (options[side] for side in _SIDES)
        mode = _MODES[options["mode"]]
        value = options["value"] if mode == "constant" else None
        return functional.pad(inputs[0], (left, right, top, bottom), mode, value)

    def cpp(self, options):
        mode = _MODES[options["mode"]].capitalize()
        if mode == "Constant":
            mode = f"PadValue<{cpp_ratio(options['value'])}>"
        return f"Pad<{', '.join(str(options[side]) for side in _SIDES)}, {mode}>"

    def cases(self):
        def sides(*sizes):
            return dict(zip(_SIDES, sizes, strict=True))

        return [
            Case(sides(1, 2, 3, 0), (3, 4, 5)),
            Case(sides(0, 1, 0, 1) | {"value": -1.5}, (17, 3, 2)),
            Case(sides(2, 1, 3, 2) | {"mode": 1}, (3, 3, 4)),
            Case(sides(0, 0, 1, 1) | {"mode": 1}, (1, 1, 2)),
            Case(sides(2, 3, 1, 4) | {"mode": 2}, (3, 2, 3)),
            Case(sides(1, 1, 1, 1) | {"mode": 2}, (5, 1, 1)),
            Case({"mode": 0}, (3, 2, 2)),
        ]


RECORD = Pad()
