"""A torch.nn.Module as a graph of Mien's layers, by way of PyTorch's own exporter to ONNX.

That exporter runs the forward on an example and records what PyTorch computes, so that functional
calls, slices and control flow on shapes need nothing here. Of its two, the one that works on
TorchScript is used: it keeps batch normalisations and the names of tensors as they are, writes the
line of the source into nodes if asked, and takes 0.05 s for a small network where the other takes
1 s and further packages (PyTorch 2.13).
"""

import copy
import importlib
import importlib.util
import inspect
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.onnx import symbolic_helper
from torch.overrides import TorchFunctionMode

from mien_tools.graph import Graph
from mien_tools.onnx_import import free_sizes, import_model
from mien_tools.onnx_node import OnnxError
from mien_tools.onnx_pass import DOMAIN, Imported, first_line
from mien_tools.shapes import Shape, shape_text

_OPSET = 20


class TraceError(ValueError):
    """A module cannot be written as Mien's layers; the message says what, where and why."""


class ModuleError(ValueError):
    """There is no module where one was to be loaded from."""


def trace(module: nn.Module, input_shape: Shape) -> Graph:
    """The layers that a module applies to images of a shape; raises TraceError."""
    return import_module(module, [input_shape]).graph


def import_module(
    module: nn.Module, input_shapes: Sequence[Shape], size_multiple: int = 1
) -> Imported:
    """The layers that `module`, in evaluation mode, applies to inputs of given shapes (C, H, W).

    Nodes come in the order in which the forward computes them and carry the qualified names of
    their modules; tensors are named as in the state_dict, and a module that is used twice has two
    nodes that share its tensors. Height and width None: any multiple of `size_multiple`. A shape
    (C,) is a vector. `module` itself is not changed. Raises TraceError.
    """
    module = copy.deepcopy(module).eval()
    for name, submodule in module.named_modules():
        if any(is_lazy(tensor) for tensor in submodule.parameters(recurse=False)):
            raise TraceError(
                f"{name or 'the network'} ({type(submodule).__name__}): expected tensors with "
                "shapes, found a lazy module (call the network once on an input first)"
            )
    # Lists of modules are none that computes.
    leaves = frozenset(
        name for name, submodule in module.named_modules() if name and not any(submodule.children())
    )
    names = _input_names(module, len(input_shapes))
    first_size, second_size = free_sizes(size_multiple)
    fixed = [_of_size(shape, first_size) for shape in input_shapes]
    where = type(module).__name__
    try:
        model = _to_onnx(module, fixed, names)
        if fixed == [tuple(shape) for shape in input_shapes]:
            return import_model(model, where, module_names=leaves)
        # What the forward computes of sizes is in the model for this size alone.
        other = [_of_size(shape, second_size) for shape in input_shapes]
        second = _to_onnx(module, other, names)
        return import_model(model, where, list(input_shapes), leaves, second, size_multiple)
    except OnnxError as error:
        raise TraceError(_with_line(error, module, fixed, names, leaves)) from error


def _of_size(shape: Shape, size: Shape) -> Shape:
    """The shape with a height and a width where they are free."""
    free = zip(shape, (0, *size), strict=False)
    return tuple(wanted if length is None else length for length, wanted in free)


def _with_line(
    error: OnnxError,
    module: nn.Module,
    shapes: Sequence[Shape],
    names: Sequence[str],
    leaves: frozenset[str],
) -> str:
    """The message of an import that failed, with the line of the source if that is known."""
    try:
        import_model(
            _to_onnx(module, shapes, names, with_lines=True),
            type(module).__name__,
            module_names=leaves,
        )
    except OnnxError as same:
        return str(same)
    return str(error)


def _input_names(module: nn.Module, count: int) -> list[str]:
    """ "input" for one; those of the forward's arguments for several."""
    if isinstance(module, torch.jit.ScriptModule):
        return ["input"] if count == 1 else [f"input{index}" for index in range(count)]
    parameters = list(inspect.signature(module.forward).parameters.values())
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p.name for p in named if p.default is p.empty]
    if not parameters or len(required) > count:
        raise TraceError(
            f"forward of {type(module).__name__}: expected {count} required "
            f"argument{'s' if count > 1 else ''}, one for each input, found {len(required)} "
            f"({', '.join(required)})"
        )
    if count == 1:
        return ["input"]
    return [p.name for p in named[:count]] + [f"input{i}" for i in range(len(named), count)]


