"""Reports on a network with random weights, recomputed step by step from the definitions."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mien_tools.calibration import cross_fitted_temperatures, fit_temperature, judge_calibration
from mien_tools.checkpoints import CheckpointError, read_temperature, save_checkpoint
from mien_tools.data import Faces
from mien_tools.networks import LABELS
from mien_tools.networks.mini_fer import MiniFer
from mien_tools.preprocess import centre_crop, ten_crops
from mien_tools.report import main, write_report

ROWS = 40
DUPLICATES = 6


def make_faces(count: int, seed: int) -> Faces:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 6, 6), dtype=np.uint8)
    pixels = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return Faces(pixels, random.integers(0, len(LABELS), count))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights, but each class is some faces' most probable one."""
    torch.manual_seed(3)
    model = MiniFer().eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    faces = torch.from_numpy(make_faces(ROWS, seed=4).pixels)[:, None, 4:44, 4:44] / 255
    with torch.inference_mode():
        model.lin3.bias -= model(faces).mean(dim=0)
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    save_checkpoint(path, {"network": "mini_fer", "params": model.state_dict()})
    return path


@pytest.fixture(scope="module")
def training() -> Faces:
    return make_faces(12, seed=1)


@pytest.fixture(scope="module")
def validation(training) -> Faces:
    """The first DUPLICATES faces stand in the training rows as well."""
    faces = make_faces(ROWS, seed=2)
    faces.pixels[:DUPLICATES] = training.pixels[:DUPLICATES]
    return faces


def logits_of(checkpoint: Path, faces: Faces, rule: str) -> np.ndarray:
    model = MiniFer()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["params"])
    model.eval()
    rows = []
    for face in faces.pixels:
        crops = ten_crops(face, 40, 40) if rule == "ten_crops" else centre_crop(face, 40, 40)[None]
        with torch.inference_mode():
            rows.append(model(torch.tensor(crops[:, None] / 255).float()).mean(dim=0).numpy())
    return np.stack(rows)


