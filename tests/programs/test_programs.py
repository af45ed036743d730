"""The example programs as their users meet them; `evaluate` row by row against PyTorch."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien_tools import weights
from mien_tools.export import Network, export
from mien_tools.networks import LABELS, NETWORKS
from mien_tools.preprocess import centre_crop, normalise, prepare_faces, ten_crops
from mien_tools.weights import gray

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "examples/images/astronaut.png"
MODEL = ROOT / "examples/models/mini_fer.mien"
YUNET = ROOT / "examples/models/yunet.mien"
CASCADE = ROOT / "examples/models/haarcascade_frontalface_default.haar"
LANDMARKS = ["right_eye", "left_eye", "nose_tip", "right_mouth_corner", "left_mouth_corner"]
SHARED = ROOT.parent / "shared"


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def write_csv(path: Path, faces: np.ndarray, labels: np.ndarray, usage: str = "PublicTest") -> Path:
    rows = [
        f"{label},{' '.join(map(str, face.ravel()))},{usage}"
        for face, label in zip(faces, labels, strict=True)
    ]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


def random_faces(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Blurred noise: light and dark areas, as faces have, but nobody's face."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (count, 6, 6), dtype=np.uint8)
    faces = [np.asarray(Image.fromarray(face).resize((48, 48), Image.BICUBIC)) for face in coarse]
    return np.stack(faces), generator.integers(0, len(LABELS), count)


def random_model(path: Path, name: str, labels: tuple[str, ...] = LABELS) -> Path:
    """A weight file of a network of Mien's with random weights, which tells faces apart."""
    info = NETWORKS[name]
    torch.manual_seed(0)
    module = info.build().eval()
    side = info.input_size
    faces = prepare_faces(random_faces(16)[0], info.face_size, info.equalize_histogram)
    with torch.no_grad():
        crops = torch.from_numpy(faces[:, None, :side, :side]).float()
        logits = module(crops / 255)
        output = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
        output.bias -= logits.mean(0)
    preprocessing = gray(
        info.face_size,
        temperature=float(logits.std(0).mean()) / 2,
        equalize_histogram=info.equalize_histogram,
    )
    export(Network(module, name, (1, side, side), preprocessing, labels), path)
    return path


@pytest.fixture(scope="session")
def random_vgg10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another face size than MiniFER, and equalising."""
    return random_model(tmp_path_factory.mktemp("models") / "random.mien", "vgg10")


def torch_logits(model: Path, faces: np.ndarray, views: str) -> np.ndarray:
    """The mean logits that PyTorch computes in float64 from a file's weights."""
    file = weights.read(model)
    how, seen = file.preprocessing, file.graph.inputs[0]
    network = NETWORKS[file.network].build().eval()
    values = {tensor.name: torch.from_numpy(tensor.values.copy()) for tensor in file.tensors}
    network.load_state_dict(values, strict=False)
    network.double()
    logits = []
    for face in prepare_faces(faces, how.face_size, how.equalize_histogram):
        size = seen.height, seen.width
        crops = ten_crops(face, *size) if views == "ten" else centre_crop(face, *size)[None]
        with torch.no_grad():
            inputs = normalise(crops, how.mean[0], how.standard_deviation[0])
            inputs = torch.from_numpy(inputs)
            logits.append(network(inputs[:, None].double()).mean(0).numpy())
    return np.stack(logits)


def torch_probabilities(model: Path, faces: np.ndarray, views: str) -> np.ndarray:
    logits = torch_logits(model, faces, views)
    scaled = logits / weights.read(model).preprocessing.temperature
    return torch.softmax(torch.from_numpy(scaled), 1).numpy()


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def read_logits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The logits [rows, labels] and predictions of a CSV file of evaluate's."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    logits = np.array([[float(row[label]) for label in LABELS] for row in rows])
    return logits, np.array([int(row["prediction"]) for row in rows])


