"""Nodes of ONNX that compute with two values, and along the channels wherever ONNX sees them."""

import math
from collections.abc import Callable

import numpy as np

from mien_tools.layer import Layer, OnnxConverter
from mien_tools.layers import LAYERS
from mien_tools.onnx_node import (
    Constant,
    OnnxNode,
    Outputs,
    Value,
    as_held,
    in_any_order,
    is_generated,
    with_channels,
    with_sizes_of,
)
from mien_tools.onnx_structure import pointwise
from mien_tools.onnx_view import (
    CHANNELS,
    HEIGHT,
    WIDTH,
    Factor,
    axis_dimension,
    length,
    lengths,
    like,
    only_axis,
)
from mien_tools.shapes import shape_text

# How the records of layers turn nodes into layers, by operator.
CONVERTERS: dict[str, tuple[Layer, OnnxConverter]] = {
    operator: (record, convert)
    for record in LAYERS.values()
    for operator, convert in record.operators().items()
}


def _arithmetic(node: OnnxNode) -> Outputs:
    """Of two values, or of one and constants, whatever order ONNX sees them in."""
    record = LAYERS[node.operator]
    result = node.input(0)
    for index in range(1, node.input_count):
        result = _combined(node, record, result, node.input(index))
    return [result]


def _combined(
    node: OnnxNode, record: Layer, first: Value | Constant, second: Value | Constant
) -> Value:
    if isinstance(first, Constant) or isinstance(second, Constant):
        is_reversed = isinstance(first, Constant)
        value, constant = (second, first) if is_reversed else (first, second)
        return _with_constant(node, record, value, constant, is_reversed)
    if first.view == second.view and first.shape == second.shape:
        plain = [as_held(first), as_held(second)]
        made = node.make(record, {}, _in_order(node, record, plain))
        return Value(made.number, made.shape, first.view)
    permuted = _same_permutation(first, second)
    if permuted is not None:
        plain = [as_held(first), as_held(second)]
        made = node.make(record, {}, plain)
        view = tuple(axis_dimension(made.shape, axis) for axis in permuted)
        return Value(made.number, made.shape, view)
    values = [node.image(value) for value in (first, second)]
    ranks = [len(value.view) for value in values]
    if ranks[0] != ranks[1]:
        # ONNX aligns shapes at their ends.
        raise node.fail(
            "two values of as many dimensions", f"{ranks[0] + 1} and {ranks[1] + 1} of them"
        )
    made = node.make(record, {}, _in_order(node, record, values))
    return Value(made.number, made.shape, like(values[0].view, made.shape))


def _same_permutation(first: Value, second: Value) -> tuple[int, ...] | None:
    """The axes that both views show in one order, some of them possibly of length 1."""
    if len(first.view) != 3 or len(second.view) != 3:
        return None
    axes: list[int | None] = []
    for one, other in zip(first.view, second.view, strict=True):
        found = {only_axis(dimension) for dimension in (one, other) if dimension}
        if len(found) > 1 or None in found:
            return None
        axes.append(found.pop() if found else None)
    missing = [axis for axis in (CHANNELS, HEIGHT, WIDTH) if axis not in axes]
    axes = [missing.pop(0) if axis is None else axis for axis in axes]
    return tuple(axes) if sorted(axes) == [CHANNELS, HEIGHT, WIDTH] else None


def _in_order(node: OnnxNode, record: Layer, values: list[Value]) -> list[Value]:
    """The two values of a sum, that of a skip connection's body before the one it skips with.

    C++'s Residual has them so; others stay in the order in which they were written.
    """
    first, second = values
    is_sum = record.kind == "Add" and first.shape == second.shape
    return [second, first] if is_sum and node.depends(second, first) else values


def _with_constant(
    node: OnnxNode, record: Layer, value: Value, constant: Constant, is_reversed: bool
) -> Value:
    """A value and numbers that broadcast to it, as an image of their own."""
    array = constant.array
    is_one = array.size == 1
    image = array.reshape(1, 1, 1) if is_one else _constant_image(node, value, constant)
    if _does_nothing(node.operator, image, is_reversed):
        return value
    channels, height, width = image.shape
    options = {"channels": channels, "height": height, "width": width}
    if is_reversed:
        options["reversed"] = 1
    plain = as_held(value)
    made = node.make(record, options, [plain], [Constant(_constant_name(node, constant), image)])
    if made.shape != value.shape:
        view = like(value.view, made.shape)
        if value.view != like(value.view, value.shape):
            raise node.fail("a constant that broadcasts to the value", shape_text(array.shape))
        return Value(made.number, made.shape, view)
    return Value(made.number, made.shape, value.view)


def _constant_name(node: OnnxNode, constant: Constant) -> str:
    return f"{node.base_name}.value" if is_generated(constant.name) else constant.name