def run_module(module: nn.Module, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """A module's outputs for one input, by name."""
    parameters = list(module.parameters())
    dtype = parameters[0].dtype if parameters else torch.float64
    with torch.no_grad():
        result = module(*(torch.from_numpy(values).to(dtype).unsqueeze(0) for values in inputs))
    return {name: tensor.squeeze(0).numpy() for name, tensor in named_outputs(result).items()}


def named_outputs(result: object) -> dict[str, object]:
    """What a forward returned, by the names of the network's outputs; raises TraceError.

    Those of a dictionary or a named tuple are its own, others are output0, output1 and so on; one
    tensor alone is "output".
    """
    if isinstance(result, dict):
        named = {str(name): value for name, value in result.items()}
    elif isinstance(result, (tuple, list)):
        fields = getattr(result, "_fields", [f"output{index}" for index in range(len(result))])
        named = dict(zip(fields, result, strict=True))
    else:
        named = {"output": result}
    if not named:
        raise TraceError(
            "the network's output: expected a tensor, or a tuple, a list or a dictionary of "
            f"tensors, found an empty {type(result).__name__}"
        )
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TraceError(
                f"the network's {name if name == 'output' else f'output {name!r}'}: expected a "
                f"tensor computed from the images, found {type(value).__name__}"
            )
    return named


def _to_onnx(
    module: nn.Module, shapes: Sequence[Shape], names: Sequence[str], with_lines: bool = False
):
    """What PyTorch exports of a module for inputs of these shapes.

    With the lines of the source in every node the exporter prints the whole graph, too, as it does
    when it fails, from where only the process's standard output can be shut.
    """
    import onnx

    floating = (t.dtype for t in module.state_dict().values() if t.is_floating_point())
    dtype = next(floating, torch.float32)
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.rand(1, *shape, generator=generator, dtype=dtype) for shape in shapes)
    where = f"{type(module).__name__} on {' and '.join(shape_text(shape) for shape in shapes)}"
    output_names = list(named_outputs(_watched_run(module, inputs, where)))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), _without_output(), _layers_kept_whole():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                inputs,
                buffer,
                dynamo=False,
                verbose=with_lines,
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                input_names=list(names),
                output_names=output_names,
            )
        except Exception as error:
            raise TraceError(
                f"{where}{user_line(error)}: expected what PyTorch can export to ONNX, found "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error
    return onnx.load_model_from_string(buffer.getvalue())


class _ValueWatch(TorchFunctionMode):
    """Notices if a forward looks at numbers, which would fix its course for all images."""

    _LOOKS = frozenset(
        (
            Tensor.__bool__,
            Tensor.__int__,
            Tensor.__float__,
            Tensor.__index__,
            Tensor.item,
            Tensor.tolist,
        )
    )

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self._LOOKS and id(args[0]) not in self._own:
            raise _LooksAtValues
        return func(*args, **(kwargs or {}))


class _LooksAtValues(Exception):
    pass


def _watched_run(module: nn.Module, inputs: Sequence[Tensor], where: str) -> object:
    """What a forward returns, if its course is the same for all images; raises TraceError."""

    def run() -> object:
        with torch.no_grad():
            return module(*(value.clone() for value in inputs))

    try:
        with _ValueWatch(module):
            return run()
    except _LooksAtValues as error:
        raise TraceError(
            f"{where}{user_line(error)}: expected a computation that does not depend on the "
            "images' values, found one that looks at them"
        ) from error
    except Exception:
        # Perhaps the watch hinders it.
        try:
            return run()
        except Exception as error:
            raise TraceError(
                f"{where}{user_line(error)}: expected a run without errors, found "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error


class _LocalResponseNorm(torch.autograd.Function):
    """Keeps whole what PyTorch would export in parts."""

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k):
        return _local_response_norm(x, size, alpha, beta, k)

    @staticmethod
    def symbolic(g, x, size, alpha, beta, k):
        return _own_layer(g, "LocalResponseNorm", x, size=size, alpha=alpha, beta=beta, k=k)


_local_response_norm = functional.local_response_norm


def _whole_local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    # The exporter cannot record calls with whole numbers in place of real ones.
    return _LocalResponseNorm.apply(input, size, float(alpha), float(beta), float(k))


def _own_layer(g, kind: str, x, *tensors, **options: float):
    """A node of Mien's own domain that keeps the shape of `x`; options as texts, in all digits."""
    texts = {f"{name}_s": repr(value) for name, value in options.items()}
    return g.op(f"{DOMAIN}::{kind}", x, *tensors, **texts).setType(x.type())


def _adaptive_pool(kind: str):
    def symbolic(g, x, output_size):
        shape = x.type().sizes()
        wanted = symbolic_helper._maybe_get_const(output_size, "is")
        if not isinstance(wanted, list):
            sizes = symbolic_helper._unpack_list(output_size)
            wanted = [symbolic_helper._maybe_get_const(size, "i") for size in sizes]
        if wanted == [1, 1]:
            name = "GlobalMaxPool" if kind == "AdaptiveMaxPool2d" else "GlobalAveragePool"
            made = g.op(name, x)
            return (made, None) if kind == "AdaptiveMaxPool2d" else made
        if shape is None or len(wanted) != len(shape) - 2:
            raise ValueError("adaptive pooling of an unknown size")
        out = [
            own if symbolic_helper._is_none(size) else size
            for size, own in zip(wanted, shape[2:], strict=True)
        ]
        if not all(isinstance(size, int) for size in out):
            raise ValueError("adaptive pooling to a size that is computed")
        made = _own_layer(g, kind, x, out_height=out[0], out_width=out[1])
        made.setType(x.type().with_sizes([*shape[:2], *out]))
        return (made, None) if kind == "AdaptiveMaxPool2d" else made

    return symbolic


def _group_norm(g, x, groups, weight, bias, epsilon, cudnn_enabled):
    channels = x.type().sizes()[1]
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    if symbolic_helper._is_none(weight):
        weight = g.op("Constant", value_t=ones)
    if symbolic_helper._is_none(bias):
        bias = g.op("Constant", value_t=zeros)
    options = {
        "groups": symbolic_helper._maybe_get_const(groups, "i"),
        "channels": channels,
        "epsilon": symbolic_helper._maybe_get_const(epsilon, "f"),
    }
    return _own_layer(g, "GroupNorm", x, weight, bias, **options)


def _channel_shuffle(g, x, groups):
    return _own_layer(g, "ChannelShuffle", x, groups=symbolic_helper._maybe_get_const(groups, "i"))


_SYMBOLICS = {
    "aten::adaptive_avg_pool2d": _adaptive_pool("AdaptiveAvgPool2d"),
    "aten::adaptive_max_pool2d": _adaptive_pool("AdaptiveMaxPool2d"),
    "aten::channel_shuffle": _channel_shuffle,
    "aten::group_norm": _group_norm,
}


@contextmanager
def _layers_kept_whole() -> Iterator[None]:
    """Lets the exporter write layers that ONNX does not have as nodes of Mien's own domain."""
    for name, symbolic in _SYMBOLICS.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, _OPSET)
    functional.local_response_norm = _whole_local_response_norm
    try:
        yield
    finally:
        functional.local_response_norm = _local_response_norm
        for name in _SYMBOLICS:
            torch.onnx.unregister_custom_op_symbolic(name, _OPSET)