def check_against_torch(
    evaluate: Path,
    data: Path,
    faces: np.ndarray,
    labels: np.ndarray,
    views: str,
    output: Path,
    model: Path = MODEL,
) -> None:
    options = ["--views", views, "--logits", output, "--model", model]
    done = run(evaluate, "--json", *options, data)
    assert done.returncode == 0, done.stderr
    expected = torch_logits(model, faces, views)
    found, predictions = read_logits(output)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(predictions, expected.argmax(1))

    confusion = confusion_matrix(labels, predictions)
    result = json.loads(done.stdout)
    assert (result["network"], result["file"]) == (weights.read(model).network, str(model))
    assert result["rows"] == len(labels)
    assert result["correct"] == int((predictions == labels).sum())
    assert math.isclose(result["accuracy"], result["correct"] / result["rows"])
    assert result["confusion"] == confusion.tolist()
    sums = confusion.sum(0) + confusion.sum(1)
    f1 = np.divide(2 * confusion.diagonal(), sums, out=np.zeros(7), where=sums > 0)
    assert math.isclose(result["macro_f1"], f1.mean())


@pytest.mark.parametrize("views", ["centre", "ten"])
def test_evaluate_agrees_with_pytorch_row_by_row(programs: Path, tmp_path: Path, views: str):
    faces, labels = random_faces(30)
    data = write_csv(tmp_path / "faces.csv", faces, labels)
    output = tmp_path / "logits.csv"
    check_against_torch(programs / "evaluate", data, faces, labels, views, output)


def test_evaluate_on_fer2013_agrees_with_pytorch_row_by_row(programs: Path, tmp_path: Path):
    if not (SHARED / "fer2013/fer2013.py").exists():
        pytest.skip("FER2013 is not on this machine")
    sys.path.insert(0, str(SHARED / "fer2013"))
    from fer2013 import load

    split = load()["PublicTest"]
    faces, labels = split["pixels"][:40], split["label"][:40]
    data = write_csv(tmp_path / "fer2013.csv", faces, labels)
    check_against_torch(programs / "evaluate", data, faces, labels, "ten", tmp_path / "logits.csv")


def test_evaluate_compares_networks_and_their_ensemble(
    programs: Path, tmp_path: Path, random_vgg10: Path
):
    faces, labels = random_faces(40)
    data = write_csv(tmp_path / "faces.csv", faces, labels)
    files, names, parameters = (MODEL, random_vgg10), ("mini_fer", "vgg10"), (784_263, 1_765_479)
    options = ["--model", MODEL, "--model", random_vgg10]
    done = run(programs / "evaluate", "--json", *options, "--logits", tmp_path / "logits.csv", data)
    assert done.returncode == 0, done.stderr
    probabilities = [torch_probabilities(file, faces, "centre") for file in files]
    result = json.loads(done.stdout)
    assert (result["usage"], result["rows"]) == ("PublicTest", 40)
    assert result["labels"] == list(LABELS)
    *members, ensemble = result["results"]
    for number, (member, file) in enumerate(zip(members, files, strict=True)):
        assert (member["network"], member["file"]) == (names[number], str(file))
        assert member["parameters"] == parameters[number]
        assert member["milliseconds_per_face"] > 0
        expected = confusion_matrix(labels, probabilities[number].argmax(1))
        assert member["confusion"] == expected.tolist()
        logits, _ = read_logits(tmp_path / f"logits-{number + 1}.csv")
        expected_logits = torch_logits(file, faces, "centre")
        np.testing.assert_allclose(logits, expected_logits, atol=1e-4, rtol=1e-4)
    mean = sum(probabilities) / 2
    # The test would show nothing if the ensemble agreed with a member.
    assert all((mean.argmax(1) != member.argmax(1)).any() for member in probabilities)
    assert ensemble["network"] == "ensemble"
    assert "file" not in ensemble
    assert ensemble["parameters"] == sum(parameters)
    assert ensemble["confusion"] == confusion_matrix(labels, mean.argmax(1)).tolist()

    table = run(programs / "evaluate", *options, data).stdout.splitlines()
    assert table[0] == "rows: 40 (PublicTest)"
    assert table[1].startswith("views: centre, threads: ")
    lines = [line.split() for line in table[-3:]]
    for line, row in zip(lines, result["results"], strict=True):
        assert line[0] == row["network"]
        assert int(line[1]) == row["parameters"]
        assert line[2:4] == [f"{100 * row[key]:.2f}" for key in ("accuracy", "macro_f1")]
        assert line[5:] == ([row["file"]] if "file" in row else [])


def shade(share: float) -> tuple[int, int, int]:
    """The colour of a share of a row: from white to a dark blue."""
    return tuple(int(np.floor(255 + share * (dark - 255) + 0.5)) for dark in (8, 48, 107))


