"""Counts which networks of torchvision and timm export, and whether Mien computes what they do.

    python bench/census.py --programs build/examples            # all
    python bench/census.py --programs build/examples resnet18 timm/ghostnet_100

Every network has random weights and batch normalisations that an image has gone through. PyTorch
exports it to ONNX, for ONNX Runtime, and mien_tools.export's importer makes a weight file, which
the program `run` runs on the same image. They agree if the largest difference is at most 1e-4 of
the largest output. Needs torchvision, timm and onnxruntime besides the package in tools/.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien_tools.pytorch import TraceError, import_module
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

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
    """What became of a network: the largest difference by the largest output, or a refusal."""

    name: str
    difference: float | None = None
    refusal: str = ""

    @property
    def agrees(self) -> bool:
        return self.difference is not None and self.difference <= TOLERANCE


def build(name: str) -> tuple[nn.Module, int]:
    """A network and the side of its input."""
    library, _, model = name.rpartition("/")
    if library == "timm":
        import timm

        module = timm.create_model(model, pretrained=False)
        return module, module.default_cfg["input_size"][-1]
    import torchvision

    extra = {"aux_logits": False} if model in ("googlenet", "inception_v3") else {}
    if extra:
        extra["init_weights"] = False
    module = torchvision.models.get_model(model, weights=None, **extra)
    return module, 299 if model == "inception_v3" else 224


def settle(module: nn.Module, image: torch.Tensor) -> None:
    """Give batch normalisations the statistics of an image, as after training."""
    for submodule in module.modules():
        if isinstance(submodule, (nn.BatchNorm1d, nn.BatchNorm2d)):
            submodule.momentum = 1.0
            submodule.train()
    with torch.no_grad():
        module(image)
    module.eval()


def onnx_runtime(module: nn.Module, image: torch.Tensor, path: Path) -> np.ndarray:
    """What ONNX Runtime computes of PyTorch's own export."""
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (image,), path, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]


def try_out(name: str, run: Path, folder: Path) -> Result:
    torch.manual_seed(1)
    module, side = build(name)
    module.eval()
    image = torch.rand(2, 3, side, side)
    settle(module, image)
    image = image[:1]
    try:
        imported = import_module(module, [(3, side, side)])
    except TraceError as error:
        return Result(name, refusal=str(error))
    tensors = tuple(
        NamedTensor(tensor, np.asarray(values, np.float32))
        for tensor, values in imported.tensors.items()
    )
    preprocessing = Preprocessing(0, (0.0,) * 3, (1.0,) * 3)
    labels = tuple(f"class{i}" for i in range(imported.graph.output_shapes()[0][0]))
    file = WeightFile("network", imported.graph, tensors, labels, preprocessing)
    file.write(folder / "network.mien")
    np.save(folder / "image.npy", image.numpy())
    command = [run, "--model", folder / "network.mien", "--input", folder / "image.npy"]
    done = subprocess.run([*command, "--output", folder], capture_output=True, text=True)
    if done.returncode != 0:
        return Result(name, refusal=f"run: {done.stderr.strip()}")
    found = np.load(folder / f"{imported.graph.outputs[0].name}.npy")
    expected = onnx_runtime(module, image, folder / "network.onnx")
    difference = float(np.abs(found.reshape(expected.shape) - expected).max())
    return Result(name, difference / float(np.abs(expected).max()))


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
    parser.add_argument("--table", type=Path, help="write the results there as Markdown, too")
    options = parser.parse_args()
    define_missing_operators()
    names = options.names or [*TORCHVISION, *(f"timm/{name}" for name in TIMM)]
    results = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            result = try_out(name, options.programs / "run", Path(folder))
        results.append(result)
        said = result.refusal or f"{result.difference:.1e}"
        print(f"{name:32} {said}", flush=True)
    exported = [result for result in results if result.difference is not None]
    agreeing = sum(result.agrees for result in results)
    summary = f"{len(exported)} of {len(results)} export, {agreeing} of these agree"
    print(summary)
    if options.table:
        lines = ["| network | largest difference by the largest output, or why not |", "|---|---|"]
        for result in results:
            lines.append(f"| {result.name} | {result.refusal or f'{result.difference:.1e}'} |")
        options.table.write_text("\n".join([f"{summary}.", "", *lines]) + "\n")
    return 0 if agreeing == len(exported) else 1


if __name__ == "__main__":
    sys.exit(main())