@contextmanager
def _without_output() -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def load_module(spec: str) -> nn.Module:
    """The module that "file.py:name" or "package.module:name" stands for.

    `name` is a torch.nn.Module, or a class or function that makes one when called without
    arguments. Raises ModuleError.
    """
    source, _, name = spec.rpartition(":")
    if not source or not name:
        raise ModuleError(f"--module: expected FILE.py:NAME or PACKAGE.MODULE:NAME, found '{spec}'")
    found = _guarded(f"--module {spec}: importing {source}", lambda: _import(source))
    for attribute in name.split("."):
        if not hasattr(found, attribute):
            raise ModuleError(f"--module {spec}: expected '{name}' in {source}, found none")
        found = getattr(found, attribute)
    if not isinstance(found, nn.Module):
        if not callable(found):
            kind = type(found).__name__
            raise ModuleError(f"--module {spec}: expected a module or what makes one, found {kind}")
        found = _guarded(f"--module {spec}: calling {name}()", found)
    if not isinstance(found, nn.Module):
        raise ModuleError(
            f"--module {spec}: expected a torch.nn.Module, found {type(found).__name__}"
        )
    return _unwrapped(found)


def _unwrapped(module: nn.Module) -> nn.Module:
    """The network inside what DataParallel or torch.compile put around it."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod
        else:
            return module


def _import(source: str) -> object:
    if not source.endswith(".py"):
        # Packages in the current folder are importable, as for `python -m`.
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(source)
    path = Path(source).resolve()
    # A script's neighbours are importable, as when Python runs it.
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"mien_export_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _guarded(where: str, action: Callable[[], object]) -> object:
    """The result of code that is not ours; whatever it raises becomes a ModuleError."""
    try:
        return action()
    except Exception as error:
        raise ModuleError(
            f"{where}{user_line(error)}: expected no error, found {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error


_TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep
_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _is_users(file: str) -> bool:
    """Whether a source file is neither PyTorch's nor one of this package's tools."""
    is_generated = file.startswith("<")
    is_own = os.path.dirname(file) == _OWN_FOLDER
    return not (is_generated or is_own or file.startswith(_TORCH_FOLDER))


def user_line(error: Exception) -> str:
    """ ", file:line `text`" of the user's line that raised an error, if it is one."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_users(frame.filename):
            return f", {frame.filename}:{frame.lineno}" + (f" `{frame.line}`" if frame.line else "")
    return ""