def test_a_report_holds_what_its_words_mean(checkpoint, training, validation, tmp_path):
    write_report(tmp_path, checkpoint, training, validation)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["checkpoint"] == {
        "file": "best.pt",
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }
    unseen, labels = slice(DUPLICATES, None), validation.labels
    centre = logits_of(checkpoint, validation, "centre")
    temperature = fit_temperature(centre[unseen], labels[unseen])
    assert report["calibration"]["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert report["calibration"]["images"] == ROWS - DUPLICATES

    for rule in ("centre", "ten_crops"):
        logits = logits_of(checkpoint, validation, rule)
        correct = logits.argmax(axis=1) == labels
        assert len(set(logits.argmax(axis=1))) >= 5, rule
        assert report["all"][rule]["accuracy"] == pytest.approx(correct.mean())
        others = report["without_duplicates"][rule]
        assert others["accuracy"] == pytest.approx(correct[unseen].mean())
        assert others["images"] == ROWS - DUPLICATES

        calibration = report["calibration"][rule]
        own = fit_temperature(logits[unseen], labels[unseen])
        assert calibration["own_temperature"] == pytest.approx(own, rel=1e-4)
        cross_fitted = cross_fitted_temperatures(centre[unseen], labels[unseen])
        for stage, value in (
            ("before", 1.0),
            ("after", temperature),
            ("cross_fitted", cross_fitted),
        ):
            expected = judge_calibration(logits[unseen], labels[unseen], value)
            assert calibration[stage] == pytest.approx(vars(expected), rel=1e-3), (rule, stage)


def test_the_text_is_markdown_with_the_figures(checkpoint, training, validation, tmp_path):
    text = write_report(tmp_path, checkpoint, training, validation)
    assert (tmp_path / "report.md").read_text() == text
    report = json.loads((tmp_path / "report.json").read_text())
    centre, ten_crops = report["all"]["centre"], report["all"]["ten_crops"]
    assert f"{ROWS} validation images." in text
    assert (
        f"| accuracy | {centre['accuracy'] * 100:.2f} % | {ten_crops['accuracy'] * 100:.2f} % |"
        in text
    )
    assert f"without the {DUPLICATES} that also stand in the training rows" in text
    counts = " | ".join(map(str, ten_crops["confusion"][LABELS.index("fear")]))
    assert f"| fear | {counts} |" in text
    temperature = report["calibration"]["temperature"]
    assert (
        f"Temperature {temperature:.4f}, fitted to the centre of the {ROWS - DUPLICATES} images "
        "that do not stand in the training rows." in text
    )
    after = report["calibration"]["ten_crops"]["after"]["expected_calibration_error"]
    assert f"| expected calibration error, temperature {temperature:.4f} |" in text
    assert f"| {after * 100:.2f} % |" in text

    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1, block
    with Image.open(tmp_path / "confusion.png") as image:
        assert min(image.size) > 300


@pytest.mark.parametrize("known", ["none", "all"])
def test_validation_rows_may_all_be_new_or_all_be_known(checkpoint, validation, tmp_path, known):
    training = validation if known == "all" else make_faces(3, seed=9)
    text = write_report(tmp_path, checkpoint, training, validation)
    report = json.loads((tmp_path / "report.json").read_text())
    assert "without_duplicates" not in report
    assert report["calibration"]["images"] == ROWS
    assert f"the centre of the {ROWS} images. On these:" in text


def write_csv(path: Path, usages: dict[str, Faces]) -> Path:
    rows = [
        f"{label},{' '.join(map(str, face.ravel()))},{usage}"
        for usage, faces in usages.items()
        for face, label in zip(faces.pixels, faces.labels, strict=True)
    ]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


def test_the_command_writes_what_training_does(checkpoint, training, validation, tmp_path, capsys):
    data = write_csv(tmp_path / "faces.csv", {"Training": training, "PublicTest": validation})
    words = ["--checkpoint", checkpoint, "--data", data, "--output", tmp_path / "new" / "folder"]
    assert main([*map(str, words), "--threads", "1"]) == 0
    text = capsys.readouterr().out
    assert text == write_report(tmp_path, checkpoint, training, validation)
    for name in ("report.json", "report.md"):
        assert (tmp_path / "new/folder" / name).read_text() == (tmp_path / name).read_text(), name


def test_the_command_says_what_is_wrong(checkpoint, training, tmp_path, capsys):
    data = write_csv(tmp_path / "faces.csv", {"Training": training})
    fixed = ["--checkpoint", str(checkpoint), "--data", str(data), "--output", str(tmp_path)]
    for more, status, message in [
        ([], 1, "mien-report: usage: expected one of Training, found 'PublicTest'"),
        (["--data", "none"], 1, "mien-report: none: expected a CSV file"),
        (["--checkpoint", "none.pt"], 1, "mien-report: none.pt: expected a checkpoint"),
        (["--device", "toaster"], 2, "device: expected one that PyTorch has here"),
        (["--threads", "-1"], 2, "threads: expected 0 or more, found -1"),
    ]:
        if more[:1] == ["--checkpoint"]:
            more = [*more, "--usage", "Training"]
        try:
            found = main([*fixed, *more])
        except SystemExit as exit:
            found = exit.code
        error = capsys.readouterr().err
        assert (found, message in error, "Traceback" in error) == (status, True, False), error


def test_a_temperature_is_read_for_its_own_checkpoint_alone(
    checkpoint, training, validation, tmp_path
):
    write_report(tmp_path, checkpoint, training, validation)
    report = tmp_path / "report.json"
    temperature = json.loads(report.read_text())["calibration"]["temperature"]
    assert read_temperature(report, checkpoint) == temperature

    other = tmp_path / "other.pt"
    save_checkpoint(other, {"network": "mini_fer", "params": MiniFer().state_dict()})
    with pytest.raises(CheckpointError, match="checkpoint: expected that of .*other.pt, sha256"):
        read_temperature(report, other)
    for text in ("", "[]", "{}", '{"checkpoint": {"sha256": "0"}, "calibration": {}}'):
        report.write_text(text)
        with pytest.raises(CheckpointError, match="report.json: expected a report"):
            read_temperature(report, checkpoint)