def test_evaluate_draws_the_confusion_matrix(programs: Path, tmp_path: Path):
    faces, labels = random_faces(200)
    data = write_csv(tmp_path / "faces.csv", faces, labels)
    folder = tmp_path / "pictures"
    folder.mkdir()
    options = ["--model", MODEL, "--model", MODEL, "--confusion", folder / "confusion.png"]
    done = run(programs / "evaluate", "--json", *options, data)
    assert done.returncode == 0, done.stderr
    names = [f"confusion-{number}.png" for number in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name, result in zip(names, json.loads(done.stdout)["results"], strict=True):
        picture = np.asarray(Image.open(folder / name).convert("RGB"))
        shares = np.array(result["confusion"]) / np.sum(result["confusion"], 1, keepdims=True)
        cells = {tuple(cell): shade(shares[tuple(cell)]) for cell in np.argwhere(shares > 0)}
        places = []
        for cell, colour in cells.items():
            ys, xs = np.nonzero((picture == colour).all(2))
            assert len(xs) > 0, (name, cell)
            if list(cells.values()).count(colour) == 1:
                # The median, as a pixel at a letter's edge may have the colour of another cell.
                places.append((*cell, np.median(ys), np.median(xs)))
        # Cells whose colour no other has stand in the matrix's order, at one distance.
        assert len(places) >= 3
        rows, columns, ys, xs = np.array(places).T
        for indices, positions in ((rows, ys), (columns, xs)):
            distance, start = np.polyfit(indices, positions, 1)
            assert distance > 20
            assert np.abs(start + distance * indices - positions).max() < distance / 4


def test_evaluate_reads_the_usage_it_is_told(programs: Path, tmp_path: Path):
    faces, labels = random_faces(5)
    path = write_csv(tmp_path / "faces.csv", faces, labels, "PrivateTest")
    by_default = json.loads(run(programs / "evaluate", "--json", path).stdout)
    assert (by_default["rows"], by_default["usage"]) == (5, "all")
    named = json.loads(run(programs / "evaluate", "--json", "--usage", "PrivateTest", path).stdout)
    assert (named["rows"], named["usage"]) == (5, "PrivateTest")
    missing = run(programs / "evaluate", "--usage", "Training", path)
    assert missing.returncode == 1
    assert "expected rows of usage Training, found PrivateTest (5)" in missing.stderr


GOOD_ROW = "3," + " ".join(["7"] * 2304) + ",PublicTest"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "Header missing"),
        (["a,b"], "line 1: expected a column emotion, found none"),
        (["emotion,pixels,Usage", GOOD_ROW, "7" + GOOD_ROW[1:]], "line 3: emotion: expected a num"),
        (["emotion,pixels,Usage", "x" + GOOD_ROW[1:]], "line 2: emotion: expected a number"),
        (["emotion,pixels,Usage", "3,1 2 3,PublicTest"], "line 2: pixels: expected 2304, found 3"),
        (["emotion,pixels,Usage", GOOD_ROW.replace("7 7", "7 256", 1)], "found '256'"),
        (["emotion,pixels,Usage", GOOD_ROW.replace("7 7", "7 -1", 1)], "found '-1'"),
        (["emotion,pixels,Usage", "3"], "Too few columns in line 2"),
    ],
)
def test_evaluate_names_the_line_of_a_malformed_row(
    programs: Path, tmp_path: Path, lines: list[str], message: str
):
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines) + "\n" if lines else "")
    done = run(programs / "evaluate", path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert str(path) in done.stderr


def test_photo_prints_json_of_the_documented_form(programs: Path):
    done = run(programs / "photo", "--json", PHOTO)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == ["image", "width", "height", "faces", "models", "milliseconds"]
    assert result["models"] == ["mini_fer"]
    assert (result["image"], result["width"], result["height"]) == (str(PHOTO), 512, 512)
    assert set(result["milliseconds"]) == {"detect", "classify"}
    (face,) = result["faces"]
    box = ["x", "y", "width", "height", "neighbors", "score"]
    assert list(face) == [*box, "landmarks", "expression", "probabilities"]
    assert 0.7 <= face["score"] <= 1
    assert list(face["landmarks"]) == LANDMARKS
    right, left = (face["landmarks"][f"{side}_eye"] for side in ("right", "left"))
    assert face["x"] < right[0] < left[0] < face["x"] + face["width"]
    by_cascade = run(programs / "photo", "--json", "--detector", CASCADE, PHOTO)
    (face,) = json.loads(by_cascade.stdout)["faces"]
    assert list(face) == [*box, "expression", "probabilities"]
    assert tuple(face["probabilities"]) == LABELS
    assert math.isclose(sum(face["probabilities"].values()), 1, abs_tol=1e-5)
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)


