"""Exporting: weights of every origin, files and headers that fit, and refusals that say why."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import INPUT_SHAPE, RandomNetwork
from torch import Tensor, nn

from mien_tools import weights
from mien_tools.container import FormatError
from mien_tools.export import (
    MOST_REPLAYED,
    ExportError,
    HeaderTarget,
    Network,
    build_weight_file,
    export,
    main,
    replay,
)
from mien_tools.graph import Input
from mien_tools.layers.batch_norm2d import fold_epsilon
from mien_tools.networks import LABELS, NETWORKS
from mien_tools.pytorch import TraceError, load_module
from mien_tools.weights import Preprocessing, WeightFile, gray

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
REFERENCE_CHECKPOINT = SHARED / "reference" / "epoch_158.pt"


class Tiny(nn.Module):
    """A small network with every kind of tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Flatten()
        )
        self.outputs = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.features(x))


TINY_MODULE = """\
from torch import nn

def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )

NETWORK = make_network()
NUMBER = 3

def make_number():
    return NUMBER

def fail():
    return 1 / 0

def make_sum():
    return nn.Sequential(Cumulative(), nn.Flatten())

class Cumulative(nn.Module):
    def forward(self, x):
        return x.cumsum(2)
"""
TINY_SHAPE = (1, 6, 6)
TINY = gray(8)


def make_tiny(seed: int = 0) -> Tiny:
    torch.manual_seed(seed)
    module = Tiny()
    norm = module.features[1]
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.normal_(norm.running_mean)
    return module.eval()


def tiny_network(seed: int = 0, labels: tuple[str, ...] | None = None) -> Network:
    return Network(make_tiny(seed), "tiny", TINY_SHAPE, TINY, labels)


def no_face(channels: int, face_size: int | None = None) -> Preprocessing:
    return Preprocessing(face_size, (0.0,) * channels, (1.0,) * channels)


def inputs_of(file: WeightFile) -> list[np.ndarray]:
    """What the test vectors put in."""
    return [vector.input_values(file.graph, file.preprocessing)[0] for vector in file.vectors]


def outputs_of(module: nn.Module, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module.double()(torch.from_numpy(inputs.astype(np.float64))).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.py").write_text(TINY_MODULE)
    return tmp_path


def run(folder: Path, *arguments: object, module: str = "tiny.py:make_network") -> int:
    """`mien_tools.export` of the module in `folder` to tiny.mien there."""
    return main(
        [
            *("--module", f"{folder}/{module}", "--input", "1x6x6"),
            *("--output", str(folder / "tiny.mien"), *map(str, arguments)),
        ]
    )


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tiny.py", "__pycache__"}


# What a file holds.


@pytest.mark.parametrize("half", [False, True])
def test_a_file_holds_the_state_dict_and_what_pytorch_computes(half: bool, tmp_path: Path) -> None:
    module = make_tiny()
    path = tmp_path / "tiny.mien"
    export(tiny_network(labels=("a", "b", "c")), path, half)
    file = weights.read(path)
    assert (file.network, file.labels, file.preprocessing) == ("tiny", ("a", "b", "c"), TINY)
    assert file.graph.inputs == (Input(*TINY_SHAPE),)
    kinds = [node.layer for node in file.graph.nodes]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Dense"]
    state = module.state_dict()
    del state["features.1.num_batches_tracked"]
    assert [tensor.name for tensor in file.tensors] == list(state)
    state["features.1.running_var"] += 1e-3 - 1e-5
    for tensor in file.tensors:
        expected = state[tensor.name].numpy().astype(np.float16 if half else np.float32)
        assert tensor.values.dtype == expected.dtype, tensor.name
        np.testing.assert_allclose(tensor.values, expected, rtol=2e-7, atol=0, err_msg=tensor.name)

    # PyTorch, from the stored numbers, at Mien's epsilon.
    stored = {
        tensor.name: torch.from_numpy(tensor.values.astype(np.float64)) for tensor in file.tensors
    }
    again = Tiny().double().eval()
    again.load_state_dict(stored, strict=False)
    again.features[1].eps = 1e-5
    assert len(file.vectors) == 4 and file.replayed == 1
    for vector, inputs in zip(file.vectors, inputs_of(file), strict=True):
        (sample,) = vector.outputs
        expected = outputs_of(again, inputs[None])[0]
        assert sample.stride == 1
        np.testing.assert_allclose(sample.values, expected, rtol=1e-6, atol=1e-7)
        exact = outputs_of(make_tiny(), inputs[None])[0]
        np.testing.assert_allclose(sample.values, exact, atol=5e-3 if half else 1e-6)


def test_exporting_twice_gives_the_same_bytes() -> None:
    files = [build_weight_file(tiny_network()).file.encode() for _ in range(2)]
    assert files[0] == files[1]


def test_labels_are_numbered_without_names() -> None:
    file = build_weight_file(tiny_network()).file
    assert file.labels == ("class0", "class1", "class2")


def test_test_vectors_are_images() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3 * 20 * 30, 2))
    how = Preprocessing(30, (0.5, 0.25, 0.0), (0.25, 0.5, 1.0))
    file = build_weight_file(Network(module, "images", (3, 20, 30), how)).file
    patterns = [vector.inputs[0] for vector in file.vectors]
    assert [pattern.seed for pattern in patterns] == [1, 2, 3, 4]
    assert [pattern.patch for pattern in patterns] == [1, 2, 4, 31]
    deviation, mean = (np.reshape(v, (3, 1, 1)) for v in (how.standard_deviation, how.mean))
    for index, inputs in enumerate(inputs_of(file)):
        pixels = (inputs * deviation + mean) * 255
        np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
        if index < 3:
            assert pixels.min() < 10 and pixels.max() > 245
        for channel in inputs:
            assert (np.ptp(channel) == 0) == (index == 3)


