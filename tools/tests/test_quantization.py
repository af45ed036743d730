"""8 bits: whole numbers against NumPy, ranges, what is chosen, and exported files."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from mien_tools import weights
from mien_tools.calibration_images import load_inputs
from mien_tools.data import DataError
from mien_tools.export import INT8_TOLERANCE, Network, export, main, replay
from mien_tools.graph import Input, Node
from mien_tools.int8_choice import QuantizationError, choose
from mien_tools.int8_options import METHODS, Int8Options
from mien_tools.onnx_import import import_model
from mien_tools.onnx_node import OnnxError
from mien_tools.quantization import (
    InputRange,
    Int8Products,
    input_rounding,
    int8_products,
    int8_weights,
    run_again,
    run_values,
    to_tensors,
)
from mien_tools.weights import Int8Values, WeightFile, gray

# What a layer computes.


def rounded_by_numpy(inputs: np.ndarray, stored: Int8Values) -> np.ndarray:
    """q, as the format says."""
    factor = np.float32(1) / np.float32(stored.input_scale)
    scaled = np.rint(inputs.astype(np.float32) * factor).astype(np.int64)
    return np.clip(scaled + stored.input_zero_point, 0, 255)


def sums_by_numpy(node: Node, inputs: np.ndarray, stored: Int8Values) -> np.ndarray:
    """The whole numbers that a layer adds up, one product after another."""
    rounded = rounded_by_numpy(inputs, stored)
    data = stored.data.astype(np.int64)
    if node.layer == "Dense":
        shifted = rounded.reshape(len(inputs), -1) - stored.input_zero_point
        return (shifted @ data.T)[..., None, None]
    options = node.resolved
    top, left = options["padding_y"], options["padding_x"]
    bottom = top if options["padding_bottom"] < 0 else options["padding_bottom"]
    right = left if options["padding_right"] < 0 else options["padding_right"]
    padded = np.pad(
        rounded,
        ((0, 0), (0, 0), (top, bottom), (left, right)),
        constant_values=stored.input_zero_point,
    )
    shape = node.record.output_shape(options, [inputs.shape[1:]])
    result = np.zeros((len(inputs), *shape), np.int64)
    groups = options["groups"]
    for y, x in np.ndindex(*shape[1:]):
        for dy, dx in np.ndindex(*stored.shape[2:]):
            row = y * options["stride_y"] + dy * options["dilation_y"]
            column = x * options["stride_x"] + dx * options["dilation_x"]
            shifted = padded[:, :, row, column] - stored.input_zero_point
            parts = zip(
                np.split(shifted, groups, 1), np.split(data[:, :, dy, dx], groups), strict=True
            )
            result[:, :, y, x] += np.hstack([part @ weights.T for part, weights in parts])
    return result


def conv(in_channels: int, out_channels: int, kernel: int, **others: int) -> Node:
    options = {"in_channels": in_channels, "out_channels": out_channels}
    sizes = {"kernel_height": kernel, "kernel_width": kernel}
    return Node("Conv2d", (0,), {**options, **sizes, **others}, ("c.weight", "c.bias"))


LAYERS = {
    "pointwise": (conv(5, 7, 1), (5, 3, 4)),
    "pointwise, stride": (conv(5, 7, 1, stride_y=2, padding_x=1), (5, 5, 4)),
    "spatial": (conv(3, 4, 3, padding_y=1, padding_x=1), (3, 5, 6)),
    "on one side": (conv(2, 4, 3, padding_bottom=2, padding_right=1, stride_x=2), (2, 5, 6)),
    "dilated": (conv(2, 3, 2, dilation_y=2, dilation_x=3, padding_x=1), (2, 5, 6)),
    "wide": (conv(1100, 2, 1), (1100, 1, 2)),
    "groups": (conv(6, 9, 3, groups=3, padding_y=1), (6, 5, 4)),
    "depthwise": (conv(5, 5, 3, groups=5, stride_x=2), (5, 4, 6)),
    "dense": (
        Node("Dense", (0,), {"in_features": 70, "out_features": 5}, ("d.weight", "d.bias")),
        (70, 1, 1),
    ),
}


@pytest.mark.parametrize("zero_point", [0, 101])
@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_computes_what_the_format_says(case: str, zero_point: int) -> None:
    node, shape = LAYERS[case]
    generator = np.random.default_rng(1)
    weight_shape = node.tensor_shapes["weight"]
    stored = int8_products(generator.standard_normal(weight_shape), 0.0123, zero_point)
    # Beyond the range on both sides.
    inputs = generator.uniform(-3, 6, (2, *shape)).astype(np.float32)
    bias = generator.standard_normal(weight_shape[0]).astype(np.float32)
    layer = Int8Products(stored)
    sums = sums_by_numpy(node, inputs, stored)
    found = layer.sums(node, torch.from_numpy(inputs))
    np.testing.assert_array_equal(found.numpy(), sums)
    multipliers = np.float32(0.0123) * stored.scales
    expected = sums.astype(np.float32) * multipliers[:, None, None] + bias[:, None, None]
    for dtype in (torch.float32, torch.float64):
        taken = torch.from_numpy(inputs).to(dtype)
        output = layer.output(node, taken, [torch.from_numpy(bias).to(dtype)])
        assert output.dtype == dtype
        np.testing.assert_array_equal(output.numpy(), expected)
    no_bias = layer.output(node, torch.from_numpy(inputs), [])
    np.testing.assert_array_equal(no_bias.numpy(), expected_without(sums, multipliers))


def expected_without(sums: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    return sums.astype(np.float32) * multipliers[:, None, None]


def test_halves_are_rounded_to_even_and_the_ends_are_kept() -> None:
    stored = Int8Values(np.ones((1, 1), np.int8), np.ones(1, np.float32), 0.5, 3)
    inputs = torch.tensor([0.25, 0.75, -0.25, -0.75, -1.5, -9, 126, 900, 1e30])
    found = Int8Products(stored).rounded(inputs).tolist()
    assert found == [0, 2, 0, -2, -3, -3, 252, 252, 252]


def test_the_largest_sums_are_exact() -> None:
    node = Node("Dense", (0,), {"in_features": 70000, "out_features": 1}, ("d.weight", "d.bias"))
    data = np.full((1, 70000), 64, np.int8)
    data[0, 0] = 63
    layer = Int8Products(Int8Values(data, np.ones(1, np.float32), 1.0))
    sums = layer.sums(node, torch.full((1, 70000, 1, 1), 255.0))
    assert int(sums) == 255 * (64 * 70000 - 1)


# Rounding.


@pytest.mark.parametrize("products", [False, True])
def test_weights_become_bytes_by_channel(products: bool) -> None:
    values = np.random.default_rng(2).standard_normal((6, 3, 2, 2)).astype(np.float32)
    values[1] = 0
    values[2] *= 1e-41  # below what float32 holds with all its digits
    values[3] *= 1e30
    limit = 64 if products else 127
    stored = int8_products(values, 0.5, 1) if products else int8_weights(values)
    assert stored.data.dtype == np.int8 and stored.scales.dtype == np.float32
    assert stored.scales[1] == 1 and not stored.data[1].any()
    assert (stored.scales > 0).all()
    largest = np.abs(stored.data.reshape(6, -1)).max(axis=1)
    assert largest.max() == limit and (largest[[0, 3, 4, 5]] == limit).all()
    step = stored.scales.reshape(-1, 1, 1, 1).astype(np.float64)
    assert (np.abs(stored.widened() - values.astype(np.float64)) <= 0.5001 * step).all()


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [(0, 255, 1, 0), (3, 510, 2, 0), (-51, 204, 1, 51), (-255, -3, 1, 255), (0, 0, 1, 0)],
)
def test_ranges_hold_zero(low: float, high: float, scale: float, zero_point: int) -> None:
    assert input_rounding(low, high) == (scale, zero_point)


def seen(values: np.ndarray) -> InputRange:
    found = InputRange()
    parts = [torch.from_numpy(part.astype(np.float32)) for part in np.array_split(values, 3)]
    for part in parts:
        found.widen(part)
    for part in parts:
        found.count(part)
    return found


def test_ranges_by_method() -> None:
    generator = np.random.default_rng(3)
    values = np.maximum(generator.standard_normal(30000), 0)
    values[77] = 40
    found = seen(values)
    assert found.by("maximum") == (0, 40)
    for share in (99.9, 99.99):
        low, high = found.by(f"percentile {share}")
        assert low == 0
        assert high == pytest.approx(np.percentile(values, share), abs=0.02)
    errors = {}
    for method in METHODS:
        scale, zero_point = input_rounding(*found.by(method))
        rounded = np.clip(np.rint(values / scale), -zero_point, 255 - zero_point) * scale
        errors[method] = ((rounded - values) ** 2).sum()
    assert errors["squared-error"] <= 1.01 * errors["maximum"]


def test_ranges_of_both_signs_and_of_nothing() -> None:
    values = np.random.default_rng(4).uniform(-1, 3, 20000)
    for method in METHODS:
        low, high = seen(values).by(method)
        assert low == pytest.approx(-1, abs=0.05) and high == pytest.approx(3, abs=0.05)
    for method in METHODS:
        assert seen(np.zeros(9)).by(method) == (0, 0)
        assert seen(np.full(9, -2.0)).by(method) == (-2, 0)


# Choosing.


class Small(nn.Module):
    """Every kind of layer that can be in 8 bits or not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.pointwise = nn.Conv2d(8, 12, 1, bias=False)
        self.strided = nn.Conv2d(12, 4, 3, 2)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = self.depthwise(self.norm(self.first(x)).relu())
        return self.last(self.strided(self.pointwise(x).relu()).flatten(1))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small network, of faces of 10 pixels and the 8 in their middle."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("small") / "small.mien"
    how = gray(10, 0.25, 0.5, temperature=1.5)
    export(Network(Small().eval(), "small", (1, 8, 8), how, ("a", "b", "c")), path)
    return path


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (40, 1, 10, 10)).astype(np.uint8)


