"""Nodes of ONNX that move no value, and those that take some of the channels or pool."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from mien_tools.layers import LAYERS
from mien_tools.onnx_node import (
    Constant,
    OnnxNode,
    Outputs,
    Value,
    as_held,
    with_channels,
    with_sizes_of,
)
from mien_tools.onnx_view import (
    CHANNELS,
    HEIGHT,
    WIDTH,
    Dimension,
    Factor,
    View,
    axis_dimension,
    flat_view,
    image_view,
    lengths,
    merged,
    reshaped,
    row_view,
)
from mien_tools.shapes import shape_text


def _pass_on(node: OnnxNode) -> Outputs:
    if node.operator == "Dropout" and node.has(2) and bool(node.constant(2)):
        raise node.fail("no dropout in evaluation", "one with training_mode true")
    if len(node.proto.output) > 1 and node.proto.output[1]:
        raise node.fail("dropout without its mask", "an output of the mask")
    return [node.viewed(0)]


def _cast(node: OnnxNode) -> Outputs:
    import onnx

    if node.attribute("to") not in (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
    ):
        kind = onnx.TensorProto.DataType.Name(node.attribute("to")).lower()
        raise node.fail("a cast between floats", f"one to {kind}")
    return [node.viewed(0)]


def _cast_like(node: OnnxNode) -> Outputs:
    """A constant as the floats of what is computed, or a value that is floats already."""
    if node.is_constant(0):
        return [Constant(node.tensor(0).name, node.constant(0).astype(np.float32))]
    return [node.viewed(0)]


def _reshape(node: OnnxNode) -> Outputs:
    if node.operator == "Flatten":
        axis = node.attribute("axis", 1)
        sizes = lengths(node.viewed(0).view)
        axis = axis if axis >= 0 else axis + len(sizes) + 1
        if axis != 1:
            raise node.fail("axis=1, each image by itself", f"axis={axis}")
        if len(sizes) == 3 and sizes[1:] == (1, 1):
            # A layer all the same, for networks that are C++ types have it.
            return [flattened(node, node.value(0))]
        return [_with_sizes(node, (math.prod(sizes),))]
    wanted = [int(size) for size in node.constant(1)]
    old = (1, *lengths(node.viewed(0).view))
    if not node.attribute("allowzero", 0):
        wanted = [
            old[axis] if size == 0 and axis < len(old) else size for axis, size in enumerate(wanted)
        ]
    if -1 in wanted:
        rest = math.prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = math.prod(old) // max(rest, 1)
    if not wanted or wanted[0] != 1:
        # A group of channels may stand in the place of the batch: (N g, C / g, ...).
        raise node.fail("the batch first", f"sizes {shape_text(wanted)} of one image")
    return [_with_sizes(node, wanted[1:])]


def _with_sizes(node: OnnxNode, sizes: Sequence[int]) -> Value:
    value = node.viewed(0)
    view = reshaped(value.view, sizes)
    if view is None:
        # Cut where no axis of the image has a boundary: flatten it first.
        factors = tuple(factor for dimension in value.view for factor in dimension)
        value = node.image(Value(value.number, value.shape, (merged(factors),)))
        view = reshaped(value.view, sizes)
    if view is None:
        raise node.fail(
            f"{shape_text(lengths(node.viewed(0).view))} cut along its axes",
            f"{shape_text(sizes)}",
        )
    return Value(value.number, value.shape, view)


def flattened(node: OnnxNode, value: Value) -> Value:
    """An image as a vector, by a layer."""
    shape = (math.prod(value.shape), 1, 1)
    return node.make(LAYERS["Flatten"], {}, [value], view=flat_view(shape))


def pointwise(node: OnnxNode, value: Value, weight: Constant) -> Value:
    """A matrix [outputs, inputs] on the channels of every pixel."""
    outputs, inputs = weight.array.shape
    options = {"in_channels": inputs, "out_channels": outputs, "bias": 0}
    options |= {"kernel_height": 1, "kernel_width": 1}
    return node.make(LAYERS["Conv2d"], options, [as_held(value)], [weight])


def _squeeze(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    sizes = (1, *lengths(value.view))
    axes = _axes(node, len(sizes), [i for i in range(1, len(sizes)) if sizes[i] == 1])
    if 0 in axes or any(sizes[axis] != 1 for axis in axes):
        raise node.fail("axes of length 1 besides the batch", f"{axes} of {shape_text(sizes)}")
    view = tuple(dim for axis, dim in enumerate(value.view, 1) if axis not in axes)
    return [Value(value.number, value.shape, view)]


def _unsqueeze(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    given = node.attribute("axes", []) if node.opset < 13 else node.constant(1).tolist()
    rank = len(value.view) + 1 + len(given)
    axes = sorted(axis % rank for axis in given)
    if 0 in axes:
        raise node.fail("axes behind the batch", f"{axes}")
    view = list(value.view)
    for axis in axes:
        view.insert(axis - 1, ())
    return [Value(value.number, value.shape, tuple(view))]


def _axes(node: OnnxNode, rank: int, default: list[int]) -> list[int]:
    """The axes of a node: an attribute in old opsets, an input in new ones."""
    if node.has_attribute("axes"):
        axes = node.attribute("axes")
    else:
        axes = node.constant(1).tolist() if node.has(1) else default
    return [axis % rank for axis in axes]


def _transpose(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    rank = len(value.view) + 1
    order = node.attribute("perm", list(range(rank))[::-1])
    if order[0] != 0:
        raise node.fail("the batch first", f"perm={order}")
    return [Value(value.number, value.shape, tuple(value.view[axis - 1] for axis in order[1:]))]


def _concat(node: OnnxNode) -> Outputs:
    values = [node.viewed(index) for index in range(node.input_count)]
    rank = len(values[0].view) + 1
    axis = node.attribute("axis") % rank
    if axis == 0:
        raise node.fail("each image by itself", "a concatenation of batches (axis=0)")
    if any(len(value.view) + 1 != rank for value in values):
        raise node.fail(f"values of {rank} dimensions", "others")
    if axis == 1:
        values = [node.image(value) for value in values]
        return [_joined(node, values)]
    all_sizes = [list(lengths(value.view)) for value in values]
    joined = _joined(node, [with_channels(node, value, axis - 1) for value in values])
    sizes = all_sizes[0]
    sizes[axis - 1] = sum(other[axis - 1] for other in all_sizes[1:]) + sizes[axis - 1]
    return [with_sizes_of(joined, sizes, axis - 1)]


def _joined(node: OnnxNode, values: Sequence[Value]) -> Value:
    if len(values) == 1:
        return values[0]
    for value in values:
        if value.shape[1:] != values[0].shape[1:]:
            raise node.fail(
                f"images of {shape_text(values[0].shape[1:])}", shape_text(value.shape[1:])
            )
    return node.make(LAYERS["Concatenate"], {}, values)


def _channels(node: OnnxNode, axis: int, first: int, count: int) -> Value:
    """Some of the channels of an image."""
    value = node.value(0)
    if axis != 1:
        raise node.fail("some of the channels (axis 1)", f"axis {axis}")
    if (first, count) == (0, value.shape[0]):
        return value
    return node.make(LAYERS["Slice"], {"first": first, "count": count}, [value])


def _split(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    rank = len(value.view) + 1
    axis = node.attribute("axis", 0) % rank
    total = (1, *lengths(value.view))[axis]
    count = len(node.proto.output)
    if node.has_attribute("split"):
        sizes = node.attribute("split")
    elif node.has(1):
        sizes = node.constant(1).tolist()
    else:
        part = -(-total // count)
        sizes = [min(part, total - i * part) for i in range(count)]
    if sum(sizes) != total:
        raise node.fail(f"parts of {total} in all", f"{sizes}")
    firsts = np.cumsum([0, *sizes]).tolist()
    view = _split_view(node, value, axis, sizes)
    if view is not None:
        return view
    return [_channels(node, axis, first, size) for first, size in zip(firsts, sizes, strict=False)]


def _split_view(node: OnnxNode, value: Value, axis: int, sizes: Sequence[int]) -> Outputs | None:
    """Parts along a dimension of the view that is the outer part of the channels."""
    plain = (image_view(value.shape), flat_view(value.shape), row_view(value.shape))
    if value.view in plain or set(sizes) != {1}:
        return None
    parts = []
    for index in range(len(sizes)):
        part = _part(node, value, axis, index)
        if part is None:
            return None
        parts.append(Value(part.number, part.shape, _with_empty(part.view, axis)))
    return parts


def _part(node: OnnxNode, value: Value, axis: int, index: int) -> Value | None:
    """One index of a dimension that is the outermost part of the channels."""
    dimension = value.view[axis - 1]
    if len(dimension) != 1 or dimension[0].axis != CHANNELS:
        return None
    factor = dimension[0]
    if factor.stride * factor.length != value.shape[0]:
        return None
    plain = as_held(value)
    made = node.make(
        LAYERS["Slice"], {"first": index * factor.stride, "count": factor.stride}, [plain]
    )
    view = tuple(dim for number, dim in enumerate(value.view, 1) if number != axis)
    return Value(made.number, made.shape, view)


def _slice(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    rank = len(value.view) + 1
    sizes = (1, *lengths(value.view))
    starts, ends = node.constant(1).tolist(), node.constant(2).tolist()
    axes = node.constant(3).tolist() if node.has(3) else list(range(len(starts)))
    steps = node.constant(4).tolist() if node.has(4) else [1] * len(starts)
    result = value
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = given % rank
        first, last, step = slice(start, end, step).indices(sizes[axis])
        if (first, last, step) == (0, sizes[axis], 1):
            continue
        if step != 1:
            raise node.fail("slices without steps", f"step {step} along axis {axis}")
        result = _channels(node.on(result), axis, first, last - first)
    return [result]


def _gather(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    axis = node.attribute("axis", 0) % (len(value.view) + 1)
    index = node.constant(1)
    if index.ndim == 0:
        size = (1, *lengths(value.view))[axis]
        number = int(index) % size
        is_channels = axis == 1 and value.view[0] == axis_dimension(value.shape, CHANNELS)
        part = _part(node, value, axis, number) if axis and not is_channels else None
        if part is not None:
            return [part]
        made = _channels(node, axis, number, 1)
        view = tuple(dim for place, dim in enumerate(made.view, 1) if place != axis)
        return [Value(made.number, made.shape, view)]
    wanted = index.ravel().tolist()
    if wanted == list(range(wanted[0], wanted[0] + len(wanted))):
        return [_channels(node, axis, wanted[0], len(wanted))]
    raise node.fail("channels that stand in a row", f"{wanted[:8]}")


def _reduce(node: OnnxNode) -> Outputs:
    value = node.viewed(0)
    rank = len(value.view) + 1
    axes = _axes(node, rank, [])
    if not axes and not node.attribute("noop_with_empty_axes", 0):
        axes = list(range(1, rank))
    if 0 in axes:
        raise node.fail("each image by itself", "a reduction over the batch")
    reduced = [factor for axis in axes for factor in value.view[axis - 1]]
    made = _pooled(node, value, reduced) if reduced else value
    keeps = node.attribute("keepdims", 1)
    view = []
    for axis, dimension in enumerate(value.view, 1):
        if axis in axes:
            if keeps:
                view.append(())
        else:
            view.append(dimension)
    return [Value(made.number, made.shape, tuple(view))]


def _pooled(node: OnnxNode, value: Value, reduced: Sequence[Factor]) -> Value:
    """The mean or maximum over whole rows, columns or both."""
    axes = {factor.axis for factor in reduced}
    whole = all(
        factor.stride == 1 and factor.length == value.shape[factor.axis] for factor in reduced
    )
    channels, height, width = value.shape
    plain = as_held(value)
    if axes == {CHANNELS} and whole and node.operator in ("ReduceMean", "ReduceSum"):
        share = 1.0 / channels if node.operator == "ReduceMean" else 1.0
        return pointwise(node, value, node.new_tensor("weight", np.full((1, channels), share)))
    if CHANNELS in axes or not whole:
        raise node.fail(
            "a reduction over height, width or both",
            f"one over others of {shape_text(value.shape)}",
        )
    size = {
        "out_height": 1 if HEIGHT in axes else height,
        "out_width": 1 if WIDTH in axes else width,
    }
    if node.operator == "ReduceMax":
        return node.make(LAYERS["AdaptiveMaxPool2d"], size, [plain])
    made = node.make(LAYERS["AdaptiveAvgPool2d"], size, [plain])
    if node.operator == "ReduceSum":
        count = (height if HEIGHT in axes else 1) * (width if WIDTH in axes else 1)
        constant = node.new_tensor("value", np.array([[[float(count)]]]))
        made = node.make(
            LAYERS["Mul"], {"channels": 1, "height": 1, "width": 1}, [made], [constant]
        )
    return made


def _with_empty(view: View, axis: int) -> View:
    """The view with a dimension of length 1 at the place of one that went."""
    empty: Dimension = ()
    return (*view[: axis - 1], empty, *view[axis - 1 :])


STRUCTURE: dict[str, Callable[[OnnxNode], Outputs]] = {
    "Identity": _pass_on,
    "Dropout": _pass_on,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "ReduceSum": _reduce,
}