class Heads(nn.Module):
    """A detector's outputs: maps at two scales and a vector; without a size of its own."""

    def __init__(self, with_vector: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 8, 3, 2, 1)
        self.with_vector = with_vector
        self.vector = nn.Linear(8 * 10 * 8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = torch.relu(self.first(x))
        coarse = self.second(fine)
        outputs = {"fine": fine, "coarse": coarse + coarse.relu()}
        return outputs | ({"vector": self.vector(coarse.flatten(1))} if self.with_vector else {})


def test_several_outputs_and_maps_have_no_labels() -> None:
    torch.manual_seed(3)
    module = Heads(with_vector=True)
    exported = build_weight_file(Network(module, "heads", (3, 40, 32), no_face(3)))
    file = weights.decode(exported.file.encode())
    assert file.labels == () and file.preprocessing.face_size == 0
    assert [output.name for output in file.graph.outputs] == ["fine", "coarse", "vector"]
    assert file.graph.output_shapes() == [(8, 20, 16), (8, 10, 8), (2, 1, 1)]
    assert replay(file, "heads") < 1e-6
    module.double()
    for vector, inputs in zip(file.vectors, inputs_of(file), strict=True):
        with torch.no_grad():
            outputs = module(torch.from_numpy(inputs.astype(np.float64))[None])
        for sample, values in zip(vector.outputs, outputs.values(), strict=True):
            np.testing.assert_allclose(
                sample.values, values.flatten()[:: sample.stride], rtol=1e-5, atol=1e-6
            )


def test_large_maps_are_sampled() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1))
    file = build_weight_file(Network(module, "map", (1, 50, 50), no_face(1))).file
    for vector in file.vectors:
        (sample,) = vector.outputs
        assert sample.stride == 2 and sample.values.shape == (3750,)


def test_a_network_may_take_any_size() -> None:
    exported = build_weight_file(Network(Heads(), "heads", (3, None, None), no_face(3)))
    file = weights.decode(exported.file.encode())
    assert file.graph.inputs[0].shape == (3, None, None)
    assert file.graph.output_shapes() == [(8, None, None), (8, None, None)]
    sizes = {vector.sizes(file.graph)[0] for vector in file.vectors}
    assert sizes == {(3, 64, 64), (3, 61, 83)}
    assert replay(file, "heads") < 1e-6