@pytest.fixture(scope="module")
def calibration(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "faces.npy"
    np.save(path, pixels)
    return path


def chosen(small: Path, calibration: Path, **options: object):
    file = weights.read(small)
    inputs = load_inputs(calibration, 40, file.graph.inputs[0], file.preprocessing)
    return choose(file.graph, file.values(), inputs, Int8Options(**options), True)


def test_all_that_is_slower_in_float32_is_tried(small: Path, calibration: Path) -> None:
    found = chosen(small, calibration)
    assert [layer.layer for layer in found.layers] == ["pointwise", "strided", "last"]
    assert found.images == 20 and found.changed is not None
    # What is chosen changes no more than it may, what is left would.
    total = math.hypot(*(layer.network_change for layer in found.layers if layer.chosen))
    assert total <= 0.01
    for layer in found.layers:
        if not layer.chosen:
            assert math.hypot(total, layer.network_change) > 0.01
    stored = {name for name, values in found.tensors.items() if not values.has_products}
    kept = set(found.kept)
    products = {f"{layer.layer}.weight" for layer in found.layers if layer.chosen}
    everything = {name for name in weights.read(small).values() if name.endswith(".weight")}
    assert stored | kept | products == everything - {"norm.weight"}


@pytest.mark.parametrize("method", ["auto", "maximum", "percentile", "squared-error"])
def test_layers_and_methods_can_be_named(method: str, small: Path, calibration: Path) -> None:
    found = chosen(
        small, calibration, method=method, layers=("first", "depthwise"), products_only=True
    )
    assert set(found.tensors) == {"first.weight", "depthwise.weight"}
    assert all(values.has_products for values in found.tensors.values())
    assert not found.kept
    for layer in found.layers:
        assert method == "auto" or layer.method.startswith(method)
        assert 0 < layer.output_change < 0.1
    first = found.tensors["first.weight"]
    assert first.input_zero_point > 0  # pixels from -0.5 to 1.5
    assert found.change < 0.1 and found.largest_difference > 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("1",),
            "expected some of 0, found '1'; expected Conv2d or Dense for products in 8 bits, found "
            "ConvTranspose2d",
        ),
        (("0", "nothing"), "expected some of 0, found 'nothing'"),
    ],
)
def test_layers_that_cannot_be_are_refused(
    names: tuple[str, ...], message: str, calibration: Path, tmp_path: Path
) -> None:
    upwards = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ConvTranspose2d(2, 1, 2), nn.Flatten())
    path = tmp_path / "upwards.mien"
    export(Network(upwards.eval(), "upwards", (1, 10, 10), gray(10, 0.25, 0.5)), path)
    with pytest.raises(QuantizationError, match=message):
        chosen(path, calibration, layers=names)


