"""Counts which networks export, and whether Mien computes what they do.

    python bench/census.py --programs build/examples            # torchvision's, timm's
    python bench/census.py --programs build/examples resnet18 timm/ghostnet_100 paper/UNet

The networks are those of torchvision, timm and paper_networks.py, with random weights and batch
normalisations that an image has gone through. PyTorch exports each to ONNX, for ONNX Runtime, and
mien_tools.export's importer makes a weight file, which the program `run` runs on the same image.
They agree if the largest difference is at most 1e-4 of the largest output, or if Mien is nearer
than ONNX Runtime to what PyTorch computes in double precision: some networks with random weights
enlarge rounding. Needs torchvision, timm and onnxruntime besides the package in tools/. With
--times both run in turns on one thread.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from comparison import onnx_runtime_session
from mien_tools.pytorch import TraceError, import_module
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile
from paper_networks import NETWORKS as PAPER_NETWORKS

TOLERANCE = 1e-4

TORCHVISION = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "densenet169",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vgg11_bn",
    "vgg16",
    "vit_b_16",
    "wide_resnet50_2",
)
TIMM = (
    "convnextv2_atto",
    "cspresnet50",
    "darknet17",
    "dla34",
    "edgenext_xx_small",
    "efficientnet_b0",
    "efficientnet_lite0",
    "ese_vovnet19b_dw",
    "fbnetc_100",
    "fbnetv3_b",
    "ghostnet_100",
    "ghostnetv2_100",
    "hardcorenas_a",
    "hrnet_w18_small",
    "lcnet_050",
    "lcnet_100",
    "mixnet_s",
    "mnasnet_small",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "regnety_002",
    "repghostnet_050",
    "repvgg_a0",
    "res2net50_26w_4s",
    "resnet10t",
    "rexnet_100",
    "selecsls42b",
    "semnasnet_100",
    "spnasnet_100",
    "starnet_s1",
    "tf_efficientnet_b0",
    "tinynet_a",
)


@dataclass(frozen=True)
class Result:
    """What became of a network: largest differences by the largest output, or a refusal."""

    name: str
    difference: float | None = None
    # To double precision, of Mien and of ONNX Runtime.
    own_error: float = 0.0
    their_error: float = 0.0
    refusal: str = ""
    # For one image, of Mien and of ONNX Runtime, and the median of the rounds' ratios.
    times: tuple[float, float, float] | None = None

    @property
    def agrees(self) -> bool:
        if self.difference is None:
            return False
        return self.difference <= TOLERANCE or self.own_error <= self.their_error

    @property
    def text(self) -> str:
        if self.difference is None:
            return self.refusal
        said = f"{self.difference:.1e}"
        if self.difference > TOLERANCE:
            said += (
                f" (to double precision {self.own_error:.1e}, ONNX Runtime {self.their_error:.1e})"
            )
        if self.times is not None:
            own, theirs, ratio = self.times
            said += f"; {own:.2f} ms, ONNX Runtime {theirs:.2f}, ratio {ratio:.2f}"
        return said


def build(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network and the shape of its input."""
    library, _, model = name.rpartition("/")
    if library == "paper":
        make, shape = PAPER_NETWORKS[model]
        return make(), shape
    if library == "timm":
        import timm

        module = timm.create_model(model, pretrained=False)
        return module, module.default_cfg["input_size"]
    import torchvision

    extra = {"aux_logits": False} if model in ("googlenet", "inception_v3") else {}
    if extra:
        extra["init_weights"] = False
    module = torchvision.models.get_model(model, weights=None, **extra)
    side = 299 if model == "inception_v3" else 224
    return module, (3, side, side)


def settle(module: nn.Module, image: torch.Tensor) -> None:
    """Give batch normalisations the statistics of an image, as after training."""
    for submodule in module.modules():
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.momentum = 1.0
            submodule.train()
    with torch.no_grad():
        module(image)
    module.eval()


