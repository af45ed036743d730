"""Layer by layer: PyTorch's own modules, dumps named as the program `inspect` does, refusals."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import INPUT_SHAPE, RandomNetwork
from torch import Tensor, nn

from mien_tools.compare_layers import LayerOutput, compare, layer_outputs, main
from mien_tools.networks import NETWORKS
from mien_tools.networks.inception_fer import Inception
from mien_tools.networks.resnet33 import ResidualBlock

Steps = list[tuple[str, np.ndarray]]


class Branched(nn.Module):
    """Sums with and without a projection, a concatenation, a module used twice, a flat end."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("the first", nn.Conv2d(1, 4, 3))
        self.blocks = nn.Sequential(ResidualBlock(4, 4, 1), ResidualBlock(4, 8, 2))
        self.inception = Inception(8, 16)
        self.dense = nn.Linear(36 * 3 * 3, 5)
        self.square = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inception(self.blocks(torch.relu(self.get_submodule("the first")(x))))
        return self.square(self.square(self.dense(x.flatten(1))))


MODULE = f"{__file__}:Branched"
# As C++ may run them: a sum right after the last layer of either branch, or by itself.
STEPS = [
    "the_first+ReLU",
    "blocks.0.body.0+BatchNorm2d+ReLU",
    "blocks.0.body.3+BatchNorm2d+Add+ReLU",
    "blocks.1.body.0+BatchNorm2d+ReLU",
    "blocks.1.body.3+BatchNorm2d",
    "blocks.1.shortcut.0+BatchNorm2d+Add+ReLU",
    "inception.one.0+BatchNorm2d+ReLU",
    "inception.three.0+BatchNorm2d+ReLU",
    "inception.three.3+BatchNorm2d+ReLU",
    "inception.five.0+BatchNorm2d+ReLU",
    "inception.five.3+BatchNorm2d+ReLU",
    "inception.pool.0",
    "inception.pool.1+BatchNorm2d+ReLU",
    "Concatenate",
    "Flatten",
    "dense",
    "square",
    "square",
]


@pytest.fixture
def module() -> Branched:
    torch.manual_seed(4)
    module = Branched()
    for submodule in module.modules():
        if isinstance(submodule, nn.BatchNorm2d):
            nn.init.uniform_(submodule.weight, 0.5, 1.5)
            nn.init.uniform_(submodule.running_var, 0.5, 1.5)
            nn.init.normal_(submodule.running_mean)
    return module.eval()


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(3).random((1, 8, 8)).astype(np.float32)


@pytest.fixture
def folder(module: Branched, inputs: np.ndarray, tmp_path: Path) -> Path:
    """A checkpoint, and what a run of it in C++ leaves, in float32."""
    torch.save(module.state_dict(), tmp_path / "best.pt")
    (tmp_path / "dump").mkdir()
    write_dump(tmp_path / "dump", module, inputs)
    return tmp_path


def write_dump(dump: Path, module: nn.Module, inputs: np.ndarray) -> None:
    np.save(dump / "input.npy", inputs)
    for number, (name, values) in enumerate(fused(layer_outputs(module, inputs))):
        values = values.reshape(values.shape + (1,) * (3 - values.ndim))
        np.save(dump / f"{number:03}_{name}.npy", values.astype(np.float32))


def fused(outputs: list[LayerOutput], alone: tuple[str, ...] = ()) -> Steps:
    """Steps as C++ runs them: what only changes numbers together with what is before it.

    Kinds that are `alone` are steps of their own.
    """
    steps: Steps = []
    last = -1
    for place, output in enumerate(outputs):
        fuses = output.kind in ("BatchNorm2d", "ReLU", "Add") and output.kind not in alone
        if fuses and last in output.inputs:
            steps[-1] = (f"{steps[-1][0]}+{output.kind}", output.values)
        else:
            steps.append((output.label.replace(" ", "_"), output.values))
        last = place
    return steps


def run(folder: Path, *options: str) -> int:
    checkpoint = ("--checkpoint", str(folder / "best.pt"))
    return main(["--module", MODULE, *checkpoint, *options, str(folder / "dump")])