def test_running_again_computes_what_running_does(small: Path) -> None:
    file = weights.read(small)
    inputs = torch.randn(2, 1, 8, 8)
    tensors = to_tensors(file.stored(), torch.float32)
    changed = {"strided.weight": tensors["strided.weight"] + 1}
    before = run_values(file.graph, [inputs], tensors)
    again = run_again(file.graph, before, {**tensors, **changed}, changed)
    expected = run_values(file.graph, [inputs], {**tensors, **changed})
    assert all(torch.equal(one, other) for one, other in zip(again, expected, strict=True))
    assert not torch.equal(before[-1], again[-1])


# Images.


def test_images_are_read_as_the_network_takes_them(
    small: Path, calibration: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    file = weights.read(small)
    entry, how = file.graph.inputs[0], file.preprocessing
    found = load_inputs(calibration, 100, entry, how)
    crops = pixels[:, :, 1:9, 1:9].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(found, (crops - np.float32(0.25)) / np.float32(0.5))
    np.testing.assert_array_equal(load_inputs(calibration, 10, entry, how), found[::4])

    inputs = tmp_path / "inputs.npy"
    np.save(inputs, found)
    np.testing.assert_array_equal(load_inputs(inputs, 100, entry, how), found)

    folder = tmp_path / "faces" / "deeper"
    folder.mkdir(parents=True)
    for index, face in enumerate(pixels):
        Image.fromarray(face[0]).save(folder / f"{index:02}.png")
    np.testing.assert_array_equal(load_inputs(tmp_path / "faces", 100, entry, how), found)


def test_training_rows_are_taken(tmp_path: Path, small: Path) -> None:
    file = weights.read(small)
    rows = ["emotion,pixels,Usage"]
    for value, usage in ((10, "Training"), (20, "PublicTest"), (30, "Training")):
        rows.append(f"0,{' '.join([str(value)] * 48 * 48)},{usage}")
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(rows))
    found = load_inputs(path, 9, file.graph.inputs[0], file.preprocessing)
    assert found.shape == (2, 1, 8, 8)
    np.testing.assert_allclose(found[:, 0, 0, 0], (np.array([10, 30]) / 255 - 0.25) / 0.5, 1e-6)


