"""Turns a torch.nn.Module into a tree of Mien's layers.

torch.fx records the forward symbolically, a run on zeros gives every shape, what does nothing in
evaluation (dropout, nn.Identity) vanishes, and the graph that is left is decomposed into chains,
residual additions and concatenations: where paths meet, they are followed back to the value from
which all of them came.
"""

import copy
import inspect
import math
import operator
import os
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from mien_tools import layer_tree
from mien_tools.layer_tree import Concatenate, Layer, Pair, Residual, Sequential
from mien_tools.shapes import Shape, shape_text

# With two images in the batch, a reshape that mixes images shows in the shapes.
_BATCH = 2

_LAYER_NAMES = (
    "convolution, batch normalisation, ReLU, ReLU6, max pooling, average pooling, local response "
    "normalisation, flattening, linear, softmax, dropout or identity"
)

# The largest numerator and denominator of std::ratio.
_LARGEST_RATIO = 2**63 - 1


class TraceError(ValueError):
    """A module cannot be written as Mien's layers; the message says what, where and why."""


def trace(module: nn.Module, input_shape: Shape) -> Sequential:
    """The layers that `module`, in evaluation mode, applies to images of `input_shape` (C, H, W).

    Leaves with tensors carry the qualified name of the module that holds them; a module that is
    used twice stands in the tree twice. `module` itself is not changed. Raises TraceError.
    """
    module = copy.deepcopy(module).eval()
    _check_submodules(module)
    graph = _record(module)
    results = _run(module, graph, input_shape)
    output, start = _Converter(module, graph, results).convert()
    return Sequential(tuple(_chain(output, start, claimed=set())))


@dataclass(eq=False)
class _Value:
    """What flows between layers: the input, a layer's output, or what `joins` several values.

    `joins` makes a layer of the branches that lead to the inputs, each a list of layers, from the
    value from which they part.
    """

    where: str
    shape: Shape
    inputs: tuple["_Value", ...] = ()
    layer: Layer | None = None
    joins: Callable[[list[list[Layer]], str], Layer] | None = None

    def __post_init__(self) -> None:
        # The nearest value through which every path from the input to this one leads.
        self.dominator: _Value | None = None
        self.depth = 0
        if self.inputs:
            self.dominator = self.inputs[0]
            for other in self.inputs[1:]:
                self.dominator = _common_dominator(self.dominator, other)
            self.depth = self.dominator.depth + 1


def _common_dominator(a: _Value, b: _Value) -> _Value:
    while a is not b:
        if a.depth < b.depth:
            a, b = b, a
        a = a.dominator
    return a


def _chain(value: _Value, start: _Value, claimed: set[_Value]) -> list[Layer]:
    """The layers that lead from `start`, which dominates `value`, to `value`."""
    layers = []
    while value is not start:
        if value in claimed:
            raise TraceError(
                f"{value.where}: expected branches that part at one value and meet in one "
                "addition or concatenation, found an output that several branches share"
            )
        claimed.add(value)
        if value.layer is not None:
            layers.append(value.layer)
        else:
            branches = [_chain(branch, value.dominator, claimed) for branch in value.inputs]
            layers.append(value.joins(branches, value.where))
        value = value.dominator
    return layers[::-1]


def _residual(branches: list[list[Layer]], where: str) -> Residual:
    """The sum of two branches; an empty one is the shortcut that does nothing."""
    body, shortcut = sorted(branches, key=lambda branch: not branch)
    if not body:
        raise TraceError(
            f"{where}: expected the sum of two different values, found a value added to itself"
        )
    return Residual(_as_one_layer(body), _as_one_layer(shortcut) if shortcut else None)


def _concatenation(branches: list[list[Layer]], where: str) -> Concatenate:
    """Branches side by side."""
    if not all(branches):
        raise TraceError(
            f"{where}: expected a layer in every branch, found one that hands the branches' common "
            "input on as it is"
        )
    return Concatenate(tuple(_as_one_layer(branch) for branch in branches))


def _as_one_layer(layers: list[Layer]) -> Layer:
    return layers[0] if len(layers) == 1 else Sequential(tuple(layers))