def photo_probabilities(programs: Path, *options: object) -> np.ndarray:
    done = run(programs / "photo", "--json", *options, PHOTO)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    return np.array([face["probabilities"][label] for label in LABELS])


def test_photo_and_video_average_networks(programs: Path, tmp_path: Path, random_vgg10: Path):
    one = photo_probabilities(programs, "--model", MODEL)
    other = photo_probabilities(programs, "--model", random_vgg10)
    assert np.abs(one - other).max() > 0.1
    both = ["--model", MODEL, "--model", random_vgg10]
    np.testing.assert_allclose(photo_probabilities(programs, *both), (one + other) / 2, atol=1e-6)
    twice = photo_probabilities(programs, "--model", MODEL, "--model", MODEL)
    np.testing.assert_array_equal(twice, one)

    gray = Image.open(PHOTO).convert("L")
    path = tmp_path / "gray.png"
    gray.save(path)
    done = run(programs / "photo", "--json", *both, path)
    result = json.loads(done.stdout)
    assert result["models"] == ["mini_fer", "vgg10"]
    size = ["--width", str(gray.width), "--height", str(gray.height)]
    command = [programs / "video", *size, *both]
    frame = subprocess.run(command, input=gray.tobytes(), capture_output=True)
    (face,) = json.loads(frame.stdout)["faces"]
    assert face["probabilities"] == result["faces"][0]["probabilities"]


def test_networks_of_different_labels_are_named(programs: Path, tmp_path: Path):
    names = tuple(reversed(LABELS))
    other = random_model(tmp_path / "other.mien", "mini_fer", labels=names)
    message = (
        f"{other}: labels: expected those of {MODEL} ({', '.join(LABELS)}), "
        f"found {', '.join(names)}"
    )
    models = ["--model", MODEL, "--model", other]
    for command in ("photo", PHOTO), ("evaluate", tmp_path / "none.csv"):
        done = run(programs / command[0], *models, command[1])
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"{command[0]}: {message}\n"


def test_detect_finds_what_photo_does(programs: Path):
    found = json.loads(run(programs / "detect", "--json", PHOTO).stdout)
    also = json.loads(run(programs / "photo", "--json", PHOTO).stdout)
    assert list(found["milliseconds"]) == ["detect"]
    boxes = [[face[key] for key in ("x", "y", "width", "height")] for face in found["faces"]]
    assert boxes == [[face[key] for key in ("x", "y", "width", "height")] for face in also["faces"]]
    assert len(boxes) == 1


def test_photo_reads_the_smile(programs: Path):
    """The one expression of the example photo that nobody would dispute."""
    for views in ("centre", "ten"):
        done = run(programs / "photo", "--json", "--views", views, PHOTO)
        assert json.loads(done.stdout)["faces"][0]["expression"] == "happy"


def test_minimal_prints_a_line_a_face(programs: Path):
    for detector in (YUNET, CASCADE):
        done = run(programs / "minimal", MODEL, detector, PHOTO)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("happy (")
    assert run(programs / "minimal", "--help").returncode == 0
    assert run(programs / "minimal").returncode == 2
    missing = run(programs / "minimal", MODEL, YUNET, "none.jpg")
    assert (missing.returncode, missing.stderr) == (1, "minimal: none.jpg: can't fopen\n")


def test_pictures_are_drawn_whole_and_beside_nothing(programs: Path, tmp_path: Path):
    output = tmp_path / "faces.png"
    assert run(programs / "photo", "--output", output, PHOTO).returncode == 0
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (PHOTO, output))
    assert before.shape == after.shape
    assert 0.001 < (before != after).any(axis=2).mean() < 0.1
    assert list(tmp_path.iterdir()) == [output]

    failed = run(programs / "photo", "--output", tmp_path / "none/faces.png", PHOTO)
    assert failed.returncode == 1
    assert "none/faces.png: cannot create the file" in failed.stderr