def test_images_that_do_not_fit_are_refused(small: Path, tmp_path: Path) -> None:
    file = weights.read(small)
    entry, how = file.graph.inputs[0], file.preprocessing
    path = tmp_path / "images.npy"
    for array, message in (
        (np.zeros((2, 1, 8, 8)), "uint8 or float32 .* found float64 2 x 1 x 8 x 8"),
        (np.zeros((2, 8, 8), np.uint8), "found uint8 2 x 8 x 8"),
        (np.zeros((2, 1, 8, 7), np.float32), "expected images 1 x 8 x 8, found 1 x 8 x 7"),
        (np.zeros((2, 3, 8, 8), np.uint8), "expected images 1 x 8 x 8, found 3 x 8 x 8"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "expected finite numbers"),
    ):
        np.save(path, array)
        with pytest.raises(DataError, match=message):
            load_inputs(path, 9, entry, how)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="expected an array of NumPy"):
        load_inputs(path, 9, entry, how)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="expected images .*found none"):
        load_inputs(tmp_path / "none", 9, entry, how)
    with pytest.raises(DataError, match="expected an array .npy for a network whose input is no"):
        load_inputs(tmp_path / "none", 9, Input(3), replace(how, face_size=0))


# Exported files.


def exported(small: Path, output: Path, *options: object) -> WeightFile:
    arguments = ["--mien", small, "--output", output, *options]
    assert main([str(argument) for argument in arguments]) == 0
    file, source = weights.read(output), weights.read(small)
    assert replay(file, "again") == pytest.approx(0, abs=1e-6)
    assert file.encode() == output.read_bytes()
    assert (file.network, file.graph, file.labels) == (source.network, source.graph, source.labels)
    assert file.preprocessing == source.preprocessing and file.replayed == source.replayed
    assert [tensor.name for tensor in file.tensors] == [tensor.name for tensor in source.tensors]
    return file