def _check_submodules(module: nn.Module) -> None:
    """Refuse what changes a module's computation without showing in its forward."""
    for name, submodule in module.named_modules():
        where = f"{name or 'the network'} ({type(submodule).__name__})"
        if isinstance(submodule, torch.jit.ScriptModule):
            raise TraceError(f"{where}: expected a Python module, found a TorchScript one")
        if parametrize.is_parametrized(submodule):
            raise TraceError(
                f"{where}: expected plain tensors, found parametrizations (remove them with "
                "torch.nn.utils.parametrize.remove_parametrizations)"
            )
        if any(is_lazy(tensor) for tensor in submodule.parameters(recurse=False)):
            raise TraceError(
                f"{where}: expected tensors with shapes, found a lazy module (call the network "
                "once on an input first)"
            )
        if submodule._forward_hooks or submodule._forward_pre_hooks:
            raise TraceError(
                f"{where}: expected no hooks, found a forward hook (make weight_norm, "
                "spectral_norm or pruning permanent with torch.nn.utils' remove functions)"
            )


class _Tracer(fx.Tracer):
    """Keeps layers whole, also those that a class derives from without changing what they do."""

    record_stack_traces = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _layer_class(m) is not None or super().is_leaf_module(m, module_qualified_name)


def _record(module: nn.Module) -> fx.Graph:
    """The graph of the forward as a function of its first argument alone."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p.name for p in named if p.default is p.empty]
    if not parameters or len(required) > 1:
        raise TraceError(
            f"forward of {type(module).__name__}: expected one required argument, the images, "
            f"found {len(required)} ({', '.join(required)})"
        )
    original_class = type(module)

    class SingleInput(original_class):
        """Hides arguments with defaults, which fx would trace as if they were inputs."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return original_class.forward(self, images)

    module.__class__ = SingleInput
    try:
        with torch.no_grad():
            return _Tracer().trace(module)
    except Exception as error:
        raise TraceError(
            f"forward of {original_class.__name__}{user_line(error)}: expected a computation "
            f"that does not depend on the images' values, found one that torch.fx cannot record: "
            f"{first_line(error)}"
        ) from error
    finally:
        module.__class__ = original_class


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps, for each node, the shape of its tensor or its other value."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(fx.GraphModule(module, graph))
        self.results: dict[str, object] = {}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        is_tensor = isinstance(result, torch.Tensor)
        self.results[n.name] = _TensorShape(result.shape) if is_tensor else result
        return result


class _TensorShape(tuple):
    """Marks the shape of a tensor, batch included, among results that are plain tuples."""


def _run(module: nn.Module, graph: fx.Graph, input_shape: Shape) -> dict[str, object]:
    """Every node's result on a batch of zeros, by the node's name."""
    floating = (t.dtype for t in module.state_dict().values() if t.is_floating_point())
    images = torch.zeros(_BATCH, *input_shape, dtype=next(floating, torch.float32))
    where = f"{type(module).__name__} on {_BATCH} images of {shape_text(input_shape)}"
    recorder = _Recorder(module, graph)
    with torch.no_grad():
        for run in (module, recorder.run):
            try:
                run(images)
            except Exception as error:
                raise TraceError(
                    f"{where}{user_line(error)}: expected a run without errors, found "
                    f"{type(error).__name__}: {first_line(error)}"
                ) from error
    return recorder.results


@dataclass(frozen=True)
class _Call:
    """One call in the graph: of a module, a function or a method."""

    where: str
    found: str
    input_shape: _TensorShape
    output_shape: _TensorShape

    def fail(self, expected: str, found: str) -> TraceError:
        return TraceError(f"{self.where}: expected {expected}, found {found}")

    def require(self, option: str, expected: object, found: object) -> None:
        """Raise TraceError unless an option has the one value that Mien's layer knows."""
        if found != expected:
            raise self.fail(f"{option}={expected!r}", f"{option}={found!r}")

    def pair(self, option: str, value: int | tuple[int, ...]) -> Pair:
        """An option that is one number for both axes or two."""
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        if len(values) == 1:
            values *= 2
        if len(values) != 2 or not all(isinstance(size, int) for size in values):
            raise self.fail(f"{option} of one or two integers", f"{option}={value!r}")
        return values


