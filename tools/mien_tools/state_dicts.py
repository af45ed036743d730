"""Gets the weights out of files that PyTorch wrote, and checks them against a network."""

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mien_tools.shapes import shape_text

# Under these keys training scripts keep the state_dict among other things.
LAYOUT_KEYS = ("params", "state_dict", "model", "model_state_dict")

# Counts training steps; evaluation has no use for it.
_STEP_COUNTER = "num_batches_tracked"

# How many names a message lists.
_LISTED_NAMES = 5


class StateDictError(ValueError):
    """Weights are not what a network needs; the message says what, where, expected and found."""


@dataclass(frozen=True)
class SavedWeights:
    """A state_dict and, where the file says so as mien_tools.train's do, the network it is for."""

    state: dict[str, object]
    network: str | None


def read_weights(path: Path, trust: bool = False) -> SavedWeights:
    """The state_dict in a file: by itself, under one of LAYOUT_KEYS, or that of a pickled module.

    Without `trust` nothing in the file is executed. Raises StateDictError or OSError.
    """
    content = _load(path, trust)
    network = content.get("network") if isinstance(content, Mapping) else None
    while not _is_state_dict(content):
        content = _inner(content, path)
    return SavedWeights(dict(content), network if isinstance(network, str) else None)


def _load(path: Path, trust: bool) -> object:
    path.stat()  # a missing file is the system's error, not a broken checkpoint
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if trust or foreign is None:
            raise _unreadable(path, error) from error
        raise StateDictError(
            f"{path}: expected tensors alone, found an object of {foreign[1]}, and loading objects "
            "can run code; give --trust if you trust where the file comes from"
        ) from error
    except Exception as error:
        # A broken or foreign file can make the unpickler raise anything.
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StateDictError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return StateDictError(f"{path}: expected a file that torch.load reads, found: {reason}")


def _is_state_dict(content: object) -> bool:
    if not isinstance(content, Mapping):
        return False
    return not _layouts(content) and any(isinstance(value, Tensor) for value in content.values())


def _layouts(content: Mapping) -> list[str]:
    """The keys under which a state_dict or a module lies."""
    return [
        key
        for key in LAYOUT_KEYS
        if isinstance(content.get(key), nn.Module)
        or (isinstance(content.get(key), Mapping) and _is_or_holds_state_dict(content[key]))
    ]


def _is_or_holds_state_dict(content: Mapping) -> bool:
    return bool(_layouts(content)) or any(isinstance(value, Tensor) for value in content.values())


def _inner(content: object, path: Path) -> object:
    if isinstance(content, nn.Module):
        return content.state_dict()
    wanted = f"a state_dict, or one under {', '.join(map(repr, LAYOUT_KEYS))}"
    if not isinstance(content, Mapping):
        raise StateDictError(f"{path}: expected {wanted}, found {type(content).__name__}")
    layouts = _layouts(content)
    if len(layouts) != 1:
        found = ", ".join(map(repr, layouts or list(content)[:_LISTED_NAMES])) or "nothing"
        raise StateDictError(f"{path}: expected {wanted}, found {found}")
    return content[layouts[0]]


def load_into(module: nn.Module, state: Mapping[str, object], where: str) -> None:
    """Give `module` the weights in `state`, whatever wrapper's prefixes its names carry.

    Refuses tensors that are missing, left over, misshapen, of another kind than floating point or
    not finite, and negative variances. `where` names the weights in the StateDictError's message.
    """
    expected = _without_step_counters(module.state_dict())
    found = _without_step_counters(_without_wrappers(state, expected, where))
    missing = [name for name in expected if name not in found]
    if missing:
        raise StateDictError(
            f"{where}: {_names(missing)}: expected {shape_text(expected[missing[0]].shape)}, "
            "found none"
        )
    extra = [name for name in found if name not in expected]
    if extra:
        raise StateDictError(
            f"{where}: {_names(extra)}: expected no such tensor in {type(module).__name__}, "
            f"found {_kind(found[extra[0]])}"
        )
    for name, tensor in found.items():
        _check_tensor(f"{where}: tensor '{name}'", tensor, expected[name])
    module.load_state_dict(found, strict=False)


def _without_step_counters(state: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value for name, value in state.items() if name.rpartition(".")[2] != _STEP_COUNTER
    }


def _without_wrappers(
    state: Mapping[str, object], expected: Mapping[str, Tensor], where: str
) -> dict[str, object]:
    """Names without what torch.compile, DataParallel and AveragedModel put into them."""
    renamed = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise StateDictError(f"{where}: expected names of tensors, found {name!r}")
        clean = ".".join(part for part in name.split(".") if part != "_orig_mod")
        if clean in renamed:
            raise StateDictError(f"{where}: tensor '{clean}': expected it once, found it twice")
        renamed[clean] = value

    # AveragedModel keeps its own counter beside the wrapped module.
    wrapped = {name: value for name, value in renamed.items() if name != "n_averaged"}
    surplus = _leading_modules(wrapped) - _leading_modules(expected)
    if surplus <= 0:
        return renamed
    return {name.split(".", surplus)[surplus]: value for name, value in wrapped.items()}


def _leading_modules(names: Iterable[str]) -> int:
    """How often all names begin with "module."."""
    prefixes = (re.match(r"(?:module\.)*", name)[0] for name in names)
    return min((prefix.count(".") for prefix in prefixes), default=0)


def _check_tensor(where: str, tensor: object, expected: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise StateDictError(f"{where}: expected a tensor, found {_kind(tensor)}")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        found = "meta" if tensor.is_meta else f"{tensor.layout}, {tensor.dtype}"
        raise StateDictError(f"{where}: expected a dense tensor with data, found {found}")
    if tensor.shape != expected.shape:
        raise StateDictError(
            f"{where}: expected {shape_text(expected.shape) or 'a number'}, "
            f"found {shape_text(tensor.shape) or 'a number'}"
        )
    if not expected.is_floating_point():
        return
    if not tensor.is_floating_point():
        raise StateDictError(f"{where}: expected floating-point numbers, found {tensor.dtype}")
    _check_values(where, tensor.to(torch.float64).flatten())


def _check_values(where: str, values: Tensor) -> None:
    """Finite everywhere, and variances not negative."""
    flaws = {"a finite number": ~values.isfinite()}
    if where.endswith(".running_var'"):
        flaws["a variance of 0 or more"] = values < 0
    for expected, flawed in flaws.items():
        if flawed.any():
            index = int(flawed.nonzero()[0])
            raise StateDictError(
                f"{where}: element {index}: expected {expected}, found {values[index].item():g}"
            )


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return shape_text(value.shape) or "a number"
    return type(value).__name__


def _names(names: list[str]) -> str:
    """One tensor, or several with their count."""
    listed = ", ".join(f"'{name}'" for name in names[:_LISTED_NAMES])
    if len(names) == 1:
        return f"tensor {listed}"
    return f"{len(names)} tensors, {listed}{', ...' if len(names) > _LISTED_NAMES else ''}"
