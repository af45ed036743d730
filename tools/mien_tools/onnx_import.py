"""Turns a model of ONNX into a graph of Mien's layers and its tensors.

Constants are folded, shapes are arithmetic on constants (the batch is one image, other sizes are
known), what moves no value becomes a view (mien_tools.onnx_view), and what is left are nodes that
the records of layers turn into layers. Needs onnx and NumPy.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien_tools.graph import LARGEST_SIDE, Graph, Input, Node
from mien_tools.onnx_node import OnnxError
from mien_tools.onnx_pass import Imported, Pass, first_line, refused_if_malformed
from mien_tools.shapes import Shape, shape_text

# Of inputs whose height and width are free: the graph must be the same for both.
_FREE_SIZES = ((64, 64), (61, 83))


def free_sizes(multiple: int = 1) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two sizes of an input whose height and width are any multiples of a number."""
    first, second = (
        tuple(-(-side // multiple) * multiple for side in size) for size in _FREE_SIZES
    )
    return first, second if second != first else (first[0], first[1] + multiple)


def load_model(path: Path):
    """The model in a file; raises OnnxError."""
    import onnx

    try:
        model = onnx.load(path)
    except OSError:
        raise
    except Exception as error:
        raise OnnxError(f"{path}: expected an ONNX model, found {first_line(error)}") from error
    if not model.graph.node and not model.graph.output:
        raise OnnxError(f"{path}: expected an ONNX model, found something else")
    return model


def import_model(
    model,
    where: str,
    sizes: Sequence[Shape] = (),
    module_names: frozenset[str] | None = None,
    model_of_other_size=None,
    size_multiple: int = 1,
) -> Imported:
    """The graph and tensors of an ONNX model; raises OnnxError.

    `sizes` are the inputs' where they are not to be the model's own; height and width None: any
    multiple of `size_multiple`. `module_names` are those of a PyTorch module's leaves, if the model
    is one that PyTorch wrote, for the first of free_sizes() if they are free;
    `model_of_other_size` is that for the second.
    """
    with refused_if_malformed(where):
        return _import(model, where, sizes, module_names, model_of_other_size, size_multiple)


def _import(
    model,
    where: str,
    sizes: Sequence[Shape],
    module_names: frozenset[str] | None,
    model_of_other_size,
    size_multiple: int,
) -> Imported:
    import onnx

    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    own = _input_shapes(model, where)
    if sizes and len(sizes) != len(own):
        raise OnnxError(f"{where}: inputs: expected {len(own)} sizes, found {len(sizes)}")
    shapes = [_with_size(entry, sizes[i] if sizes else None, where) for i, entry in enumerate(own)]
    if not any(None in shape for _, shape in shapes):
        return Pass(model, where, shapes, module_names).run()
    found = []
    both = free_sizes(size_multiple)
    for size, of_size in zip(both, (model, model_of_other_size or model), strict=True):
        fixed = [
            (name, tuple(size[axis - 1] if n is None else n for axis, n in enumerate(shape)))
            for name, shape in shapes
        ]
        found.append(Pass(of_size, where, fixed, module_names).run())
    _require_same(*found, both, where)
    free = tuple(
        Input(entry.channels, *(shape[1:] if None not in shape else (None, None)), entry.name)
        for entry, (_, shape) in zip(found[0].graph.inputs, shapes, strict=True)
    )
    graph = Graph(free, found[0].graph.nodes, found[0].graph.outputs)
    graph.shapes()  # refuses what needs a fixed size
    return replace(found[0], graph=graph)


def _require_same(
    first: Imported, second: Imported, both: Sequence[tuple[int, int]], where: str
) -> None:
    """Raise OnnxError unless the graphs for two sizes of the image are the same."""
    sizes = " and ".join(shape_text(size) for size in both)
    for one, other in zip(first.graph.nodes, second.graph.nodes, strict=False):
        same_tensors = one.tensors == other.tensors and all(
            np.array_equal(first.tensors[name], second.tensors[name]) for name in one.tensors
        )
        if one != other or not same_tensors:
            raise OnnxError(
                f"{where}: {one.label}: expected the same layer for images of {sizes}, found "
                f"{_spelled(one)} and {_spelled(other)}; give --input a height and a width"
            )
    if len(first.graph.nodes) != len(second.graph.nodes):
        raise OnnxError(
            f"{where}: expected the same layers for images of {sizes}, found "
            f"{len(first.graph.nodes)} and {len(second.graph.nodes)}; give --input a height and a "
            "width"
        )


def _spelled(node: Node) -> str:
    options = ", ".join(f"{name} {value:g}" for name, value in node.options.items())
    return f"{node.layer} ({options})" if options else node.layer


def _input_shapes(model, where: str) -> list[tuple[str, tuple[int | None, ...]]]:
    """Names of the inputs and their dimensions without the batch, None where free."""
    import onnx

    known = {entry.name for entry in model.graph.initializer}
    known |= {entry.values.name for entry in model.graph.sparse_initializer}
    result = []
    for entry in model.graph.input:
        if entry.name in known:
            continue
        tensor = entry.type.tensor_type
        if not entry.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise OnnxError(f"{where}: input '{entry.name}': expected a tensor with a shape")
        floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
        if tensor.elem_type not in floats:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
            raise OnnxError(f"{where}: input '{entry.name}': expected floats, found {kind}")
        sizes = [
            dimension.dim_value if dimension.WhichOneof("value") == "dim_value" else None
            for dimension in tensor.shape.dim
        ]
        if not 2 <= len(sizes) <= 4:
            raise OnnxError(
                f"{where}: input '{entry.name}': expected batch x channels (x height) (x width), "
                f"found {len(sizes)} dimensions"
            )
        if sizes[0] not in (None, 0, 1):
            raise OnnxError(
                f"{where}: input '{entry.name}': expected a batch of 1 or of any size, found "
                f"{sizes[0]}"
            )
        if any(size is not None and not 0 <= size <= LARGEST_SIDE for size in sizes[1:]):
            raise OnnxError(
                f"{where}: input '{entry.name}': expected sizes of at most {LARGEST_SIDE}, found "
                f"{shape_text(sizes[1:])}"
            )
        result.append((entry.name, tuple(size or None for size in sizes[1:])))
    if not result:
        raise OnnxError(f"{where}: inputs: expected at least one, found none")
    return result


def _with_size(
    entry: tuple[str, tuple[int | None, ...]], wanted: Shape | None, where: str
) -> tuple[str, tuple[int | None, ...]]:
    """An input's dimensions, those that it leaves open as asked for."""
    name, own = entry
    if wanted is not None:
        if len(own) < 3:
            wanted = wanted[:1] if len(own) == 1 else (wanted[0], wanted[2])
        if own[0] not in (None, wanted[0]):
            raise OnnxError(
                f"{where}: input '{name}': expected {own[0]} channels, found {wanted[0]}"
            )
        own = tuple(wanted)
    if own[0] is None or (len(own) == 2 and own[1] is None):
        raise OnnxError(
            f"{where}: input '{name}': expected a number of channels, found any; give --input CxHxW"
        )
    if len(own) == 3 and (own[1] is None) != (own[2] is None):
        raise OnnxError(
            f"{where}: input '{name}': expected height and width both fixed or both free, found "
            f"{own[1]} x {own[2]}; give --input CxHxW"
        )
    return name, own


def without_sizes(model):
    """A copy of a model whose images may have any height and width, whatever it declares."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {entry.name for entry in copy.graph.initializer}
    for entry in copy.graph.input:
        dimensions = entry.type.tensor_type.shape.dim
        if entry.name not in known and len(dimensions) == 4:
            for axis, name in ((2, "height"), (3, "width")):
                dimensions[axis].dim_param = name
    for entry in copy.graph.output:
        entry.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    return copy