def test_one_bad_photo_does_not_stop_the_others(programs: Path, tmp_path: Path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(PHOTO.read_bytes()[:5000])
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    done = run(programs / "photo", "--json", tmp_path / "missing.png", broken, text, PHOTO)
    assert done.returncode == 1
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == [str(PHOTO)]
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    assert errors[0].startswith(f"photo: {tmp_path}/missing.png: cannot open the file")
    assert errors[1].startswith(f"photo: {broken}: truncated")
    assert errors[2].startswith(f"photo: {text}: expected a JPEG, PNG, BMP, PGM or PPM image")


@pytest.mark.parametrize("size", [(1, 1), (23, 300), (300, 23), (24, 24)])
def test_tiny_photos_have_no_face(programs: Path, tmp_path: Path, size: tuple[int, int]):
    path = tmp_path / "tiny.png"
    Image.new("RGB", size, (10, 200, 30)).save(path)
    for program in ("photo", "detect"):
        done = run(programs / program, "--json", path)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert (result["width"], result["height"], result["faces"]) == (*size, [])


@pytest.mark.parametrize("program", ["photo", "detect", "evaluate"])
def test_help_explains_every_option_and_mistakes_are_named(programs: Path, program: str):
    helped = run(programs / program, "--help")
    assert helped.returncode == 0
    assert "--json" in helped.stdout
    unknown = run(programs / program, "--bogus", PHOTO)
    assert unknown.returncode == 2
    assert "--bogus" in unknown.stderr
    assert unknown.stdout == ""
    nothing = run(programs / program)
    assert nothing.returncode == 2
    assert "required" in nothing.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale-factor", "1"], "scale_factor: expected a finite number of at least 1.0001"),
        (["--scale-factor", "nan"], "scale_factor"),
        (["--min-neighbors", "-1"], "min_neighbors: expected 0 or more, found -1"),
        (["--min-score", "1.5"], "min_score: expected a number from 0 to 1, found 1.5"),
        (["--max-side", "-1"], "max_side: expected 0 or more, found -1"),
        (["--min-size", "-5"], "min_size"),
        (["--min-size", "large"], "--min-size"),
        (["--views", "eleven"], "eleven not in {centre,ten}"),
        (["--output", "out.bmp"], "expected a name that ends in .png"),
    ],
)
def test_bad_options_are_usage_errors(programs: Path, arguments: list[str], message: str):
    done = run(programs / "photo", *arguments, PHOTO)
    assert done.returncode == 2
    assert message in done.stderr


def test_detectors_are_told_apart_by_their_files(programs: Path):
    detected = {}
    for name, arguments in {
        "default": (),
        "yunet": ("--detector", YUNET),
        "cascade": ("--detector", CASCADE),
        "alias": ("--cascade", CASCADE),
        "reduced": ("--max-side", "64"),
        "strict": ("--min-score", "0.99"),
        "opencv": ("--cascade", CASCADE, "--min-neighbors", "4"),
    }.items():
        done = run(programs / "detect", "--json", *arguments, PHOTO)
        assert done.returncode == 0, done.stderr
        detected[name] = json.loads(done.stdout)["faces"]
    assert detected["default"] == detected["yunet"]
    assert detected["cascade"] == detected["alias"] == detected["opencv"]
    assert "landmarks" in detected["yunet"][0] and "landmarks" not in detected["cascade"][0]
    assert [len(detected[name]) for name in ("yunet", "cascade", "strict")] == [1, 1, 0]
    assert detected["reduced"] != detected["yunet"]
    text = run(programs / "detect", PHOTO).stdout
    assert re.search(r": face at x \d+, y \d+, \d+ x \d+ pixels, score 0\.\d+\n$", text)
    text = run(programs / "detect", "--detector", CASCADE, PHOTO).stdout
    assert re.search(r" pixels, \d+ neighbors\n$", text)


@pytest.mark.parametrize(
    ("detector", "option", "kind"),
    [
        (YUNET, "--min-neighbors", "a cascade, a .haar file"),
        (YUNET, "--min-confirmations", "a cascade, a .haar file"),
        (YUNET, "--scale-factor", "a cascade, a .haar file"),
        (CASCADE, "--min-score", "YuNet, a .mien file"),
        (CASCADE, "--max-side", "YuNet, a .mien file"),
    ],
)
def test_options_of_the_other_detector_are_refused(
    programs: Path, detector: Path, option: str, kind: str
):
    value = "1.2" if option == "--scale-factor" else "1"
    done = run(programs / "detect", "--detector", detector, option, value, PHOTO)
    assert done.returncode == 1
    assert f"{detector}: {option} is for {kind} (--detector)" in done.stderr