def test_a_network_is_exported_in_8_bits(
    small: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--int8", "--calibrate", calibration, "--int8-layers", "pointwise,last")
    file = exported(small, tmp_path / "small_int8.mien", *options)
    stored = file.stored()
    assert stored["pointwise.weight"].has_products and stored["last.weight"].has_products
    assert stored["norm.weight"].dtype == stored["last.bias"].dtype == np.float32
    assert file.tolerance == pytest.approx(INT8_TOLERANCE)
    source = weights.read(small)
    for vector, before in zip(file.vectors, source.vectors, strict=True):
        assert vector.inputs == before.inputs
        difference = np.abs(vector.outputs[0].values - before.outputs[0].values).max()
        assert 0 < difference < 0.05 * np.abs(before.outputs[0].values).max()
    printed = capsys.readouterr().out
    assert "int8 and fp32" in printed and "of their 20 predictions change" in printed
    assert "\npointwise  " in printed and "(strided" not in printed


def test_the_rest_may_be_halved_or_left(small: Path, calibration: Path, tmp_path: Path) -> None:
    options = ("--int8", "--calibrate", calibration, "--calibrate-count", 8, "--half")
    options += ("--int8-layers", "last", "--int8-products-only", "--int8-method", "maximum")
    stored = exported(small, tmp_path / "small_int8.mien", *options).stored()
    in_bytes = [name for name, values in stored.items() if isinstance(values, Int8Values)]
    assert in_bytes == ["last.weight"]
    assert {v.dtype for name, v in stored.items() if name != "last.weight"} == {np.dtype("f2")}


def test_only_weights_are_stored_in_8_bits(small: Path, tmp_path: Path) -> None:
    file = exported(small, tmp_path / "small_int8.mien", "--int8-weights")
    stored = file.stored()
    in_bytes = {name for name, values in stored.items() if isinstance(values, Int8Values)}
    expected = {"first", "depthwise", "pointwise", "strided", "last"}
    assert in_bytes == {f"{name}.weight" for name in expected}
    assert not any(stored[name].has_products for name in in_bytes)
    assert file.tolerance == pytest.approx(weights.TOLERANCE)


def test_a_weight_file_is_a_source_for_other_types(small: Path, tmp_path: Path) -> None:
    file = exported(small, tmp_path / "again.mien")
    assert file.encode() == small.read_bytes()
    file = exported(small, tmp_path / "half.mien", "--half")
    assert {values.dtype for values in file.stored().values()} == {np.dtype("f2")}


def test_what_is_in_8_bits_is_no_source(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small_int8.mien"
    exported(small, path, "--int8-weights")
    assert main(["--mien", str(path), "--output", str(tmp_path / "b.mien"), "--int8-weights"]) == 1
    message = capsys.readouterr().err
    assert "small_int8.mien: tensor 'first.weight': expected fp32 or fp16, found int8" in message
    assert not (tmp_path / "b.mien").exists()


def test_a_module_is_quantised(calibration: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(192, 2))\n"
    )
    path = tmp_path / "net.mien"
    arguments = ["--module", f"{tmp_path}/net.py:make", "--input", "1x8x8", "--face-size", "10"]
    arguments += ["--int8", "--calibrate", str(calibration), "--int8-layers", "0,3"]
    assert main([*arguments, "--output", str(path)]) == 0
    stored = weights.read(path).stored()
    assert stored["0.weight"].has_products and stored["3.weight"].has_products


def test_one_image_is_too_few(
    small: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.mien"
    arguments = ["--mien", str(small), "--output", str(output), "--int8", "--calibrate-count", "1"]
    assert main([*arguments, "--calibrate", str(calibration)]) == 1
    assert "expected 2 images or more" in capsys.readouterr().err
    assert main([*arguments, "--calibrate", str(tmp_path / "missing.csv")]) == 1
    assert "missing.csv" in capsys.readouterr().err
    assert not output.exists()


USAGE = {
    "no images": (["--int8"], "--int8 needs images to measure ranges on: --calibrate DATA"),
    "images alone": (["--calibrate", "a"], "--calibrate is for --int8"),
    "method alone": (["--int8-weights", "--int8-method", "auto"], "--int8-method is for --int8"),
    "products alone": (["--int8-products-only"], "--int8-products-only is for --int8"),
    "both": (["--int8", "--int8-weights"], "not allowed with argument --int8"),
    "labels": (["--labels", "a,b"], "--labels: --mien keeps what its file says"),
    "temperature": (["--temperature", "2"], "--temperature: --mien keeps what its file says"),
    "the same file": (["--output", "x/../a.mien"], "--mien and --output are the same file"),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, message = USAGE[case]
    with pytest.raises(SystemExit):
        main(["--mien", "a.mien", "--output", "b.mien", *options])
    assert message in capsys.readouterr().err


# Quantised models of ONNX.

SCALE = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
ZERO = numpy_helper.from_array(np.array(0, np.uint8), "zero")
BYTES = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.uint8), "bytes")
ROWS = numpy_helper.from_array(np.ones((3, 2), np.uint8), "rows")
IN_BYTES = ("QuantizeLinear", ["x", "scale", "zero"], ["q"])
ONNX_NODES = {
    "QuantizeLinear": [IN_BYTES, ("DequantizeLinear", ["q", "scale", "zero"], ["y"])],
    # Of constants it could be computed, but what is in 8 bits was not asked for so.
    "DequantizeLinear": [
        ("DequantizeLinear", ["bytes", "scale", "zero"], ["w"]),
        ("Conv", ["x", "w"], ["y"]),
    ],
    "DynamicQuantizeLinear": [
        ("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        ("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ],
    "QLinearConv": [
        ("Identity", ["x"], ["i"]),
        (
            "QLinearConv",
            ["i", *["scale", "zero", "bytes", "scale", "zero", "scale", "zero"]],
            ["y"],
        ),
    ],
    "QLinearMatMul": [
        (
            "QLinearMatMul",
            ["x", *["scale", "zero", "rows", "scale", "zero", "scale", "zero"]],
            ["y"],
        )
    ],
    "ConvInteger": [("ConvInteger", ["x", "bytes"], ["y"])],
    "MatMulInteger": [("MatMulInteger", ["x", "rows"], ["y"])],
    "QLinearAdd": [("QLinearAdd", ["x", "x"], ["y"])],
}


@pytest.mark.parametrize("operator", ONNX_NODES)
def test_quantised_models_of_onnx_are_refused_by_name(operator: str) -> None:
    nodes = [
        helper.make_node(
            kind,
            inputs,
            outputs,
            name=f"{kind}_0",
            domain="com.microsoft" if kind == "QLinearAdd" else "",
        )
        for kind, inputs, outputs in ONNX_NODES[operator]
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [SCALE, ZERO, BYTES, ROWS],
    )
    model = onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    message = (
        f"model.onnx: node '{operator}_0' .*: expected a network in floats, found the quantised "
        f"operator {operator}; export the fp32 network, and let --int8 quantise it"
    )
    with pytest.raises(OnnxError, match=message):
        import_model(model, "model.onnx")
