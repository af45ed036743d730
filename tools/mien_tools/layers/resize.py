"""Resize."""

from mien_tools.layer import LARGEST_OPTION, Case, Layer, LayerError, Option
from mien_tools.numbers import cpp_ratio, simplest
from mien_tools.shapes import shape_text

# By the options' values: as ONNX calls them.
_MODES = ("nearest", "linear")
_COORDINATES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
_ROUNDINGS = ("floor", "round_prefer_floor", "ceil", "round_prefer_ceil")
_CPP_COORDINATES = ("", "AlignCorners", "Asymmetric", "PyTorchHalfPixel")
_CPP_ROUNDINGS = ("", "RoundPreferFloor", "RoundCeil", "RoundPreferCeil")


class Resize(Layer):
    kind = "Resize"
    plain_name = "resizing"
    summary = "a larger or smaller image, by the nearest pixel or bilinear interpolation"
    onnx = "Resize"
    options = (
        Option("mode", 0, least=0, most=1),
        Option("scale_y", 0.0, least=0.0, most=LARGEST_OPTION, whole=False),
        Option("scale_x", 0.0, least=0.0, most=LARGEST_OPTION, whole=False),
        Option("out_height", 0, least=0),
        Option("out_width", 0, least=0),
        Option("coordinates", 0, least=0, most=3),
        Option("rounding", 0, least=0, most=3),
    )
    cpp_names = (
        *("Bilinear", "Resize", "Scale", "ToSize"),
        *(name for name in (*_CPP_COORDINATES, *_CPP_ROUNDINGS) if name),
    )

    def operators(self):
        return {"Resize": self._resize, "Upsample": self._upsample}

    def _resize(self, node):
        if node.opset < 11:
            return self._upsample(node)
        for name in ("antialias", "exclude_outside"):
            if node.attribute(name, 0):
                raise node.fail(f"{name}=0", f"{name}=1")
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            raise node.fail("keep_aspect_ratio_policy=stretch", policy)
        axes = node.attribute("axes", [])
        options = {
            "mode": _place(node, "mode", "nearest", _MODES),
            "coordinates": _place(
                node, "coordinate_transformation_mode", "half_pixel", _COORDINATES
            ),
        }
        if options["mode"] == 0:
            options["rounding"] = _place(node, "nearest_mode", "round_prefer_floor", _ROUNDINGS)
        if node.has(3) and node.constant(3).size:
            sizes = node.constant(3).tolist()
            # The number of images is that of the network, whatever the exporter saw.
            if not axes and sizes[1] != node.value(0).shape[0]:
                raise node.fail("as many channels as before", f"sizes={sizes}")
            height, width = _of_image(node, sizes, axes, None)
            options |= {"scale_y": 1.0} if height is None else {"out_height": height}
            options |= {"scale_x": 1.0} if width is None else {"out_width": width}
        else:
            options |= _scales(node, node.constant(2).tolist(), axes)
        return node.make(self, options)

    def _upsample(self, node):
        """The operators of opsets 7 to 10."""
        scales = node.attribute("scales") if node.opset < 9 else node.constant(1).tolist()
        options = _scales(node, scales, [])
        options["mode"] = _place(node, "mode", "nearest", _MODES)
        options["coordinates"] = _COORDINATES.index("asymmetric")
        shrinks = [options[name] < 1 for name in ("scale_y", "scale_x") if options[name] != 1]
        if options["mode"] == 0 and any(shrinks):
            # What ONNX left open then, its runtime rounds up where an image becomes smaller.
            if not all(shrinks):
                raise node.fail("one rounding for both axes", f"scales={scales}")
            options["rounding"] = _ROUNDINGS.index("ceil")
        return node.make(self, options)

    def check(self, options):
        for scale, size in (("scale_y", "out_height"), ("scale_x", "out_width")):
            if (options[scale] > 0) == (options[size] > 0):
                raise LayerError(
                    f"options {scale} and {size}: expected one of them, found "
                    f"{'both' if options[scale] > 0 else 'none'}"
                )

    def output_shape(self, options, inputs):
        size = tuple(
            _length(options[scale], options[out], length)
            for scale, out, length in zip(
                ("scale_y", "scale_x"), ("out_height", "out_width"), inputs[0][1:], strict=True
            )
        )
        if 0 in size:
            raise LayerError(
                f"input: expected one that keeps a pixel, found {shape_text(inputs[0])}"
            )
        return (inputs[0][0], *size)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        image = inputs[0]
        out = self.output_shape(options, [tuple(image.shape[1:])])[1:]
        kind = (
            _MODES[options["mode"]],
            _COORDINATES[options["coordinates"]],
            _ROUNDINGS[options["rounding"]],
        )
        if options["scale_y"] > 0 and options["scale_x"] > 0:
            how = {"scale_factor": (options["scale_y"], options["scale_x"])}
        else:
            how = {"size": out}
        is_mixed = (options["scale_y"] > 0) != (options["scale_x"] > 0)
        if kind == ("nearest", "asymmetric", "floor") and not is_mixed:
            return functional.interpolate(image, mode="nearest", **how)
        if kind == ("nearest", "half_pixel", "round_prefer_ceil") and not is_mixed:
            return functional.interpolate(image, mode="nearest-exact", **how)
        if kind[0] == "linear" and kind[1] != "asymmetric" and not is_mixed:
            align = kind[1] == "align_corners"
            if min(out) > 1 or kind[1] != "pytorch_half_pixel":
                return functional.interpolate(image, mode="bilinear", align_corners=align, **how)
        rows = _places(options, "scale_y", image.shape[2], out[0])
        columns = _places(options, "scale_x", image.shape[3], out[1])
        if kind[0] == "nearest":
            rows, columns = (
                _rounded(places, kind[2]).clamp(0, length - 1).long()
                for places, length in ((rows, image.shape[2]), (columns, image.shape[3]))
            )
            return image[:, :, rows][:, :, :, columns]
        return _sampled(image, rows, columns)

    def cpp(self, options):
        if options["scale_y"] > 0 and options["scale_x"] > 0:
            scales = [cpp_ratio(options[name]) for name in ("scale_y", "scale_x")]
            arguments = [f"Scale<{', '.join(dict.fromkeys(scales))}>"]
        elif options["out_height"] > 0 and options["out_width"] > 0:
            sizes = [str(options[name]) for name in ("out_height", "out_width")]
            arguments = [f"ToSize<{', '.join(dict.fromkeys(sizes))}>"]
        else:
            raise LayerError("expected two scales or two sizes, found one of each")
        if options["mode"]:
            arguments.append("Bilinear")
        arguments.append(_CPP_COORDINATES[options["coordinates"]])
        arguments.append(_CPP_ROUNDINGS[options["rounding"]])
        return f"Resize<{', '.join(argument for argument in arguments if argument)}>"

    def cases(self):
        def scaled(y, x=None, **others):
            return {"scale_y": float(y), "scale_x": float(x or y)} | others

        def sized(height, width, **others):
            return {"out_height": height, "out_width": width} | others

        cases = [
            Case(scaled(2, coordinates=2), (3, 4, 5)),
            Case(scaled(2, 3, coordinates=2), (17, 3, 2)),
            Case(scaled(1.5, coordinates=2), (3, 4, 5)),
            Case(scaled(0.5, 0.7, coordinates=2), (3, 6, 10)),
            Case(scaled(2, rounding=3), (3, 3, 4)),
            Case(sized(5, 7, coordinates=2), (4, 3, 4)),
            Case(sized(2, 3, coordinates=2), (4, 5, 7)),
            Case(sized(7, 4, rounding=1), (3, 4, 6)),
            Case(scaled(2, mode=1), (3, 4, 5)),
            Case(scaled(1.3, 2.6, mode=1), (33, 5, 4)),
            Case(scaled(2, mode=1, coordinates=1), (16, 3, 4)),
            Case(sized(7, 9, mode=1), (5, 3, 4)),
            Case(sized(3, 2, mode=1), (5, 7, 5)),
            Case(sized(6, 1, mode=1, coordinates=1), (5, 3, 4)),
            Case(sized(1, 5, mode=1, coordinates=3), (5, 3, 4)),
            Case(scaled(2, mode=1, coordinates=2), (9, 3, 4)),
            Case(scaled(3, mode=1), (2, 1, 1)),
        ]
        # Every rule and rounding.
        cases += [
            Case(sized(5, 3, coordinates=coordinates, rounding=rounding), (2, 4, 5))
            for coordinates in range(4)
            for rounding in range(4)
        ]
        return cases