def test_outputs_are_those_of_the_modules(module: Branched, inputs: np.ndarray) -> None:
    expected: dict[str, np.ndarray] = {}
    outputs = layer_outputs(module, inputs)
    for name, submodule in module.named_modules():
        submodule.register_forward_hook(
            lambda _, __, output, name=name: expected.update({name: output[0].double().numpy()})
        )
    with torch.no_grad():
        module(torch.from_numpy(inputs)[None])

    found = {output.name: output.values for output in outputs if output.name}
    assert len(found) == 1 + 2 * 4 + 2 + 2 + 2 * 6 + 6 + 1 + 2
    for name, values in found.items():
        # Both have the second use of a module alone.
        values = values.reshape(expected[name].shape)
        np.testing.assert_allclose(values, expected[name], atol=1e-5, err_msg=name)
    joins = [output.values for output in outputs if output.kind in ("Add", "Concatenate")]
    for values, name in zip(joins, ("blocks.0", "blocks.1", "inception"), strict=True):
        np.testing.assert_allclose(values.clip(0), expected[name], atol=1e-5, err_msg=name)
    assert [name for name, _ in fused(outputs)] == STEPS


@pytest.mark.parametrize("seed", range(5))
def test_the_last_output_is_the_networks(seed: int) -> None:
    network = RandomNetwork(seed)
    inputs = np.random.default_rng(seed).random(INPUT_SHAPE).astype(np.float32)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = layer_outputs(network, inputs)[-1].values
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype and torch.equal(tensor, before[name]), name
    with torch.no_grad():
        expected = network.double()(torch.from_numpy(inputs)[None].double())[0].numpy()
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("alone", [(), ("Add",), ("ReLU",), ("Add", "ReLU", "BatchNorm2d")])
@pytest.mark.parametrize("seed", [None, *range(4)])
def test_any_fusion_is_followed(
    alone: tuple[str, ...], seed: int | None, module: Branched, inputs: np.ndarray, tmp_path: Path
) -> None:
    if seed is not None:
        module = RandomNetwork(seed)
        inputs = np.random.default_rng(seed).random(INPUT_SHAPE).astype(np.float32)
    outputs = layer_outputs(module, inputs)
    steps = fused(outputs, alone)
    for number, (name, values) in enumerate(steps):
        np.save(tmp_path / f"{number:03}_{name}.npy", values.astype(np.float32))
    differences = compare(outputs, tmp_path)
    assert [difference.layer for difference in differences] == [name for name, _ in steps]
    assert all(difference.relative < 1e-6 for difference in differences)


def test_steps_may_be_called_by_their_kind(folder: Path) -> None:
    for path in (folder / "dump").glob("*inception.pool.0*"):
        path.rename(path.with_name(path.name.replace("inception.pool.0", "MaxPool2d")))
    assert run(folder) == 0


def test_branches_may_run_in_another_order(folder: Path) -> None:
    """The shortcut before the body, which then ends in the sum."""
    dump = folder / "dump"
    body, shortcut = dump / "004_blocks.1.body.3+BatchNorm2d.npy", dump / f"005_{STEPS[5]}.npy"
    total = np.load(shortcut)
    body.unlink()
    np.save(dump / "005_blocks.1.body.3+BatchNorm2d+Add+ReLU.npy", total)
    shortcut.unlink()
    module = Branched().eval()
    module.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    outputs = layer_outputs(module, np.load(dump / "input.npy"))
    (norm,) = [output for output in outputs if output.name == "blocks.1.shortcut.1"]
    np.save(dump / "004_blocks.1.shortcut.0+BatchNorm2d.npy", norm.values.astype(np.float32))
    assert run(folder) == 0


def test_equal_runs_give_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "shape", "largest", "difference", "relative"]
    assert [line.split()[0] for line in lines[1:]] == STEPS
    assert lines[1 + STEPS.index("Concatenate")].split()[1:6] == ["36", "x", "3", "x", "3"]
    for line in lines[1:]:
        assert float(line.split()[-1]) < 1e-6, line


def change(folder: Path, pattern: str, difference: float) -> float:
    """Add to the first value of a file; its largest value."""
    (path,) = (folder / "dump").glob(pattern)
    values = np.load(path)
    largest = float(np.abs(values).max())
    values.flat[0] += difference * largest
    np.save(path, values)
    return largest


def test_the_first_layer_that_differs_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    largest = change(folder, "*blocks.1.body.3*", 0.01)
    change(folder, "*_dense.npy", float("nan"))
    assert run(folder) == 1
    output, error = capsys.readouterr()
    layer = "blocks.1.body.3+BatchNorm2d"
    assert error.startswith(
        f"mien-compare-layers: {folder}/dump: layer {layer}: expected PyTorch's"
    )
    assert "found a difference of 0.01; it is the first" in error
    marked = [line.split() for line in output.splitlines() if line.endswith("<- differs")]
    assert [line[0] for line in marked] == [layer, "dense"]
    assert float(marked[0][-4]) == pytest.approx(0.01 * largest, rel=1e-2)
    assert marked[1][-3] == "nan"


def test_the_tolerance_can_be_set(folder: Path) -> None:
    change(folder, "*_dense.npy", 0.01)
    assert run(folder, "--tolerance", "0.02") == 0
    assert run(folder, "--tolerance", "0.005") == 1