def _constant_image(node: OnnxNode, value: Value, constant: Constant) -> np.ndarray:
    """A constant of ONNX's shape as channels, height and width of the value's image."""
    array = constant.array
    rank = len(value.view) + 1
    if array.ndim > rank:
        if any(size != 1 for size in array.shape[: array.ndim - rank]):
            raise node.fail(f"at most {rank} dimensions", shape_text(array.shape))
        array = array.reshape(array.shape[array.ndim - rank :])
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    if array.shape[0] != 1:
        raise node.fail("one constant for all images", shape_text(array.shape))
    array = array[0]
    # Cut into the factors of the view, which are then put in the image's order.
    entries: list[Factor] = []
    for place, (dimension, size) in enumerate(zip(value.view, array.shape, strict=True)):
        if size == 1:
            continue
        if size == length(dimension):
            entries += dimension
        elif not dimension and len(value.view) == 3:
            entries.append(Factor(place, 1, size))
        else:
            raise node.fail(
                f"numbers for {shape_text(lengths(value.view))}", shape_text(array.shape)
            )
    order = sorted(range(len(entries)), key=lambda i: (entries[i].axis, -entries[i].stride))
    array = array.reshape([factor.length for factor in entries]).transpose(order)
    own = [factor for dimension in value.view for factor in dimension]
    sizes, full, shape = [], [], []
    for axis in (CHANNELS, HEIGHT, WIDTH):
        given = {f.stride: f.length for f in entries if f.axis == axis}
        factors = [f for f in own if f.axis == axis] if given else []
        factors = factors or [Factor(axis, 1, given[1])] if given else []
        for factor in sorted(factors, key=lambda f: -f.stride):
            sizes.append(given.get(factor.stride, 1))
            full.append(factor.length)
        shape.append(math.prod(factor.length for factor in factors))
    array = np.broadcast_to(array.reshape(sizes), full)
    return np.ascontiguousarray(array).reshape(shape)


def _matmul(node: OnnxNode) -> Outputs:
    """A matrix on the channels, wherever ONNX sees them: a 1x1 convolution."""
    value = node.viewed(0)
    weight = node.constant(1)
    if weight.ndim != 2:
        raise node.fail("a matrix", shape_text(weight.shape))
    sizes = lengths(value.view)
    if value.view[-1] != axis_dimension(value.shape, CHANNELS) or not value.view[-1]:
        if len(value.view) == 1:
            value = node.image(value)
        else:
            last = len(sizes) - 1
            held = with_channels(node, value, last)
            made = pointwise(node, held, Constant(node.tensor(1).name, weight.T))
            return [with_sizes_of(made, (*sizes[:-1], weight.shape[1]), last)]
    if value.shape[1:] == (1, 1) and len(value.view) == 1:
        options = {"in_features": weight.shape[0], "out_features": weight.shape[1], "bias": 0}
        tensor = Constant(node.tensor(1).name, weight.T)
        return [node.make(LAYERS["Dense"], options, [value], [tensor])]
    made = pointwise(node, value, Constant(node.tensor(1).name, weight.T))
    view = (*value.view[:-1], axis_dimension(made.shape, CHANNELS))
    return [Value(made.number, made.shape, view)]


def _over_channels(node: OnnxNode) -> Outputs:
    """Softmax and the like along one axis, or all behind it, wherever ONNX sees them."""
    value = node.viewed(0)
    if len(value.view) == 1:
        value = node.image(value)
    is_norm = node.operator == "LayerNormalization"
    axis = node.attribute("axis", -1 if node.opset >= 13 or is_norm else 1)
    sizes = lengths(value.view)
    first = axis % (len(sizes) + 1) - 1
    if first < 0:
        raise node.fail("each image by itself", f"axis {axis}, the batch")
    # A norm, and softmax of old opsets, take all that comes behind as well.
    takes_more = is_norm or node.opset < 13
    count = len(sizes) - first if takes_more and math.prod(sizes[first + 1 :]) > 1 else 1
    _, convert = CONVERTERS[node.operator]
    whole = axis_dimension(value.shape, CHANNELS)
    if count == 1 and value.view[first] == whole and (whole or first == 0):
        return [in_any_order(node.on(value), convert)]
    made = convert(node.on(with_channels(node, value, first, count)))
    return [with_sizes_of(made, sizes, first, count)]


def _prelu(node: OnnxNode) -> Outputs:
    """One slope for all or for each channel is a layer, others are arithmetic."""
    value, slopes = node.viewed(0), node.tensor(1)
    is_one = slopes.array.size == 1
    image = slopes.array.reshape(1, 1, 1) if is_one else _constant_image(node, value, slopes)
    plain = as_held(value)
    if image.shape[1:] == (1, 1):
        tensor = Constant(slopes.name, image.reshape(-1))
        made = node.make(LAYERS["PReLU"], {"channels": image.size}, [plain], [tensor])
        return [Value(made.number, made.shape, value.view)]
    if any(size not in (1, of) for size, of in zip(image.shape, value.shape, strict=True)):
        raise node.fail(f"slopes that broadcast to {shape_text(value.shape)}", str(image.shape))
    # max(x, 0) + slope min(x, 0)
    above = node.make(LAYERS["ReLU"], {}, [plain])
    below = node.make(LAYERS["Clip"], {"highest": 0}, [plain])
    options = dict(zip(("channels", "height", "width"), image.shape, strict=True))
    scaled = node.make(LAYERS["Mul"], options, [below], [node.new_tensor("value", image)])
    made = node.make(LAYERS["Add"], {}, [above, scaled])
    return [Value(made.number, made.shape, value.view)]


def _does_nothing(operator: str, image: np.ndarray, is_reversed: bool) -> bool:
    neutral = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}.get(operator)
    if neutral is None or (is_reversed and operator in ("Sub", "Div")):
        return False
    return image.size == 1 and float(image.ravel()[0]) == neutral


ARITHMETIC: dict[str, Callable[[OnnxNode], Outputs]] = {
    "MatMul": _matmul,
    "PRelu": _prelu,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Min", "Max"), _arithmetic),
    **dict.fromkeys(("Softmax", "LogSoftmax", "LayerNormalization"), _over_channels),
}