def _length(scale: float, size: int, length: int | None) -> int | None:
    """floor(length * scale) in the precision of ONNX's scales."""
    import numpy as np

    if size:
        return size
    return None if length is None else int(np.float32(length) * np.float32(scale))


def _place(node, name: str, default: str, known: tuple[str, ...]) -> int:
    value = node.attribute(name, default)
    if value not in known:
        raise node.fail(f"{name} of {', '.join(known)}", f"{name}={value}")
    return known.index(value)


def _of_image(node, numbers: list, axes: list[int], otherwise: object) -> tuple:
    """Those of height and width among numbers for all axes, or for those that are named."""
    rank = len(numbers)
    if axes:
        rank = 4
        numbers = [dict(zip([a % 4 for a in axes], numbers, strict=True)).get(a) for a in range(4)]
        numbers = [otherwise if number is None else number for number in numbers]
    if rank == 3:
        numbers = [*numbers[:2], otherwise, numbers[2]]
    if len(numbers) != 4:
        raise node.fail("an image or a row", f"{len(numbers)} dimensions")
    return tuple(numbers[2:])


def _scales(node, scales: list[float], axes: list[int]) -> dict[str, float]:
    if not axes and any(scale != 1 for scale in scales[:2]):
        raise node.fail("scales of 1 for images and channels", f"scales={scales}")
    height, width = _of_image(node, scales, axes, 1.0)
    return {"scale_y": simplest(height), "scale_x": simplest(width)}


