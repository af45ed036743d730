"""Checkpoints: {"network": name, "params": state_dict, ...}, as torch.save writes them."""

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien_tools.container import write_atomically
from mien_tools.networks import NETWORKS, NetworkInfo, network_info
from mien_tools.state_dicts import StateDictError, load_into
from mien_tools.weights import WeightFile


class CheckpointError(ValueError):
    """A checkpoint is not as it should be; the message says where, what was expected and found."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, keys: tuple[str, ...] = ("network", "params")) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in it is executed."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: expected a checkpoint, found no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a checkpoint of PyTorch, found: {reason}"
        ) from None
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise CheckpointError(f"{path}: expected an entry {key!r}, found none")
    if content["network"] not in NETWORKS:
        raise CheckpointError(
            f"{path}: network: expected one of {', '.join(NETWORKS)}, found {content['network']!r}"
        )
    return content


def write_checkpoint_of(file: WeightFile, path: Path) -> None:
    """Write a weight file's weights as a checkpoint from which a training starts.

    For one of Mien's own networks the params are a whole state_dict, with counters of training
    steps at 0; for others they are the file's tensors. Raises CheckpointError or OSError.
    """
    params = {
        name: torch.from_numpy(values.astype("float32")) for name, values in file.values().items()
    }
    if file.network in NETWORKS:
        module = NETWORKS[file.network].build()
        try:
            load_into(module, params, file.network)
        except StateDictError as error:
            raise CheckpointError(str(error)) from error
        params = module.state_dict()
    save_checkpoint(path, {"network": file.network, "params": params})


def check_network(path: Path, content: dict[str, Any], expected: str) -> None:
    if content["network"] != expected:
        raise CheckpointError(f"{path}: network: expected {expected}, found {content['network']}")


def load_params(model: nn.Module, params: dict[str, Tensor], path: Path) -> None:
    """Give a network the weights of the checkpoint at `path`."""
    try:
        model.load_state_dict(params)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:2])
        raise CheckpointError(f"{path}: params: {reason}") from None


def load_network(path: Path) -> tuple[NetworkInfo, nn.Module]:
    """The network that a checkpoint holds, in evaluation mode, on the CPU."""
    content = load_checkpoint(path)
    network = network_info(content["network"])
    model = network.build()
    load_params(model, content["params"], path)
    return network, model.eval()


def read_temperature(report: Path, checkpoint: Path) -> float:
    """The temperature in a `report.json`; CheckpointError if it is not this checkpoint's."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        digest = content["checkpoint"]["sha256"]
        temperature = float(content["calibration"]["temperature"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{report}: expected a report with a checkpoint's sha256 and a temperature, as "
            "mien_tools.report writes it, found none"
        ) from None
    found = file_digest(checkpoint)
    if digest != found:
        raise CheckpointError(
            f"{report}: checkpoint: expected that of {checkpoint}, sha256 {found}, found {digest}"
        )
    return temperature


def file_digest(path: Path) -> str:
    """SHA-256 of a file: by it a report knows its checkpoint."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