def test_the_photos_have_the_faces_of_opencv(programs: Path):
    """tests/data/make_yunet.py: FaceDetectorYN on the photos that ship, as they are."""
    for line in (ROOT / "tests/data/yunet_photos.jsonl").read_text().splitlines():
        expected = json.loads(line)
        photo = ROOT / "examples/images" / expected["photo"]
        done = run(programs / "detect", "--json", "--max-side", "0", "--min-score", "0.3", photo)
        found = json.loads(done.stdout)["faces"]
        assert len(found) == len(expected["faces"])
        for face, numbers in zip(found, expected["faces"], strict=True):
            row = [face[key] for key in ("x", "y", "width", "height")]
            row += [number for name in LANDMARKS for number in face["landmarks"][name]]
            # Boxes are rounded to whole pixels.
            np.testing.assert_allclose(row[:4], numbers[:4], rtol=0, atol=1.0)
            np.testing.assert_allclose(row[4:], numbers[4:14], rtol=0, atol=0.5)
            assert abs(face["score"] - numbers[14]) < 1e-3


def test_a_confusion_matrix_is_a_png(programs: Path):
    done = run(programs / "evaluate", "--confusion", "out.bmp", "faces.csv")
    assert done.returncode == 2
    assert "--confusion: expected a name that ends in .png, found out.bmp" in done.stderr


def test_wrong_models_and_cascades_are_named(programs: Path, tmp_path: Path):
    other = ROOT / "tests/data/tiny_colour.mien"
    for models in (["--model", other], ["--model", MODEL, "--model", other]):
        done = run(programs / "photo", *models, PHOTO)
        assert done.returncode == 1
        assert f"{other}: input channels: expressions are read from gray faces: " in done.stderr
        assert done.stderr.endswith(": expected 1, found 3\n")
    done = run(programs / "photo", "--model", CASCADE, PHOTO)
    assert done.returncode == 1
    assert f"{CASCADE}: not a Mien file of kind MIEN" in done.stderr
    done = run(programs / "photo", "--detector", other, PHOTO)
    assert done.returncode == 1
    assert (
        f"{other}: inputs: expected the picture of 3 channels and any size of YuNet" in done.stderr
    )
    done = run(programs / "photo", "--detector", PHOTO, PHOTO)
    assert done.returncode == 1
    assert f"{PHOTO}: expected a face detector, " in done.stderr
    damaged = tmp_path / "damaged.mien"
    data = bytearray(MODEL.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    done = run(programs / "evaluate", "--model", damaged, tmp_path / "none.csv")
    assert done.returncode == 1
    assert f"{damaged}: the checksum does not match" in done.stderr


def test_the_environment_can_force_an_instruction_set(programs: Path):
    command = [programs / "photo", "--json", PHOTO]
    wrong = subprocess.run(command, capture_output=True, text=True, env={"MIEN_ISA": "sse9"})
    assert wrong.returncode == 1
    assert (
        "MIEN_ISA: expected baseline, avx2, avxvnni, avx512 or avx512vnni, found 'sse9'"
        in wrong.stderr
    )
    baseline = subprocess.run(command, capture_output=True, text=True, env={"MIEN_ISA": "baseline"})
    assert json.loads(baseline.stdout)["faces"][0]["expression"] == "happy"


def test_detect_gives_opencvs_rectangles(programs: Path):
    photos, cascades = SHARED / "photos", Path("/usr/share/opencv4/haarcascades")
    if not (photos / "opencv_rects.jsonl").exists() or not cascades.exists():
        pytest.skip("OpenCV's rectangles or cascades are not on this machine")
    checker = ROOT / "tools/check_photos.py"
    done = run(Path(sys.executable), checker, photos, "--detect", programs / "detect")
    assert done.returncode == 0, done.stdout + done.stderr


def test_detect_finds_the_faces_with_few_false_ones(programs: Path):
    photos = SHARED / "photos"
    if not (photos / "quality.json").exists():
        pytest.skip("the labelled photos are not on this machine")
    counter = ROOT / "tools/detection_quality.py"
    command = [sys.executable, counter, photos, "--detect", programs / "detect", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