class OnnxRuntime:
    """PyTorch's own export of a network in ONNX Runtime, on one thread."""

    def __init__(self, module: nn.Module, image: torch.Tensor, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (image,), path, dynamo=False, opset_version=17)
        self._session = onnx_runtime_session(path)
        self._inputs = {self._session.get_inputs()[0].name: image.numpy()}

    def run(self) -> np.ndarray:
        return self._session.run(None, self._inputs)[0]

    def milliseconds(self, runs: int) -> float:
        self.run()
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            self.run()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)


def times_in_turns(
    command: list[object], theirs: OnnxRuntime, rounds: int = 9
) -> tuple[float, float, float]:
    """Of each the median for one image, and the median of the rounds' ratios."""
    runs = max(3, min(100, int(80.0 / theirs.milliseconds(1))))
    pairs = []
    for _ in range(rounds):
        done = subprocess.run(
            [*command, "--repeat", str(runs), "--json"], capture_output=True, text=True, check=True
        )
        pairs.append((json.loads(done.stdout)["milliseconds"], theirs.milliseconds(runs)))
    own, other = zip(*pairs, strict=True)
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(own), statistics.median(other), ratio


def try_out(name: str, run: Path, folder: Path, with_times: bool) -> Result:
    torch.manual_seed(1)
    module, shape = build(name)
    module.eval()
    image = torch.rand(8, *shape)
    settle(module, image)
    image = image[:1]
    try:
        imported = import_module(module, [shape])
    except TraceError as error:
        return Result(name, refusal=str(error))
    tensors = tuple(
        NamedTensor(tensor, np.asarray(values, np.float32))
        for tensor, values in imported.tensors.items()
    )
    preprocessing = Preprocessing(0, (0.0,) * shape[0], (1.0,) * shape[0])
    file = WeightFile("network", imported.graph, tensors, (), preprocessing)
    file.write(folder / "network.mien")
    np.save(folder / "image.npy", image.numpy())
    command = [run, "--model", folder / "network.mien", "--input", folder / "image.npy"]
    command += ["--output", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return Result(name, refusal=f"run: {done.stderr.strip()}")
    found = np.load(folder / f"{imported.graph.outputs[0].name}.npy")
    theirs = OnnxRuntime(module, image, folder / "network.onnx")
    expected = theirs.run()
    times = times_in_turns(command, theirs) if with_times else None
    with torch.no_grad():
        exact = module.double()(image.double()).numpy()
    found = found.reshape(expected.shape)
    largest = float(np.abs(exact).max())
    difference, own_error, their_error = (
        float(np.abs(one - other).max()) / largest
        for one, other in ((found, expected), (found, exact), (expected, exact))
    )
    return Result(name, difference, own_error, their_error, "", times)


def define_missing_operators() -> None:
    """Lets torchvision be imported beside a PyTorch for which its own operators were not built."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        define_missing_operators.kept = library


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="such as resnet18 or timm/ghostnet_100")
    parser.add_argument("--programs", type=Path, default=Path("build/examples"))
    parser.add_argument("--times", action="store_true", help="compare times, too")
    parser.add_argument("--table", type=Path, help="write the results there as Markdown, too")
    options = parser.parse_args()
    define_missing_operators()
    names = options.names or [*TORCHVISION, *(f"timm/{name}" for name in TIMM)]
    results = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            result = try_out(name, options.programs / "run", Path(folder), options.times)
        results.append(result)
        print(f"{name:32} {result.text}", flush=True)
    exported = [result for result in results if result.difference is not None]
    agreeing = sum(result.agrees for result in results)
    summary = f"{len(exported)} of {len(results)} export, {agreeing} of these agree"
    ratios = [result.times[2] for result in exported if result.times is not None]
    if ratios:
        summary += f"; median ratio {statistics.median(ratios):.2f}"
    print(summary)
    if options.table:
        lines = ["| network | largest difference by the largest output, or why not |", "|---|---|"]
        for result in results:
            lines.append(f"| {result.name} | {result.text} |")
        options.table.write_text("\n".join([f"{summary}.", "", *lines]) + "\n")
    return 0 if agreeing == len(exported) else 1


if __name__ == "__main__":
    sys.exit(main())