class _Converter:
    """Makes values of the nodes of a graph."""

    def __init__(self, module: nn.Module, graph: fx.Graph, results: dict[str, object]) -> None:
        self.module = module
        self.graph = graph
        self.results = results
        self.values: dict[fx.Node, _Value] = {}

    def convert(self) -> tuple[_Value, _Value]:
        """The values of the network's output and of its input."""
        start, output = None, None
        used = self._used_nodes()
        for node in self.graph.nodes:
            if node.op == "placeholder":
                start = _Value("the input", self._tensor_shape(node)[1:])
                self.values[node] = start
            elif node.op == "output":
                output = self._output(node.args[0])
            elif node in used and self._tensor_shape(node) is not None:
                self.values[node] = self._value(node)
        return output, start

    def _used_nodes(self) -> set[fx.Node]:
        """The nodes on which the output depends."""
        used = set()
        pending = [node for node in self.graph.nodes if node.op == "output"]
        while pending:
            node = pending.pop()
            if node not in used:
                used.add(node)
                pending += node.all_input_nodes
        return used

    def _output(self, result: object) -> _Value:
        if not isinstance(result, fx.Node) or result not in self.values:
            raise TraceError(
                "the network's output: expected one tensor computed from the images, found "
                f"{type(result).__name__ if not isinstance(result, fx.Node) else result.name}"
            )
        return self.values[result]

    def _value(self, node: fx.Node) -> _Value:
        where, found = self._describe(node)
        operands, arguments, options = self._arguments(node)
        if not operands:
            raise TraceError(
                f"{where}: expected a computation on the images, found {found} on the network's "
                "own tensors"
            )
        shape = self._tensor_shape(node)
        call = _Call(where, found, self._tensor_shape(operands[0]), shape)
        operand = self.values[operands[0]]
        if _target(node) in _ADDITIONS:
            value = self._sum(call, operands, arguments, options)
        elif _target(node) in _CONCATENATIONS:
            value = self._concatenation(call, operands, arguments, options)
        else:
            layer = self._layer(node, call, arguments, options)
            value = operand if layer is None else _Value(where, shape[1:], (operand,), layer)
        if self._is_in_place(node):
            # From here on every name of the operand means the result.
            self.values |= {name: value for name, old in self.values.items() if old is operand}
        return value

    def _arguments(self, node: fx.Node) -> tuple[list[fx.Node], list, dict]:
        """Nodes that carry images, then the other arguments, with numbers that nodes computed."""

        def resolve(argument: fx.Node) -> object:
            return argument if argument in self.values else self.results[argument.name]

        arguments = list(fx.node.map_arg(node.args, resolve))
        options = dict(fx.node.map_arg(node.kwargs, resolve))
        for name in ("tensors", "input"):
            if name in options:
                arguments.insert(0, options.pop(name))
        if "other" in options:
            arguments.insert(1, options.pop("other"))
        if _target(node) in _CONCATENATIONS and isinstance(arguments[0], (list, tuple)):
            arguments = [*arguments[0], *arguments[1:]]
        operands = [a for a in arguments if isinstance(a, fx.Node)]
        if arguments and isinstance(arguments[0], fx.Node):
            arguments.pop(0)
        return operands, arguments, options

    def _sum(self, call: _Call, operands: list[fx.Node], arguments: list, options: dict) -> _Value:
        if len(operands) != 2:
            constant = next((a for a in arguments if not isinstance(a, fx.Node)), None)
            raise call.fail("the sum of two values computed from the images", f"+ {constant!r}")
        call.require("alpha", 1, options.get("alpha", 1))
        shapes = [self._tensor_shape(operand)[1:] for operand in operands]
        if shapes[0] != shapes[1]:
            raise call.fail(
                "two values of the same shape", " and ".join(shape_text(shape) for shape in shapes)
            )
        inputs = tuple(self.values[operand] for operand in operands)
        return _Value(call.where, shapes[0], inputs, joins=_residual)

    def _concatenation(
        self, call: _Call, operands: list[fx.Node], arguments: list, options: dict
    ) -> _Value:
        others = [argument for argument in arguments if not isinstance(argument, fx.Node)]
        dim = options.get("dim", options.get("axis", others[0] if others else 0))
        if dim % len(call.input_shape) != 1:
            raise call.fail("values joined along the channels (dim=1)", f"dim={dim}")
        if len(operands) < 2:
            raise call.fail("two or more values", "one")
        inputs = tuple(self.values[operand] for operand in operands)
        return _Value(call.where, call.output_shape[1:], inputs, joins=_concatenation)

    def _layer(self, node: fx.Node, call: _Call, arguments: list, options: dict) -> Layer | None:
        """The layer of a call; None where it does nothing in evaluation mode."""
        unsupported = call.fail(
            f"{_LAYER_NAMES}, an addition of two values or a concatenation", call.found
        )
        if node.op == "call_module":
            module = self.module.get_submodule(node.target)
            layer_class = _layer_class(module)
            if layer_class is None or arguments or options:
                raise unsupported
            return _MODULES[layer_class](call, module, node.target)
        convert = _CALLS.get(_target(node))
        if convert is None:
            raise unsupported
        try:
            inspect.signature(convert).bind(call, *arguments, **options)
        except TypeError as error:
            raise unsupported from error
        return convert(call, *arguments, **options)

    def _is_in_place(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return getattr(self.module.get_submodule(node.target), "inplace", False)
        return _target(node) in _IN_PLACE or node.kwargs.get("inplace", False)

    def _tensor_shape(self, node: fx.Node) -> _TensorShape | None:
        result = self.results.get(node.name)
        return result if isinstance(result, _TensorShape) else None

    def _describe(self, node: fx.Node) -> tuple[str, str]:
        """Where a node stands, and what it is."""
        if node.op == "call_module":
            found = type(self.module.get_submodule(node.target)).__name__
            return f"{node.target} ({found}){_source_line(node)}", found
        found = node.target if isinstance(node.target, str) else node.target.__name__
        return f"{found} (node {node.name}){_source_line(node)}", found


def _target(node: fx.Node) -> object:
    """A function, or the name of a method."""
    return node.target if node.op in ("call_function", "call_method") else None


_TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep
_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _is_users(file: str) -> bool:
    """Whether a source file is neither PyTorch's nor one of this package's tools."""
    is_generated = file.startswith("<")
    is_own = os.path.dirname(file) == _OWN_FOLDER
    return not (is_generated or is_own or file.startswith(_TORCH_FOLDER))


def _source_line(node: fx.Node) -> str:
    """ ", file:line `text`" of the user's line that a node comes from, if it is known."""
    frames = re.findall(r'File "(.+)", line (\d+), in .*\n(?: +(.*))?', node.stack_trace or "")
    for file, line, text in reversed(frames):
        if _is_users(file):
            return f", {file}:{line}" + (f" `{text.strip()}`" if text else "")
    return ""


def user_line(error: Exception) -> str:
    """ ", file:line `text`" of the user's line that raised an error, if it is one."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_users(frame.filename):
            return f", {frame.filename}:{frame.lineno}" + (f" `{frame.line}`" if frame.line else "")
    return ""


def first_line(error: Exception) -> str:
    """An error's message without what follows its first line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _convert_conv2d(call: _Call, module: nn.Conv2d, name: str) -> Layer:
    call.require("padding_mode", "zeros", module.padding_mode)
    call.require("dilation", (1, 1), call.pair("dilation", module.dilation))
    kernel = call.pair("kernel_size", module.kernel_size)
    if module.in_channels % module.groups or module.out_channels % module.groups:
        raise call.fail(
            f"groups that divide {module.in_channels} and {module.out_channels} channels",
            f"groups={module.groups}",
        )
    return layer_tree.Conv2d(
        module.in_channels,
        module.out_channels,
        kernel,
        call.pair("stride", module.stride),
        _padding(call, module.padding, kernel),
        module.groups,
        bias=module.bias is not None,
        source=name,
    )


def _padding(call: _Call, padding: str | tuple[int, ...], kernel: Pair) -> Pair:
    """Padding in pixels, also where it is given as "same" or "valid"."""
    if padding == "valid":
        return (0, 0)
    if padding == "same":
        if any(size % 2 == 0 for size in kernel):
            raise call.fail(
                "padding that is the same on both sides",
                f"padding='same' with a kernel of {shape_text(kernel)}",
            )
        return tuple(size // 2 for size in kernel)
    return call.pair("padding", padding)


def _convert_batch_norm(call: _Call, module: nn.BatchNorm2d | nn.BatchNorm1d, name: str) -> Layer:
    if module.running_mean is None or module.running_var is None:
        raise call.fail(
            "running statistics (track_running_stats=True)",
            "none: it normalises by each batch's own",
        )
    return layer_tree.BatchNorm2d(module.num_features, source=name)


def _convert_linear(call: _Call, module: nn.Linear, name: str) -> Layer:
    if len(call.input_shape) != 2:
        raise call.fail("a flat vector (nn.Flatten before)", shape_text(call.input_shape[1:]))
    return layer_tree.Dense(
        module.in_features, module.out_features, bias=module.bias is not None, source=name
    )


def _relu(call: _Call, inplace: bool = False) -> Layer:
    return layer_tree.ReLU()


def _relu6(call: _Call, inplace: bool = False) -> Layer:
    return layer_tree.ReLU6()


def _hardtanh(
    call: _Call, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Layer:
    if (min_val, max_val) != (0, 6):
        raise call.fail("limits 0 and 6 (ReLU6)", f"{min_val:g} and {max_val:g}")
    return layer_tree.ReLU6()


def _max_pool2d(
    call: _Call,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layer:
    call.require("dilation", (1, 1), call.pair("dilation", dilation))
    call.require("ceil_mode", False, ceil_mode)
    call.require("return_indices", False, return_indices)
    kernel = call.pair("kernel_size", kernel_size)
    return layer_tree.MaxPool2d(
        kernel, _pooling_stride(call, stride, kernel), call.pair("padding", padding)
    )


def _pooling_stride(call: _Call, stride: int | tuple[int, ...] | None, kernel: Pair) -> Pair:
    # Functional forms take an empty list for "as the kernel", too.
    return kernel if stride is None or stride in ((), []) else call.pair("stride", stride)


def _avg_pool2d(
    call: _Call,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    call.require("ceil_mode", False, ceil_mode)
    call.require("divisor_override", None, divisor_override)
    kernel = call.pair("kernel_size", kernel_size)
    padding = call.pair("padding", padding)
    if padding != (0, 0):
        call.require("count_include_pad", True, count_include_pad)
    return layer_tree.AvgPool2d(kernel, _pooling_stride(call, stride, kernel), padding)


def _adaptive_avg_pool2d(call: _Call, output_size: int | tuple[int | None, ...]) -> Layer:
    """Judged by its output: windows are equal where it divides the input."""
    sizes, wanted = call.input_shape[2:], call.output_shape[2:]
    if any(size % want for size, want in zip(sizes, wanted, strict=True)):
        raise call.fail(
            f"an output that divides {shape_text(sizes)}", f"output_size={output_size!r}"
        )
    kernel = tuple(size // want for size, want in zip(sizes, wanted, strict=True))
    return layer_tree.AvgPool2d(kernel, kernel)


def _local_response_norm(
    call: _Call, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Layer:
    if len(call.input_shape) != 4:
        raise call.fail("images", shape_text(call.input_shape[1:]))
    if not k > 0:
        raise call.fail("k of more than 0", f"k={k!r}")
    options = {"alpha": alpha, "beta": beta, "k": k}
    ratios = {name: _ratio(call, name, value) for name, value in options.items()}
    return layer_tree.LocalResponseNorm(size, **ratios)


def _ratio(call: _Call, option: str, value: float) -> Fraction:
    """The decimal number that was meant: 1e-4, which a float only approaches, is 1 / 10000."""
    ratio = Fraction(repr(float(value))) if math.isfinite(value) else Fraction(-1)
    if not 0 <= ratio.numerator <= _LARGEST_RATIO or ratio.denominator > _LARGEST_RATIO:
        raise call.fail(f"{option} that std::ratio can hold", f"{option}={value!r}")
    return ratio


def _reshape(call: _Call, *_sizes: object, **_options: object) -> Layer | None:
    """Judged by what it did to two images, whatever way it was asked."""
    if call.output_shape == call.input_shape:
        return None
    if call.output_shape != (_BATCH, math.prod(call.input_shape[1:])):
        raise call.fail(
            "each image flattened whole",
            f"{shape_text(call.input_shape)} becoming {shape_text(call.output_shape)} "
            f"with {_BATCH} images in the batch",
        )
    return layer_tree.Flatten()


def _softmax(
    call: _Call, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Layer:
    if len(call.input_shape) != 2 or dim not in (1, -1):
        raise call.fail(
            "softmax of a flat vector (dim=1)",
            f"dim={dim} of {shape_text(call.input_shape[1:])}",
        )
    call.require("dtype", None, dtype)
    return layer_tree.Softmax()


def _dropout(
    call: _Call, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Layer | None:
    if training:
        raise call.fail(
            "training=self.training", "training=True: it drops values in evaluation mode, too"
        )
    return None


def _alpha_dropout(
    call: _Call, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Layer | None:
    return _dropout(call, p, training)


def _identity(call: _Call, **_options: object) -> Layer | None:
    return None


_MODULES: dict[type[nn.Module], Callable[[_Call, nn.Module, str], Layer | None]] = {
    nn.Conv2d: _convert_conv2d,
    nn.BatchNorm2d: _convert_batch_norm,
    # C++ holds a flat vector as an image of one pixel.
    nn.BatchNorm1d: _convert_batch_norm,
    nn.Linear: _convert_linear,
    nn.ReLU: lambda call, module, name: _relu(call),
    nn.ReLU6: lambda call, module, name: _relu6(call),
    nn.Hardtanh: lambda call, module, name: _hardtanh(call, module.min_val, module.max_val),
    nn.MaxPool2d: lambda call, module, name: _max_pool2d(
        call,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    ),
    nn.AvgPool2d: lambda call, module, name: _avg_pool2d(
        call,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    ),
    nn.AdaptiveAvgPool2d: lambda call, module, name: _adaptive_avg_pool2d(call, module.output_size),
    nn.LocalResponseNorm: lambda call, module, name: _local_response_norm(
        call, module.size, module.alpha, module.beta, module.k
    ),
    nn.Flatten: lambda call, module, name: _reshape(call),
    nn.Softmax: lambda call, module, name: _softmax(call, module.dim),
    nn.Identity: lambda call, module, name: None,
} | {
    # The run in evaluation mode has shown that they hand their input on.
    dropout: lambda call, module, name: _dropout(call, module.p, module.training)
    for dropout in (
        nn.Dropout,
        nn.Dropout1d,
        nn.Dropout2d,
        nn.Dropout3d,
        nn.AlphaDropout,
        nn.FeatureAlphaDropout,
    )
}

# Functions, and methods by name.
_CALLS: dict[object, Callable[..., Layer | None]] = {
    functional.relu: _relu,
    functional.relu_: _relu,
    torch.relu: _relu,
    torch.relu_: _relu,
    "relu": _relu,
    "relu_": _relu,
    functional.relu6: _relu6,
    functional.hardtanh: _hardtanh,
    functional.hardtanh_: _hardtanh,
    functional.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
    functional.avg_pool2d: _avg_pool2d,
    functional.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    functional.local_response_norm: _local_response_norm,
    torch.flatten: _reshape,
    torch.reshape: _reshape,
    "flatten": _reshape,
    "view": _reshape,
    "reshape": _reshape,
    functional.softmax: _softmax,
    torch.softmax: _softmax,
    "softmax": _softmax,
    functional.dropout: _dropout,
    functional.dropout1d: _dropout,
    functional.dropout2d: _dropout,
    functional.dropout3d: _dropout,
    functional.alpha_dropout: _alpha_dropout,
    functional.feature_alpha_dropout: _alpha_dropout,
    "contiguous": _identity,
    "clone": _identity,
    "detach": _identity,
}

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)
_IN_PLACE = (
    functional.relu_,
    torch.relu_,
    "relu_",
    functional.hardtanh_,
    operator.iadd,
    "add_",
)


def _layer_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch.nn whose computation `module` has; None if it has another."""
    for base in type(module).__mro__:
        if base in _MODULES:
            methods = ("__call__", "forward", "_conv_forward")
            same = (getattr(type(module), m, None) is getattr(base, m, None) for m in methods)
            return base if all(same) else None
    return None