class Detector(nn.Module):
    """Boxes at each place of a grid, places before channels, and a score."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.Upsample(scale_factor=2))
        self.box, self.score = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.down(x)
        x = x + self.deep(x)
        score = self.score(x).permute(0, 2, 3, 1).reshape(1, -1, 1).sigmoid()
        return {"score": score, "box": self.box(x).permute(0, 2, 3, 1).reshape(1, -1, 4)}


def test_outputs_may_be_lists_of_cells() -> None:
    network = Network(Detector(), "detector", (3, 8, 12), no_face(3))
    file = build_weight_file(network).file
    assert file.graph.output_shapes() == [(1, 4, 6), (4, 4, 6)]
    assert [node.layer for node in file.graph.nodes].count("Flatten") == 0


def test_any_size_may_be_of_multiples(tmp_path: Path) -> None:
    module = Detector().eval()
    with pytest.raises((ExportError, TraceError, FormatError), match="3 x 61 x 83"):
        build_weight_file(Network(module, "detector", (3, None, None), no_face(3)))
    path = tmp_path / "detector.onnx"
    torch.onnx.export(module, (torch.zeros(1, 3, 8, 8),), path, dynamo=False)  # of a fixed size
    output = tmp_path / "detector.mien"
    arguments = ["--input", "3xanyxany", "--size-multiple", "4", "--output", str(output)]
    assert main(["--onnx", str(path), *arguments]) == 0
    file = weights.read(output)
    sizes = {vector.sizes(file.graph)[0] for vector in file.vectors}
    assert sizes == {(3, 64, 64), (3, 64, 84)}


@pytest.mark.parametrize(
    ("module", "pattern"),
    [
        (nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d((None, 2))), "1: expected the same layer"),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten()), "expected a fixed size, found 1 x any"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2)), "on 3 x 61 x 83"),
    ],
)
def test_what_needs_a_size_is_refused_without_one(module: nn.Module, pattern: str) -> None:
    with pytest.raises((ExportError, TraceError, FormatError), match=pattern):
        build_weight_file(Network(module, "sized", (3, None, None), no_face(3)))


def test_large_networks_are_not_replayed_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_REPLAYED == 500_000_000
    network = Network(nn.Sequential(nn.Conv2d(1, 2, 3)), "map", (1, 10, 10), no_face(1))
    multiply_adds = 2 * 8 * 8 * 9
    for most, replayed in ((multiply_adds, 1), (multiply_adds - 1, 0)):
        monkeypatch.setattr("mien_tools.export.MOST_REPLAYED", most)
        assert build_weight_file(network).file.replayed == replayed


EPSILONS = {
    "Mien's": (1e-5, [0.3, 0.0, 1e-6]),
    "larger": (1e-3, [0.3, 0.0, 1e-6]),
    "smaller": (1e-8, [0.3, 0.0, 1e-6]),
    "none": (0.0, [0.3, 1e-9, 1e-6]),
}


@pytest.mark.parametrize("case", EPSILONS)
def test_other_epsilons_are_folded(case: str) -> None:
    epsilon, variance = EPSILONS[case]
    module = nn.BatchNorm2d(3, eps=epsilon).double().eval()
    module.running_var.copy_(torch.tensor(variance))
    module.weight.data.copy_(torch.tensor([0.5, -2.0, 1.5]))
    weight, folded = fold_epsilon(
        module.weight.detach().numpy(), module.running_var.numpy(), epsilon
    )
    assert (folded >= 0).all()
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    found = nn.functional.batch_norm(
        images,
        module.running_mean,
        torch.from_numpy(folded),
        torch.from_numpy(weight),
        module.bias,
        eps=1e-5,
    )
    torch.testing.assert_close(found, module(images), rtol=1e-9, atol=1e-12)


def test_normalisation_without_factors_is_exported_with_ones_and_zeros() -> None:
    module = nn.Sequential(nn.BatchNorm2d(1, affine=False), nn.Flatten())
    file = build_weight_file(Network(module, "norm", (1, 2, 1), gray(2))).file
    found = {tensor.name: tensor.values.tolist() for tensor in file.tensors}
    assert found["0.weight"] == [1.0] and found["0.bias"] == [0.0]
    assert list(found) == ["0.weight", "0.bias", "0.running_mean", "0.running_var"]


def test_the_tensors_of_a_module_used_twice_are_written_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x)).flatten(1)

    exported = build_weight_file(Network(Twice(), "twice", (1, 2, 2), gray(2)))
    file = weights.decode(exported.file.encode())
    assert [tensor.name for tensor in file.tensors] == ["conv.weight", "conv.bias"]
    first, second, _ = file.graph.nodes
    assert first.tensors == second.tensors == ("conv.weight", "conv.bias")
    assert replay(file, "twice") < 1e-6


def test_unused_tensors_are_named() -> None:
    class Auxiliary(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.auxiliary = nn.Linear(3, 3)

    exported = build_weight_file(Network(Auxiliary(), "tiny", TINY_SHAPE, TINY))
    assert exported.unused == ("auxiliary.weight", "auxiliary.bias")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("half", [False, True])
def test_random_networks_replay(seed: int, half: bool) -> None:
    module = RandomNetwork(seed)
    exported = build_weight_file(Network(module, "random", INPUT_SHAPE, no_face(2)), half)
    file = weights.decode(exported.file.encode())
    assert replay(file, "random") < 1e-5
    for vector, inputs in zip(file.vectors, inputs_of(file), strict=True):
        exact = outputs_of(module, inputs[None])[0]
        tolerance = (0.02 if half else 1e-5) * max(1.0, exported.largest_output)
        np.testing.assert_allclose(vector.outputs[0].values, exact, atol=tolerance)


def test_replay_notices_wrong_tensors_and_another_graph() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1), nn.Flatten()
    )
    file = build_weight_file(Network(module, "pair", (1, 4, 4), gray(4))).file
    first, relu, second, flatten = file.graph.nodes
    swapped = (
        replace(first, tensors=second.tensors),
        relu,
        replace(second, tensors=first.tensors),
        flatten,
    )
    skipped = (first, relu, replace(second, inputs=(1,)), flatten)
    for nodes in (swapped, skipped):
        other = replace(file, graph=replace(file.graph, nodes=nodes))
        other.check("pair")
        with pytest.raises(ExportError, match="pair: test vector 0: expected what the"):
            replay(other, "pair")


def test_what_a_forward_changes_in_place_is_changed(tmp_path: Path) -> None:
    class Sneaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)
            nn.init.ones_(self.conv.weight)  # so that ReLU does not hide the change

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            z = y
            z += y.relu()  # changes y
            return (z + y).flatten(1)

    module = Sneaky()
    file = export(Network(module, "sneaky", (1, 2, 2), gray(2)), tmp_path / "sneaky.mien").file
    for vector, inputs in zip(file.vectors, inputs_of(file), strict=True):
        expected = outputs_of(module, inputs[None])[0]
        np.testing.assert_allclose(vector.outputs[0].values, expected, rtol=1e-5)


def test_a_forward_that_draws_numbers_is_refused(tmp_path: Path) -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + float(torch.rand(()))).flatten(1)

    with pytest.raises((ExportError, TraceError), match="random numbers|looks at them"):
        export(Network(Noisy(), "noisy", (1, 2, 2), gray(2)), tmp_path / "noisy.mien")
    assert not left_in(tmp_path)


# Where weights come from.


def wrap(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


LAYOUTS = {
    "state_dict": lambda state: state,
    "params": lambda state: {"logs": {"loss": [1.0, 0.5]}, "params": state},
    "state_dict inside": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "lr": 0.1}},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "twice inside": lambda state: {"model": {"state_dict": state}},
    "DataParallel": lambda state: wrap(state, "module."),
    "torch.compile": lambda state: wrap(state, "_orig_mod."),
    "both": lambda state: {"model": wrap(state, "module._orig_mod.")},
    "AveragedModel": lambda state: {"n_averaged": torch.tensor(3), **wrap(state, "module.")},
    "compiled inside": lambda state: {
        name.replace("0.", "0._orig_mod."): tensor for name, tensor in state.items()
    },
    "no step counters": lambda state: {
        name: tensor for name, tensor in state.items() if "num_batches" not in name
    },
    "double": lambda state: {name: tensor.double() for name, tensor in state.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_checkpoints(layout: str, folder: Path) -> None:
    torch.manual_seed(7)
    module = load_module(f"{folder}/tiny.py:make_network")
    torch.save(LAYOUTS[layout](module.state_dict()), folder / "tiny.pt")
    assert run(folder, "--checkpoint", folder / "tiny.pt") == 0
    found = {tensor.name: tensor.values for tensor in weights.read(folder / "tiny.mien").tensors}
    for name, values in found.items():
        np.testing.assert_array_equal(values, module.state_dict()[name].numpy(), err_msg=name)


def test_a_child_called_module_is_no_wrapper(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.module = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))\n"
        "    def forward(self, x):\n"
        "        return self.module(x)\n"
    )
    module = load_module(f"{tmp_path}/net.py:Net")
    for state in (module.state_dict(), wrap(module.state_dict(), "module.")):
        torch.save(state, tmp_path / "net.pt")
        arguments = ["--module", f"{tmp_path}/net.py:Net", "--input", "1x6x6"]
        arguments += ["--checkpoint", str(tmp_path / "net.pt")]
        assert main([*arguments, "--output", str(tmp_path / "net.mien")]) == 0
        names = [tensor.name for tensor in weights.read(tmp_path / "net.mien").tensors]
        assert names == ["module.1.weight", "module.1.bias"]


def test_pickled_modules_need_trust(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(load_module(f"{folder}/tiny.py:make_network"), folder / "tiny.pt")
    assert run(folder, "--checkpoint", folder / "tiny.pt") == 1
    message = capsys.readouterr().err
    assert "expected tensors alone, found an object of torch.nn.modules" in message
    assert "--trust" in message and "can run code" in message
    assert not left_in(folder) - {"tiny.pt"}
    assert run(folder, "--checkpoint", folder / "tiny.pt", "--trust") == 0


def test_code_in_a_checkpoint_does_not_run_without_trust(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {folder}/exploded",)

    torch.save({"params": {"0.weight": Bomb()}}, folder / "tiny.pt")
    assert run(folder, "--checkpoint", folder / "tiny.pt") == 1
    assert not (folder / "exploded").exists()


def changed(name: str, change: Callable) -> dict[str, Tensor]:
    """The state_dict of TINY_MODULE's network with one tensor changed; None removes it."""
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    state = module.state_dict()
    state[name] = change(state.get(name))
    return {key: tensor for key, tensor in state.items() if tensor is not None}