def _places(options, scale: str, length: int, out: int):
    """Where an axis's outputs lie in its input, by ONNX's rules."""
    import torch

    x = torch.arange(out, dtype=torch.float64)
    rule = _COORDINATES[options["coordinates"]]
    if rule == "align_corners":
        return x * (length - 1) / max(out - 1, 1)
    if rule == "pytorch_half_pixel" and out == 1:
        return x
    ratio = options[scale] if options[scale] > 0 else None
    if rule == "asymmetric":
        return x / ratio if ratio else x * length / out
    return (x + 0.5) / ratio - 0.5 if ratio else (2 * x + 1) * length / (2 * out) - 0.5


def _rounded(places, rule: str):
    return {
        "floor": lambda: places.floor(),
        "round_prefer_floor": lambda: (places - 0.5).ceil(),
        "ceil": lambda: places.ceil(),
        "round_prefer_ceil": lambda: (places + 0.5).floor(),
    }[rule]()


def _sampled(image, rows, columns):
    """Values of images at places, bilinear."""
    import torch
    from torch.nn import functional

    def unit(places, length):
        return 2 * places / max(length - 1, 1) - 1

    y, x = torch.meshgrid(unit(rows, image.shape[2]), unit(columns, image.shape[3]), indexing="ij")
    grid = torch.stack((x, y), dim=-1).expand(image.shape[0], -1, -1, -1).to(image.dtype)
    return functional.grid_sample(
        image, grid, mode="bilinear", padding_mode="border", align_corners=True
    )


RECORD = Resize()