def renamed(folder: Path, pattern: str, name: str) -> None:
    (path,) = (folder / "dump").glob(pattern)
    path.rename(path.with_name(name))


REFUSED = {
    "another layer": (
        lambda folder: renamed(folder, "*_dense.npy", "015_lin.npy"),
        "015_lin.npy: expected layer dense, found lin",
    ),
    "another fused layer": (
        lambda folder: renamed(folder, "000_*", "000_the_first+ReLU6.npy"),
        r"000_the_first\+ReLU6.npy: expected ReLU at '\+ReLU6', found ReLU6",
    ),
    "a sum too early": (
        lambda folder: renamed(folder, "004_*", "004_blocks.1.body.3+BatchNorm2d+Add.npy"),
        r"body.3\+BatchNorm2d\+Add.npy: expected nothing more at '\+Add', found Add",
    ),
    "a branch too early": (
        lambda folder: renamed(folder, "004_*", "004_inception.one.0+BatchNorm2d+ReLU.npy"),
        "004_inception.one.0.*: expected layer blocks.1.body.3, found inception.one.0",
    ),
    "a layer too few": (
        lambda folder: (folder / "dump" / "017_square.npy").unlink(),
        "dump: after 016_square.npy: expected a file of square, found none",
    ),
    "a layer too many": (
        lambda folder: renamed(folder, "016_square.npy", "018_ReLU.npy"),
        "018_ReLU.npy: expected layer square, found ReLU",
    ),
    "more than all": (
        lambda folder: np.save(folder / "dump" / "018_ReLU.npy", np.zeros((5, 1, 1), np.float32)),
        "018_ReLU.npy: expected nothing more, found ReLU",
    ),
    "no layers": (
        lambda folder: [path.unlink() for path in (folder / "dump").glob("0*")],
        r"dump: expected files of layers \(NNN_LAYER.npy\), found none",
    ),
    "another shape": (
        lambda folder: np.save(folder / "dump" / "015_dense.npy", np.zeros((4, 1, 1), np.float32)),
        "015_dense.npy: expected 5 x 1 x 1, found 4 x 1 x 1",
    ),
    "transposed": (
        lambda folder: np.save(folder / "dump" / "013_Concatenate.npy", np.zeros((3, 3, 36), "f4")),
        "013_Concatenate.npy: expected 36 x 3 x 3, found 3 x 3 x 36",
    ),
    "double": (
        lambda folder: np.save(folder / "dump" / "015_dense.npy", np.zeros((5, 1, 1))),
        "015_dense.npy: expected float32 channels x height x width, found float64 5 x 1 x 1",
    ),
    "no array": (
        lambda folder: (folder / "dump" / "015_dense.npy").write_text("no array"),
        "015_dense.npy: expected an array of NumPy, found: ",
    ),
    "no input": (
        lambda folder: (folder / "dump" / "input.npy").unlink(),
        "input.npy: No such file or directory",
    ),
    "other weights": (
        lambda folder: torch.save({"dense.weight": torch.ones(1)}, folder / "best.pt"),
        "best.pt: .* tensors, 'the first.weight'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_runs_that_cannot_be_compared(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, pattern = REFUSED[case]
    spoil(folder)
    assert run(folder) == 1
    assert_one_message(capsys, pattern)


def assert_one_message(capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert re.search(f"^mien-compare-layers: .*{pattern}", lines[0]), lines[0]


def test_miens_own_networks_go_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    module, checkpoint = NETWORKS["vgg10"].build().eval(), tmp_path / "best.pt"
    inputs = np.random.default_rng(5).random((1, 48, 48)).astype(np.float32)
    (tmp_path / "dump").mkdir()
    write_dump(tmp_path / "dump", module, inputs)
    arguments = ["--network", "vgg10", "--checkpoint", str(checkpoint), str(tmp_path / "dump")]
    torch.save({"network": "vgg10", "params": module.state_dict()}, checkpoint)
    assert main(arguments) == 0
    capsys.readouterr()
    torch.save({"network": "fer_net", "params": module.state_dict()}, checkpoint)
    assert main(arguments) == 1
    assert_one_message(capsys, "best.pt: network: expected vgg10, found fer_net")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dump"], "one of the arguments --network --module is required"),
        (["--network", "mini_fer", "dump"], "--network needs its weights: --checkpoint FILE"),
        (["--network", "none", "dump"], "invalid choice: 'none'"),
        (["--module", MODULE, "--tolerance", "0", "dump"], "expected more than 0, found 0.0"),
    ],
)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(arguments)
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err