def with_value(value: float, index: int = 0) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor = tensor.double()
        tensor.flatten()[index] = value
        return tensor

    return change


REFUSED_WEIGHTS = {
    "missing": (
        lambda: changed("0.bias", lambda _: None),
        "tensor '0.bias': expected 4, found none",
    ),
    "two missing": (
        lambda: {
            name: tensor
            for name, tensor in changed("0.bias", lambda _: None).items()
            if name != "4.weight"
        },
        "2 tensors, '0.bias', '4.weight': expected 4, found none",
    ),
    "extra": (
        lambda: changed("5.weight", lambda _: torch.ones(2, 3)),
        "tensor '5.weight': expected no such tensor in Sequential, found 2 x 3",
    ),
    "misshapen": (
        lambda: changed("0.weight", lambda _: torch.ones(4, 1, 5, 5)),
        "tensor '0.weight': expected 4 x 1 x 3 x 3, found 4 x 1 x 5 x 5",
    ),
    "scalar": (
        lambda: changed("0.bias", lambda _: torch.tensor(1.0)),
        "tensor '0.bias': expected 4, found a number",
    ),
    "integers": (
        lambda: changed("0.bias", lambda _: torch.ones(4, dtype=torch.int64)),
        "tensor '0.bias': expected floating-point numbers, found torch.int64",
    ),
    "complex": (
        lambda: changed("0.bias", lambda _: torch.ones(4, dtype=torch.complex64)),
        "tensor '0.bias': expected floating-point numbers, found torch.complex64",
    ),
    "booleans": (
        lambda: changed("0.bias", lambda _: torch.ones(4, dtype=torch.bool)),
        "tensor '0.bias': expected floating-point numbers, found torch.bool",
    ),
    "sparse": (
        lambda: changed("4.weight", lambda tensor: tensor.to_sparse()),
        "tensor '4.weight': expected a dense tensor with data, found torch.sparse_coo",
    ),
    "no tensor": (
        lambda: changed("0.bias", lambda _: 1.5),
        "tensor '0.bias': expected a tensor, found float",
    ),
    "not a number": (
        lambda: changed("4.weight", with_value(float("nan"), 5)),
        "tensor '4.weight': element 5: expected a finite number, found nan",
    ),
    "infinite": (
        lambda: changed("1.running_mean", with_value(-float("inf"), 3)),
        "tensor '1.running_mean': element 3: expected a finite number, found -inf",
    ),
    "negative variance": (
        lambda: changed("1.running_var", with_value(-0.25, 2)),
        "tensor '1.running_var': element 2: expected a variance of 0 or more, found -0.25",
    ),
    "too large for fp32": (
        lambda: changed("0.bias", with_value(1e39, 1)),
        r"tensor '0.bias': element 1: expected at most 3.40282e\+38, the largest float32, "
        r"found 1e\+39",
    ),
    "empty": (lambda: {}, "expected a state_dict, or one under 'params', .*found nothing"),
    "no weights": (
        lambda: {"epoch": 3, "loss": 0.5},
        "expected a state_dict, or one under 'params', .*found 'epoch', 'loss'",
    ),
    "two": (
        lambda: {"params": {"a": torch.ones(1)}, "model": {"a": torch.ones(1)}},
        "expected a state_dict, or one under 'params', .*found 'params', 'model'",
    ),
    "a list": (lambda: [torch.ones(1)], "expected a state_dict, .*found list"),
    "the same name twice": (
        lambda: {"0.bias": torch.ones(4), "_orig_mod.0.bias": torch.ones(4)},
        "tensor '0.bias': expected it once, found it twice",
    ),
}


