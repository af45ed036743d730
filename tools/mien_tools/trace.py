"""Turns a torch.nn.Module into a graph of Mien's layers.

torch.fx records the forward symbolically, a run on zeros gives every shape, what does nothing in
evaluation (dropout, nn.Identity) vanishes, and what is left are calls that the records of layers
turn into nodes.
"""

import copy
import importlib
import inspect
import operator
import os
import re
import traceback

import torch
from torch import fx, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.layer import Call, Converter, Layer, TraceError
from mien_tools.layers import LAYERS
from mien_tools.shapes import Shape, shape_text

# With two images in the batch, a reshape that mixes images shows in the shapes.
_BATCH = 2


def trace(module: nn.Module, input_shape: Shape) -> Graph:
    """The layers that `module`, in evaluation mode, applies to images of `input_shape` (C, H, W).

    Nodes come in the order in which the forward computes them and carry the qualified names of
    their modules; tensors are named as in the state_dict, and a module that is used twice has two
    nodes that share its tensors. `module` itself is not changed. Raises TraceError.
    """
    module = copy.deepcopy(module).eval()
    _check_submodules(module)
    recorded = _record(module)
    results = _run(module, recorded, input_shape)
    return _Converter(module, recorded, results).convert()


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
    return named


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


class _Converter:
    """Makes nodes of the calls in a recorded graph."""

    def __init__(self, module: nn.Module, recorded: fx.Graph, results: dict[str, object]) -> None:
        self.module = module
        self.recorded = recorded
        self.results = results
        # The values that calls carry, by their numbers in the graph.
        self.values: dict[fx.Node, int] = {}
        self.nodes: list[Node] = []

    def convert(self) -> Graph:
        used = self._used_calls()
        for call in self.recorded.nodes:
            if call.op == "placeholder":
                shape = self._tensor_shape(call)[1:]
                self.values[call] = 0
            elif call.op == "output":
                outputs = self._outputs(call.args[0])
            elif call in used and self._tensor_shape(call) is not None:
                self.values[call] = self._value(call)
        channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
        return Graph((Input(channels, height, width),), tuple(self.nodes), outputs)

    def _used_calls(self) -> set[fx.Node]:
        """The calls on which the outputs depend."""
        used = set()
        pending = [call for call in self.recorded.nodes if call.op == "output"]
        while pending:
            call = pending.pop()
            if call not in used:
                used.add(call)
                pending += call.all_input_nodes
        return used

    def _outputs(self, result: object) -> tuple[Output, ...]:
        if isinstance(result, fx.Node) and hasattr(result.target, "_fields"):
            # The making of a named tuple is recorded as a call.
            result = result.target(*result.args, **result.kwargs)
        outputs = []
        for name, call in named_outputs(result).items():
            if not isinstance(call, fx.Node) or call not in self.values:
                found = call.name if isinstance(call, fx.Node) else type(call).__name__
                raise TraceError(
                    f"the network's {name if name == 'output' else f'output {name!r}'}: expected "
                    f"a tensor computed from the images, found {found}"
                )
            outputs.append(Output(self.values[call], name))
        return tuple(outputs)

    def _value(self, call: fx.Node) -> int:
        where, found = self._describe(call)
        operands, others, options = self._arguments(call)
        if not operands:
            raise TraceError(
                f"{where}: expected a computation on the images, found {found} on the network's "
                "own tensors"
            )
        shapes = tuple(self._tensor_shape(operand) for operand in operands)
        asked = Call(where, found, shapes, self._tensor_shape(call))
        value = self.values[operands[0]]
        node = self._node(call, asked, operands, others, options)
        if node is not None:
            self.nodes.append(node)
            value = len(self.nodes)
        if self._is_in_place(call):
            # From here on every name of the operand means the result.
            old = self.values[operands[0]]
            self.values |= {name: value for name, number in self.values.items() if number == old}
        return value

    def _arguments(self, call: fx.Node) -> tuple[list[fx.Node], list, dict]:
        """Calls that carry images, then the other arguments, with numbers that calls computed."""

        def resolve(argument: fx.Node) -> object:
            return argument if argument in self.values else self.results[argument.name]

        arguments = list(fx.node.map_arg(call.args, resolve))
        options = dict(fx.node.map_arg(call.kwargs, resolve))
        for name in ("tensors", "input"):
            if name in options:
                arguments.insert(0, options.pop(name))
        if "other" in options:
            arguments.insert(1, options.pop("other"))
        record = _CALLS[_target(call)][0] if _target(call) in _CALLS else None
        if record is None or record.most_inputs == 1:
            first, others = arguments[:1], arguments[1:]
            return [a for a in first if isinstance(a, fx.Node)], others, options
        if isinstance(arguments[0], (list, tuple)):
            arguments = [*arguments[0], *arguments[1:]]
        operands = [argument for argument in arguments if isinstance(argument, fx.Node)]
        return operands, [a for a in arguments if not isinstance(a, fx.Node)], options

    def _node(
        self, call: fx.Node, asked: Call, operands: list[fx.Node], others: list, options: dict
    ) -> Node | None:
        """The node of a call; None where it does nothing in evaluation mode."""
        names = ", ".join(record.plain_name for record in LAYERS.values())
        unsupported = asked.fail(f"{names}, dropout or identity", asked.found)
        source = ""
        if call.op == "call_module":
            source = call.target
            module = self.module.get_submodule(source)
            layer_class = _layer_class(module)
            if layer_class is None or others or options:
                raise unsupported
            record, convert = _MODULES[layer_class]
            stated = convert(asked, module)
        else:
            if _target(call) not in _CALLS:
                raise unsupported
            record, convert = _CALLS[_target(call)]
            try:
                inspect.signature(convert).bind(asked, *others, **options)
            except TypeError as error:
                raise unsupported from error
            stated = convert(asked, *others, **options)
        if stated is None:
            return None
        inputs = [self.values[operand] for operand in operands]
        if record.kind == "Add":
            inputs = self._addends(asked, *inputs)
        stated = record.without_defaults(stated)
        roles = record.tensor_shapes(record.resolve(stated))
        tensors = tuple(f"{source}.{role}" if source else role for role in roles)
        return Node(record.kind, tuple(inputs), stated, tensors, source)

    def _addends(self, asked: Call, first: int, second: int) -> list[int]:
        """The two values of a sum, that of a skip connection's body before the one it skips with.

        C++'s Residual has them so; others stay in the order in which they were written.
        """
        if first == second:
            raise asked.fail("the sum of two different values", "a value added to itself")
        return [second, first] if self._depends(second, first) else [first, second]

    def _depends(self, value: int, on: int) -> bool:
        """Whether a value was computed from another."""
        reached = {value}
        for number in range(value, on, -1):
            if number in reached:
                reached.update(self.nodes[number - 1].inputs)
        return on in reached

    def _is_in_place(self, call: fx.Node) -> bool:
        if call.op == "call_module":
            return getattr(self.module.get_submodule(call.target), "inplace", False)
        target = _target(call)
        name = target if isinstance(target, str) else target.__name__
        return (
            name.endswith("_") or target is operator.iadd or bool(call.kwargs.get("inplace", False))
        )

    def _tensor_shape(self, call: fx.Node) -> _TensorShape | None:
        result = self.results.get(call.name)
        return result if isinstance(result, _TensorShape) else None

    def _describe(self, call: fx.Node) -> tuple[str, str]:
        """Where a call stands, and what it is."""
        if call.op == "call_module":
            found = type(self.module.get_submodule(call.target)).__name__
            return f"{call.target} ({found}){_source_line(call)}", found
        found = call.target if isinstance(call.target, str) else call.target.__name__
        return f"{found} (node {call.name}){_source_line(call)}", found


