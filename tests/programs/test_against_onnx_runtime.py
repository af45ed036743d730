"""Random networks and small ones of well-known kinds, from PyTorch to C++, against ONNX Runtime."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien_tools.export import ModuleSource, Network, export
from mien_tools.weights import Preprocessing

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/tests"))
from random_networks import INPUT_SHAPE, RandomNetwork  # noqa: E402

onnxruntime = pytest.importorskip("onnxruntime")
TOLERANCE = 1e-4


def conv_norm(inputs: int, outputs: int, kernel: int, act: nn.Module, **options) -> nn.Sequential:
    padding = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), act)


class Excited(nn.Module):
    """A depthwise block with squeeze and excitation (Howard et al., arXiv 1905.02244)."""

    def __init__(self, channels: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.depthwise = conv_norm(channels, channels, 5, act, groups=channels)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 6, 1), nn.ReLU(), nn.Conv2d(6, channels, 1)
        )
        self.gate, self.project = gate, conv_norm(channels, channels, 1, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x)
        return x + self.project(y * self.gate(self.squeeze(y)))


class Shuffled(nn.Module):
    """A unit of ShuffleNet V2 (Ma et al., arXiv 1807.11164)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_norm(half, half, 1, nn.ReLU()),
            conv_norm(half, half, 3, nn.Identity(), groups=half),
            conv_norm(half, half, 1, nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        joined = torch.cat((kept, self.branch(changed)), dim=1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class UNet(nn.Module):
    """Ronneberger et al., arXiv 1505.04597, of two levels; transposed and bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(conv_norm(a, b, 3, nn.ReLU()) for a, b in ((3, 8), (8, 12)))
        self.bottom = conv_norm(12, 16, 3, nn.ReLU())
        self.up = nn.ConvTranspose2d(16, 12, 2, 2)
        self.merge = nn.ModuleList(conv_norm(a, b, 3, nn.ReLU()) for a, b in ((24, 12), (20, 8)))
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = self.down[0](x)
        second = self.down[1](F.max_pool2d(first, 2))
        y = self.up(self.bottom(F.max_pool2d(second, 2)))
        y = self.merge[0](torch.cat((y, second), dim=1))
        y = F.interpolate(y, scale_factor=2, mode="bilinear")
        y = self.merge[1](torch.cat((y, first), dim=1))
        return {"mask": self.head(y).sigmoid(), "features": y.mean((2, 3))}


class ConvNextBlock(nn.Module):
    """Liu et al., arXiv 2201.03545."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.first, self.second = nn.Linear(channels, 24), nn.Linear(24, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.second(F.gelu(self.first(y))).permute(0, 3, 1, 2)


def classifier(*blocks: nn.Module, channels: int = 12) -> nn.Module:
    stem = conv_norm(3, channels, 3, nn.ReLU(), stride=2)
    return nn.Sequential(
        stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MobileNetV3": lambda: classifier(Excited(12, nn.Hardswish(), nn.Hardsigmoid())),
    "EfficientNet": lambda: classifier(Excited(12, nn.SiLU(), nn.Sigmoid())),
    "ShuffleNetV2": lambda: classifier(Shuffled(12), Shuffled(12)),
    "ConvNeXt": lambda: classifier(ConvNextBlock(12)),
    "UNet": UNet,
    "MobileFaceNet": lambda: nn.Sequential(
        conv_norm(3, 12, 3, nn.PReLU(12), stride=2),
        conv_norm(12, 12, 3, nn.PReLU(12), groups=12),
        nn.Conv2d(12, 20, (12, 14), groups=4),
        nn.Flatten(),
        nn.BatchNorm1d(20),
    ),
    "mini-Xception": lambda: classifier(
        nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
            conv_norm(12, 12, 1, nn.ReLU()),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        )
    ),
    "norms": lambda: classifier(
        nn.GroupNorm(3, 12), nn.ELU(), nn.InstanceNorm2d(12, affine=True), nn.GELU()
    ),
}


def settled(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Batch normalisations that a few random images have gone through."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = None
    with torch.no_grad():
        module.train()(torch.rand(4, *shape))
    return module.eval()


def check(programs: Path, folder: Path, module: nn.Module, shape: tuple[int, ...]) -> None:
    channels = shape[0]
    preprocessing = Preprocessing(0, (0.0,) * channels, (1.0,) * channels)
    network = Network(ModuleSource(module, [shape]), "network", shape, preprocessing)
    file = export(network, folder / "network.mien").file
    images = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    np.save(folder / "images.npy", images)
    command = [programs / "run", "--model", folder / "network.mien", "--output", folder]
    done = subprocess.run(
        [*command, "--input", folder / "images.npy"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.from_numpy(images),),
            folder / "network.onnx",
            dynamo=False,
            opset_version=17,
        )
    session = onnxruntime.InferenceSession(
        folder / "network.onnx", providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {session.get_inputs()[0].name: images})
    for output, values in zip(file.graph.outputs, expected, strict=True):
        found = np.load(folder / f"{output.name}.npy").reshape(values.shape)
        difference = np.abs(found - values).max() / np.abs(values).max()
        assert difference <= TOLERANCE, f"{output.name}: {difference}"


@pytest.mark.parametrize("name", NETWORKS)
def test_well_known_blocks(programs: Path, tmp_path: Path, name: str) -> None:
    torch.manual_seed(2)
    shape = (3, 24, 28)
    check(programs, tmp_path, settled(NETWORKS[name](), shape), shape)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(programs: Path, tmp_path: Path, seed: int) -> None:
    check(programs, tmp_path, settled(RandomNetwork(seed), INPUT_SHAPE), INPUT_SHAPE)