@pytest.mark.parametrize("case", REFUSED_WEIGHTS)
def test_refused_weights(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, pattern = REFUSED_WEIGHTS[case]
    torch.save(make(), folder / "tiny.pt")
    assert run(folder, "--checkpoint", folder / "tiny.pt", "--header", folder / "tiny.hpp") == 1
    assert_one_message(capsys, pattern)
    assert left_in(folder) == {"tiny.pt"}


def assert_one_message(capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert re.search(f"^mien_tools.export: .*{pattern}", lines[0]), lines[0]


def test_fp16_overflow_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(changed("1.running_mean", with_value(7e4, 2)), folder / "tiny.pt")
    assert run(folder, "--checkpoint", folder / "tiny.pt") == 0
    (folder / "tiny.mien").unlink()
    assert run(folder, "--checkpoint", folder / "tiny.pt", "--half") == 1
    expected = "element 2: expected at most 65504, the largest float16, found 70000"
    assert_one_message(capsys, f"tensor '1.running_mean': {expected}")
    assert left_in(folder) == {"tiny.pt"}


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_broken_checkpoints(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.pt").write_bytes(content)
    assert run(folder, "--checkpoint", folder / "tiny.pt") == 1
    assert_one_message(capsys, "tiny.pt: expected a file that torch.load reads, found: ")


def test_a_missing_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--checkpoint", folder / "none.pt") == 1
    assert_one_message(capsys, "none.pt: No such file or directory")


def test_own_weights_are_checked_as_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = TINY_MODULE + "\nNETWORK[0].bias.data[1] = float('nan')\n"
    (folder / "broken.py").write_text(broken)
    assert run(folder, module="broken.py:NETWORK") == 1
    assert_one_message(capsys, "tensor '0.bias': element 1: expected a finite number, found nan")


# The command.


REFUSED_MODULES = {
    "tiny.py": "expected FILE.py:NAME or PACKAGE.MODULE:NAME, found",
    "tiny.py:": "expected FILE.py:NAME or PACKAGE.MODULE:NAME, found",
    "tiny.py:Network": "expected 'Network' in .*tiny.py, found none",
    "tiny.py:NUMBER": "expected a module or what makes one, found int",
    "tiny.py:make_number": "expected a torch.nn.Module, found int",
    "tiny.py:fail": r"calling fail\(\), .*tiny.py:\d+ `return 1 / 0`: .*found ZeroDivisionError",
    "none.py:make": "importing .*none.py: expected no error, found FileNotFoundError",
    "tiny.py:make_sum": r"\(CumSum\), .*tiny.py:\d+: expected one of the operators .*found CumSum",
}


@pytest.mark.parametrize("module", REFUSED_MODULES)
def test_refused_modules(module: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, module=module) == 1
    assert_one_message(capsys, REFUSED_MODULES[module])
    assert not left_in(folder)


REFUSED_OPTIONS = {
    "means": (("--mean", "0.5,0.5"), "mean: expected 1, one for each channel, found 2"),
    "labels": (("--labels", "a,b"), r"labels: expected 3, one for each output, found 2 \(a, b\)"),
    "same labels": (("--labels", "a,b,a"), "label: expected distinct ones, found 'a' twice"),
    "empty label": (("--labels", "a,,b"), "label: expected a text, found an empty one"),
    "face size": (("--face-size", "5"), "face size: expected 0 or at least the input's height"),
    "huge face size": (("--face-size", "70000"), "face size: expected 0 to 65536, found 70000"),
    "deviation": (("--std", "0"), "standard deviation: expected a positive number, found 0"),
    "mean": (("--mean", "nan"), "mean: expected a finite number, found nan"),
    "temperature": (("--temperature", "-1"), "temperature: expected a positive number, found -1"),
    "name": (("--name", "class"), "struct name: expected an identifier of C.., found its keyword"),
}


@pytest.mark.parametrize("case", REFUSED_OPTIONS)
def test_refused_options(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, pattern = REFUSED_OPTIONS[case]
    assert run(folder, "--header", folder / "tiny.hpp", *options) == 1
    assert_one_message(capsys, pattern)
    assert not left_in(folder)


USAGE = {
    "nothing": (["--output", "a.mien"], "arguments --network --module --onnx --mien is required"),
    "both": (["--network", "mini_fer", "--module", "a:b", "--output", "a"], "not allowed with"),
    "no checkpoint": (["--network", "mini_fer", "--output", "a"], "--network needs its weights"),
    "no input": (["--module", "a.py:b", "--output", "a"], "--module needs --input CxHxW"),
    "bad input": (
        ["--module", "a.py:b", "--output", "a", "--input", "40x40"],
        "expected channels x height x width, found '40x40'",
    ),
    "half a size": (
        ["--module", "a.py:b", "--output", "a", "--input", "1x40xany"],
        "expected channels x height x width, found '1x40xany'",
    ),
    "bad mean": (
        ["--module", "a.py:b", "--output", "a", "--input", "1x4x4", "--mean", "a"],
        "expected numbers, found 'a'",
    ),
    "no such network": (["--network", "none", "--output", "a"], "invalid choice: 'none'"),
    "input of a network": (
        ["--network", "mini_fer", "--checkpoint", "a", "--output", "a", "--input", "1x40x40"],
        "--input is for --module",
    ),
    "one file": (
        ["--module", "a:b", "--input", "1x4x4", "--output", "x/../a", "--header", "a"],
        "the same file",
    ),
    "two temperatures": (
        ["--network", "mini_fer", "--output", "a", "--report", "r.json", "--temperature", "2"],
        "--temperature: not allowed with argument --report",
    ),
    "report alone": (
        ["--module", "a:b", "--input", "1x4x4", "--output", "a", "--report", "r.json"],
        "--report is on a checkpoint",
    ),
    "namespace alone": (
        ["--module", "a:b", "--input", "1x4x4", "--output", "a", "--namespace", "b"],
        "--namespace is for --header",
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = USAGE[case]
    with pytest.raises(SystemExit) as exit_status:
        main(arguments)
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err


def test_options_reach_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--labels", "cat, dog,owl", "--mean", "0.5", "--std", "0.25", "--face-size", "9"]
    options += ["--temperature", "1.5", "--name", "PetNet", "--header", str(folder / "pets.hpp")]
    assert run(folder, *options, module="tiny.py:NETWORK") == 0
    file = weights.read(folder / "tiny.mien")
    assert file.network == "pet_net"
    assert file.labels == ("cat", "dog", "owl")
    assert file.preprocessing == gray(9, 0.5, 0.25, temperature=1.5)
    assert run(folder, "--equalize-histogram") == 0
    assert weights.read(folder / "tiny.mien").preprocessing.equalize_histogram
    header = (folder / "pets.hpp").read_text()
    assert "struct PetNet\n" in header and 'name = "pet_net";' in header
    assert "struct PetNet" in capsys.readouterr().out


def test_the_temperature_can_come_from_the_checkpoints_report(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, report = folder / "tiny.pt", folder / "report.json"
    torch.save(load_module(f"{folder}/tiny.py:NETWORK").state_dict(), checkpoint)
    content = {
        "checkpoint": {"sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()},
        "calibration": {"temperature": 0.875},
    }
    report.write_text(json.dumps(content))
    assert run(folder, "--checkpoint", checkpoint, "--report", report) == 0
    assert weights.read(folder / "tiny.mien").preprocessing.temperature == 0.875
    assert "temperature 0.875" in capsys.readouterr().out

    (folder / "tiny.mien").unlink()
    torch.save(load_module(f"{folder}/tiny.py:make_network").state_dict(), checkpoint)
    assert run(folder, "--checkpoint", checkpoint, "--report", report) == 1
    assert_one_message(capsys, "report.json: checkpoint: expected that of .*tiny.pt, sha256")
    assert not (folder / "tiny.mien").exists()


def test_names_come_from_the_header_or_the_output(folder: Path) -> None:
    assert run(folder) == 0
    assert weights.read(folder / "tiny.mien").network == "tiny"
    assert run(folder, "--header", folder / "my_pets.hpp") == 0
    assert weights.read(folder / "tiny.mien").network == "my_pets"
    assert "struct MyPets\n" in (folder / "my_pets.hpp").read_text()


def test_dotted_modules_and_neighbours(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_package_for_export"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from torch import nn\nclass Nets:\n    linear = nn.Flatten\n")
    (package / "script.py").write_text("from nets import Nets\nnetwork = Nets.linear()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    output = ["--input", "1x1x2", "--output", str(tmp_path / "a.mien")]
    assert main(["--module", "some_package_for_export.nets:Nets.linear", *output]) == 0
    assert main(["--module", f"{package}/script.py:network", *output]) == 0


def test_wrapped_modules_are_unwrapped(folder: Path) -> None:
    wrapped = "\nimport torch\nWRAPPED = nn.DataParallel(torch.compile(NETWORK))\n"
    (folder / "tiny.py").write_text(TINY_MODULE + wrapped)
    assert run(folder, module="tiny.py:WRAPPED") == 0
    names = [tensor.name for tensor in weights.read(folder / "tiny.mien").tensors]
    assert names[0] == "0.weight"


HEADS_MODULE = """\
import torch
from torch import nn

class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return [self.a(x), self.b(x)]
"""


def test_networks_without_labels_from_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "heads.py").write_text(HEADS_MODULE)
    arguments = ["--module", f"{tmp_path}/heads.py:Heads", "--output", str(tmp_path / "h.mien")]
    sized = [*arguments, "--input", "3x20x30"]
    assert main([*arguments, "--input", "3xanyxany", "--mean", "0.5,0.25,0", "--std", "2"]) == 0
    output = capsys.readouterr().out
    assert "no classifier, without labels; outputs: output0 4 x any x any, output1 2 x" in output
    file = weights.read(tmp_path / "h.mien")
    assert file.preprocessing == Preprocessing(0, (0.5, 0.25, 0.0), (2.0, 2.0, 2.0))
    assert main([*sized, "--face-size", "30"]) == 0
    assert weights.read(tmp_path / "h.mien").preprocessing.face_size == 30
    capsys.readouterr()

    assert main([*sized, "--labels", "a,b"]) == 1
    assert_one_message(capsys, "labels: expected none for a network that does not put out one flat")
    assert main([*sized, "--temperature", "2"]) == 1
    assert_one_message(capsys, "temperature: expected 1 for a network without labels, found 2")
    assert main([*sized, "--header", str(tmp_path / "h.hpp")]) == 1
    assert_one_message(capsys, r"header: outputs: expected one for a C.. type, found 2")
    assert not (tmp_path / "h.hpp").exists()


def test_notes_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    softmax = "\nNETWORK.append(nn.Softmax(1))\nNETWORK.extra = nn.Parameter(nn.init.ones_)\n"
    softmax = softmax.replace("nn.init.ones_", "__import__('torch').ones(2)")
    (folder / "tiny.py").write_text(TINY_MODULE + softmax)
    assert run(folder, module="tiny.py:NETWORK") == 0
    output = capsys.readouterr().out
    assert "note: the outputs do not depend on extra: not written" in output
    assert "note: the outputs are probabilities" in output


def test_mini_fer_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(2)
    module = NETWORKS["mini_fer"].build()
    checkpoint, output = tmp_path / "best.pt", tmp_path / "mini_fer.mien"
    torch.save({"network": "mini_fer", "params": module.state_dict()}, checkpoint)
    arguments = ["--network", "mini_fer", "--checkpoint", str(checkpoint), "--output", str(output)]
    assert main([*arguments, "--header", str(tmp_path / "mini_fer.hpp")]) == 0
    file = weights.read(output)
    assert file.network == "mini_fer" and file.labels == LABELS
    assert file.preprocessing == gray(48) and file.graph.inputs == (Input(1, 40, 40),)
    expected = [name for name in module.state_dict() if "num_batches_tracked" not in name]
    assert [tensor.name for tensor in file.tensors] == expected
    assert "784263 parameters" in capsys.readouterr().out
    torch.save({"network": "vgg_net", "params": module.state_dict()}, checkpoint)
    assert main(arguments) == 1
    assert_one_message(capsys, "best.pt: network: expected mini_fer, found vgg_net")


@pytest.mark.parametrize("name", ["vgg10", "inception_fer"])
def test_networks_bring_their_struct_and_their_preprocessing(name: str, tmp_path: Path) -> None:
    module = NETWORKS[name].build()
    checkpoint, header = tmp_path / "best.pt", tmp_path / "net.hpp"
    torch.save({"network": name, "params": module.state_dict()}, checkpoint)
    arguments = ["--network", name, "--checkpoint", str(checkpoint), "--header", str(header)]
    assert main([*arguments, "--output", str(tmp_path / "net.mien")]) == 0
    file = weights.read(tmp_path / "net.mien")
    assert file.preprocessing == gray(54, equalize_histogram=True)
    assert file.graph.inputs == (Input(1, 48, 48),)
    assert f"struct {type(module).__name__}\n" in header.read_text()


@pytest.mark.skipif(not REFERENCE_CHECKPOINT.exists(), reason="needs the published checkpoint")
@pytest.mark.parametrize("half", [False, True])
def test_the_published_checkpoint(half: bool, tmp_path: Path) -> None:
    output = tmp_path / "reference.mien"
    arguments = ["--network", "mini_fer", "--checkpoint", str(REFERENCE_CHECKPOINT)]
    assert main([*arguments, "--output", str(output), *(["--half"] if half else [])]) == 0
    file = weights.read(output)
    module = NETWORKS["mini_fer"].build().eval()
    saved = torch.load(REFERENCE_CHECKPOINT, map_location="cpu", weights_only=True)
    module.load_state_dict(saved["params"])
    for vector, inputs in zip(file.vectors, inputs_of(file), strict=True):
        expected = outputs_of(module, inputs[None])[0]
        np.testing.assert_allclose(vector.outputs[0].values, expected, atol=0.02 if half else 1e-6)


# Both files or none.


def test_nothing_is_left_where_the_header_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.hpp").mkdir()
    assert run(folder, "--header", folder / "tiny.hpp") == 1
    assert_one_message(capsys, "tiny.hpp: expected a file to write, found a folder")
    assert left_in(folder) == {"tiny.hpp"}
    assert run(folder, "--header", folder / "none" / "tiny.hpp") == 1
    assert_one_message(capsys, "none/tiny.hpp: expected its folder to exist, found none")
    assert left_in(folder) == {"tiny.hpp"}


def test_old_files_come_back_when_a_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, header = tmp_path / "tiny.mien", tmp_path / "tiny.hpp"
    target = HeaderTarget(header, "Tiny")
    export(tiny_network(seed=1), output, header_target=target)
    before = output.read_bytes(), header.read_bytes()
    real_replace = os.replace

    def failing_replace(source: str, destination: Path) -> None:
        if Path(destination) == header:
            raise OSError(28, "No space left on device", str(destination))
        real_replace(source, destination)

    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(OSError, match="No space left"):
        export(tiny_network(seed=2), output, header_target=target)
    assert (output.read_bytes(), header.read_bytes()) == before
    assert left_in(tmp_path) == {"tiny.mien", "tiny.hpp"}
    header.unlink()
    output.unlink()
    with pytest.raises(OSError, match="No space left"):
        export(tiny_network(seed=2), output, header_target=target)
    assert not left_in(tmp_path)


def test_no_traceback_from_the_command(folder: Path) -> None:
    arguments = ["--module", f"{folder}/tiny.py:fail", "--input", "1x6x6", "--output", "x.mien"]
    result = subprocess.run(
        [sys.executable, "-m", "mien_tools.export", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY / "tools",
        check=False,
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "Traceback" not in result.stderr