def _target(call: fx.Node) -> object:
    """A function, or the name of a method."""
    return call.target if call.op in ("call_function", "call_method") else None


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


def _dropout(
    call: Call, p: float = 0.5, training: bool = True, inplace: bool = False
) -> dict[str, float] | None:
    if training:
        raise call.fail(
            "training=self.training", "training=True: it drops values in evaluation mode, too"
        )
    return None


def _alpha_dropout(
    call: Call, p: float = 0.5, training: bool = False, inplace: bool = False
) -> dict[str, float] | None:
    return _dropout(call, p, training)


class _Nothing(Layer):
    """What vanishes in evaluation mode."""

    def modules(self) -> dict[str, Converter]:
        dropouts = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")
        return {"Identity": lambda call, module: None} | {
            # The run in evaluation mode has shown that they hand their input on.
            name: lambda call, module: _dropout(call, module.p, module.training)
            for name in (*dropouts, "FeatureAlphaDropout")
        }

    def functions(self) -> dict[str, Converter]:
        dropouts = ("dropout", "dropout1d", "dropout2d", "dropout3d")
        alpha_dropouts = ("alpha_dropout", "feature_alpha_dropout")
        return (
            {f"torch.nn.functional.{name}": _dropout for name in dropouts}
            | {f"torch.nn.functional.{name}": _alpha_dropout for name in alpha_dropouts}
            | {
                f"Tensor.{name}": lambda call, **options: None
                for name in ("contiguous", "clone", "detach")
            }
        )


def _found(name: str) -> object:
    """A function by its name; a method stays a name."""
    place, _, last = name.rpartition(".")
    return last if place == "Tensor" else getattr(importlib.import_module(place), last)


_RECORDS = (*LAYERS.values(), _Nothing())
_MODULES: dict[type[nn.Module], tuple[Layer, Converter]] = {
    getattr(nn, name): (record, convert)
    for record in _RECORDS
    for name, convert in record.modules().items()
}
# Functions, and methods by name.
_CALLS: dict[object, tuple[Layer, Converter]] = {
    _found(name): (record, convert)
    for record in _RECORDS
    for name, convert in record.functions().items()
}


def _layer_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch.nn whose computation `module` has; None if it has another."""
    for base in type(module).__mro__:
        if base in _MODULES:
            methods = ("__call__", "forward", "_conv_forward")
            same = (getattr(type(module), m, None) is getattr(base, m, None) for m in methods)
            return base if all(same) else None
    return None
