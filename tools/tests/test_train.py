"""Training runs on a few small faces: they learn, resume bit for bit, and explain what is wrong."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from mien_tools import losses, weights
from mien_tools.augmentation import Augmentation
from mien_tools.checkpoints import load_network, save_checkpoint
from mien_tools.config import Config
from mien_tools.evaluation import to_faces
from mien_tools.networks import NETWORKS, network_info
from mien_tools.networks.mini_fer import MiniFer
from mien_tools.optimizers import OPTIMIZERS, build_optimizer
from mien_tools.train import main
from mien_tools.trainer import Trainer
from mien_tools.votes_head import add_votes_head, without_votes_head

MODELS = Path(__file__).resolve().parents[2] / "examples/models"
# Networks that mien_tools trains; YuNet comes from elsewhere.
CLASSIFIERS = sorted(path.stem for path in MODELS.glob("*.mien") if path.stem != "yunet")
IMAGES = 24
READER = """
import os
import numpy as np

def load():
    stored = np.load(os.path.join(os.path.dirname(__file__), "faces.npz"))
    return {
        usage: {key: stored[usage + key] for key in ("pixels", "label", "ferplus_votes")}
        for usage in ("Training", "PublicTest")
    }
"""


def make_faces(count: int, seed: int) -> dict[str, np.ndarray]:
    """A "face" is a blot whose place tells its class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    pixels = random.integers(0, 60, (count, 48, 48))
    for image, label in zip(pixels, labels, strict=True):
        angle = 2 * np.pi * label / 7
        y, x = int(20 + 10 * np.sin(angle)), int(20 + 10 * np.cos(angle))
        image[y : y + 8, x : x + 8] += 180
    return {
        "pixels": pixels.astype(np.uint8),
        "label": labels.astype(np.uint8),
        "ferplus_votes": random.integers(0, 4, (count, 10)).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder like FER2013's, with its own reader."""
    folder = tmp_path_factory.mktemp("data")
    parts = {"Training": make_faces(IMAGES, seed=1), "PublicTest": make_faces(14, seed=2)}
    parts["PublicTest"]["pixels"][0] = parts["Training"]["pixels"][0]
    arrays = {usage + key: array for usage, part in parts.items() for key, array in part.items()}
    np.savez(folder / "faces.npz", **arrays)
    (folder / "fer2013.py").write_text(READER)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    save_checkpoint(path, {"network": "mini_fer", "params": MiniFer().state_dict()})
    return path


def command(data: Path, output: Path, *more: object) -> list[str]:
    """Three epochs of three steps."""
    fixed = ["--network", "mini_fer", "--data", data, "--output", output, "--threads", 1]
    return [str(word) for word in (*fixed, "--epochs", 3, "--batch-size", 8, *more)]


def params(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["params"]


def log(output: Path) -> list[dict]:
    records = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    for record in records:
        del record["seconds"]
    return records


def assert_same_run(first: Path, second: Path) -> None:
    assert log(first) == log(second)
    for name in ("best.pt", "final.pt"):
        expected, found = params(first / name), params(second / name)
        for key, tensor in expected.items():
            assert torch.equal(tensor, found[key]), f"{name}: {key}"


def interrupt_in_epoch(monkeypatch, epoch: int) -> None:
    """Let the second step of that epoch (from 1) be the last."""
    original, steps = Trainer._train_step, []

    def step(self, rows):
        if self.epoch + 1 == epoch:
            steps.append(rows)
            if len(steps) == 2:
                raise KeyboardInterrupt
        return original(self, rows)

    monkeypatch.setattr(Trainer, "_train_step", step)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--optimizer", "adam", "--schedule", "plateau", "--schedule-patience", "0"),
        ("--mixup", "0.4", "--crops-per-image", "2", "--votes-weight", "0.3", "--channels-last"),
        ("--optimizer", "averaged-sgd", "--teacher", "TEACHER", "--ema", "0", "--channels-last"),
        ("--start-from", "TEACHER", "--votes-weight", "0.5", "--warmup-epochs", "1"),
    ],
    ids=[
        "default",
        "adam-plateau",
        "mixup-crops-votes",
        "averaged-sgd-teacher",
        "start-votes",
    ],
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    data, teacher, tmp_path, monkeypatch, options, capsys
):
    options = [str(teacher) if word == "TEACHER" else word for word in options]
    assert main(command(data, tmp_path / "whole", *options)) == 0
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, epoch=2)
        assert main(command(data, tmp_path / "parts", *options)) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert len(log(tmp_path / "parts")) == 1
    assert main(command(data, tmp_path / "parts", *options, "--resume")) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_small_networks_train_a_step_and_are_judged(data, tmp_path):
    for name in ("fer_net", "vgg10", "inception_fer", "resnet33"):
        short = ("--epochs", 1, "--batch-size", IMAGES, "--channels-last")
        assert main(command(data, tmp_path / name, "--network", name, *short)) == 0
        before = network_info(name).build().state_dict()
        network, model = load_network(tmp_path / name / "best.pt")
        assert network.name == name
        for key, tensor in model.state_dict().items():
            assert tensor.shape == before[key].shape and torch.isfinite(tensor).all(), key
        assert (tmp_path / name / "report.json").exists()


def test_bf16_trains_alike_with_fewer_digits(data, tmp_path):
    for name, options in (("fp32", ()), ("bf16", ("--bf16",))):
        assert main(command(data, tmp_path / name, "--epochs", 1, *options)) == 0
    (full,), (half,) = log(tmp_path / "fp32"), log(tmp_path / "bf16")
    assert half["loss"] != full["loss"]
    assert half["loss"] == pytest.approx(full["loss"], rel=0.05)


@pytest.mark.parametrize(("student", "teacher"), [("mini_fer", "vgg10"), ("vgg10", "mini_fer")])
def test_student_and_teacher_see_crops_prepared_as_each_wants(data, tmp_path, student, teacher):
    """Of other sizes, with and without equalised histograms, at the same place of the face."""
    path = tmp_path / "teacher.pt"
    save_checkpoint(path, {"network": teacher, "params": NETWORKS[teacher].build().state_dict()})
    still = Augmentation(warp=0, mirror=0, brightness=0, contrast=0, erasing=0)
    config = Config(
        student, str(data), str(tmp_path), teacher=[str(path)], batch_size=4, augmentation=still
    )
    trainer, seen = Trainer(config), []
    outputs = trainer._outputs
    trainer._outputs = lambda model, inputs: seen.append(inputs) or outputs(model, inputs)
    trainer._train_step(torch.arange(4))

    shares = []
    for crops, network in zip(seen, (NETWORKS[student], NETWORKS[teacher]), strict=True):
        faces = to_faces(trainer.training.pixels[:4], network)
        places = [place_of(*pair, network) for pair in zip(crops, faces, strict=True)]
        shares.append(np.array(places) / network.margin)
    np.testing.assert_allclose(*shares, atol=0.15)  # margins are 8 and 6 pixels


def test_dropout_is_a_factor_of_the_networks_own(data, tmp_path):
    for factor, expected in [(1.0, {0.1, 0.3}), (0.5, {0.05, 0.15}), (0.0, {0.0})]:
        trainer = Trainer(Config("vgg10", str(data), str(tmp_path), dropout=factor, batch_size=4))
        found = {layer.p for layer in trainer.model.modules() if isinstance(layer, nn.Dropout)}
        assert found == expected


def place_of(crop, face, network) -> tuple[int, int]:
    """Where in the face a crop was taken."""
    steps, size = range(network.margin + 1), network.input_size
    for y, x in itertools.product(steps, steps):
        if torch.allclose(crop, face[:, y : y + size, x : x + size], atol=1e-5):
            return y, x
    raise AssertionError(f"no part of the face is the crop for {network.name}")


def test_seeds_decide_the_run(data, tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        assert main(command(data, tmp_path / name, "--epochs", 1, "--seed", seed)) == 0
    assert_same_run(tmp_path / "first", tmp_path / "again")
    assert log(tmp_path / "first") != log(tmp_path / "other")


def test_training_learns_and_leaves_its_results(data, tmp_path, capsys):
    calm = ("--warp", 0, "--erasing", 0, "--mirror", 0, "--label-smoothing", 0)
    steps = ("--epochs", 25, "--optimizer", "adam", "--learning-rate", 0.003, "--ema", 0.5)
    assert main(command(data, tmp_path / "run", *calm, *steps)) == 0

    records = log(tmp_path / "run")
    assert len(records) == 25
    assert records[-1]["loss"] < 0.1 * records[0]["loss"]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    centre = report["all"]["centre"]
    assert centre["accuracy"] == max(record["accuracy"] for record in records) > 0.9
    assert np.trace(centre["confusion"]) == round(centre["accuracy"] * centre["images"])
    assert report["without_duplicates"]["centre"]["images"] == 13
    assert (tmp_path / "run" / "report.md").read_text() in capsys.readouterr().out
    for picture in ("curves.png", "confusion.png"):
        with Image.open(tmp_path / "run" / picture) as image:
            assert min(image.size) > 300

    network, model = load_network(tmp_path / "run" / "best.pt")
    assert network is NETWORKS["mini_fer"]
    assert sum(p.numel() for p in model.parameters()) == 784_263


def test_the_best_epoch_is_chosen_by_the_views_asked_for(data, tmp_path):
    options = ("--epochs", 6, "--ten-crops-every", 2, "--choose-by", "ten-crops", "--ema", 0)
    assert main(command(data, tmp_path, *options)) == 0
    measured = [record for record in log(tmp_path) if "ten_crop_accuracy" in record]
    assert [record["epoch"] for record in measured] == [2, 4, 6]
    best = max(measured, key=lambda record: record["ten_crop_accuracy"])
    chosen = torch.load(tmp_path / "best.pt", weights_only=True)["record"]
    assert chosen["epoch"] == best["epoch"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["all"]["ten_crops"]["accuracy"] == best["ten_crop_accuracy"]


def test_training_on_all_rows_keeps_the_last_epoch(data, tmp_path, capsys):
    usages = ("--train-usage", "Training", "PublicTest", "--validation-usage")
    assert main(command(data, tmp_path, *usages, "--batch-size", IMAGES + 14)) == 0
    assert "accuracy" not in log(tmp_path)[-1]
    assert not (tmp_path / "best.pt").exists()
    assert load_network(tmp_path / "final.pt")[0].name == "mini_fer"
    assert "no validation rows" in capsys.readouterr().out


def test_training_starts_from_given_weights(data, teacher, tmp_path):
    still = ("--start-from", teacher, "--optimizer", "sgd", "--learning-rate", 1e-12, "--epochs", 1)
    assert main(command(data, tmp_path, *still)) == 0
    torch.testing.assert_close(
        params(tmp_path / "final.pt")["lin1.weight"], params(teacher)["lin1.weight"]
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_training_goes_on_from_the_weights_that_ship(name, data, tmp_path):
    checkpoint, output = tmp_path / "shipped.pt", tmp_path / "run"
    assert weights.main([str(MODELS / f"{name}.mien"), "--to-checkpoint", str(checkpoint)]) == 0
    network = weights.read(MODELS / f"{name}.mien").network
    # One step, which changes every weight by little.
    one_step = ("--start-from", checkpoint, "--batch-size", IMAGES, "--epochs", 1, "--ema", 0)
    options = ("--optimizer", "sgd", "--learning-rate", 1e-3, "--schedule", "constant")
    assert main(command(data, output, "--network", network, *one_step, *options)) == 0
    before, after = params(checkpoint), params(output / "final.pt")
    assert list(before) == list(after)
    for key, tensor in after.items():
        if key.endswith("num_batches_tracked"):
            assert (before[key].item(), tensor.item()) == (0, 1), key
        elif key.endswith("weight"):
            change = (tensor - before[key]).norm() / before[key].norm()
            assert 0 < change < 0.05, key
    assert math.isfinite(log(output)[0]["loss"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_minimises(name):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    inputs, targets = torch.randn(64, 3), torch.randn(64, 1)
    learning_rate = 1.0 if name == "adadelta" else 0.05
    optimizer = build_optimizer(name, model, learning_rate, momentum=0.9, weight_decay=1e-4)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-4, 0]
    first = F.mse_loss(model(inputs), targets)
    for _ in range(50):
        optimizer.zero_grad()
        F.mse_loss(model(inputs), targets).backward()
        optimizer.step()
    assert F.mse_loss(model(inputs), targets) < first


def test_the_votes_head_leaves_no_trace_in_the_network():
    model = MiniFer()
    add_votes_head(model, votes=10)
    model.eval()
    plain = MiniFer().eval()
    plain.load_state_dict(without_votes_head(model, classes=7))
    faces = torch.rand(2, 1, 40, 40)
    assert model(faces).shape == (2, 17)
    torch.testing.assert_close(plain(faces), model(faces)[:, :7])


def test_mixup_mixes_rows_with_their_partners():
    values, partners = torch.tensor([[1.0, 0], [0, 1], [4, 2]]), torch.tensor([2, 1, 0])
    expected = torch.tensor([[1.75, 0.5], [0, 1], [3.25, 1.5]])
    torch.testing.assert_close(losses.mix(values, partners, 0.75), expected)


def test_vote_shares_sum_to_one_or_nothing():
    shares = losses.vote_shares(torch.tensor([[8, 2, 0], [0, 0, 0]], dtype=torch.uint8))
    torch.testing.assert_close(shares, torch.tensor([[0.8, 0.2, 0], [0, 0, 0]]))


def test_a_student_that_agrees_with_its_teachers_loses_nothing():
    logits = torch.randn(4, 7)
    agreed = losses.teacher_probabilities([logits, logits], temperature=3)
    assert losses.distillation_loss(logits, agreed, 3).item() == pytest.approx(0, abs=1e-5)
    assert losses.distillation_loss(-logits, agreed, 3) > 0.1


def test_distillation_gradients_keep_their_size_at_high_temperature():
    """Hinton et al. 2015, equation 4: the gradient tends to (student - teacher) / classes."""
    teacher, student = torch.randn(1, 7), torch.randn(1, 7, requires_grad=True)
    teacher, centred = teacher - teacher.mean(), student - student.mean()
    probabilities = losses.teacher_probabilities([teacher], temperature=1000)
    losses.distillation_loss(centred, probabilities, 1000).backward()
    expected = (centred - teacher).detach() / 7
    torch.testing.assert_close(student.grad, expected, atol=1e-3, rtol=0)


def fails(capsys, arguments: list[str]) -> tuple[int, str]:
    """Exit status and message, which must be one line."""
    try:
        status = main(arguments)
    except SystemExit as exit:
        status = exit.code
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return status, message


def test_wrong_options_are_usage_errors(data, tmp_path, capsys):
    for options, message in [
        (("--network", "mega_fer"), "invalid choice: 'mega_fer'"),
        (("--epochs", 0), "mien-train: epochs: expected 1 or more, found 0"),
        (("--dropout", 2), "mien-train: dropout: expected 0 to 1, found 2.0"),
        (("--ema", 1), "mien-train: ema: expected 0 or more and less than 1, found 1.0"),
        (("--rotation", 200), "mien-train: rotation: expected 0 to 180, found 200.0"),
        (("--device", "toaster"), "mien-train: device: expected one that PyTorch has here"),
        (
            ("--validation-usage", "Training"),
            "validation_usage: expected other rows than train_usage, found ['Training']",
        ),
    ]:
        status, error = fails(capsys, command(data, tmp_path, *options))
        assert status == 2, options
        assert message in error


def test_wrong_data_and_checkpoints_are_errors(data, teacher, tmp_path, capsys, monkeypatch):
    (tmp_path / "text.pt").write_text("no checkpoint")
    save_checkpoint(tmp_path / "bare.pt", {"params": {}})
    save_checkpoint(tmp_path / "empty.pt", {"network": "mini_fer", "params": {}})
    monkeypatch.setitem(NETWORKS, "other", NETWORKS["mini_fer"])
    save_checkpoint(tmp_path / "other.pt", {"network": "other", "params": {}})
    for options, message in [
        (("--data", tmp_path / "nowhere"), "nowhere: expected a CSV file"),
        (("--train-usage", "Test"), "usage: expected one of Training, PublicTest, found 'Test'"),
        (("--batch-size", 25), "expected at least batch_size = 25 training rows, found 24"),
        (("--resume",), "state.pt: expected a checkpoint, found no such file"),
        (("--teacher", tmp_path / "text.pt"), "text.pt: expected a checkpoint of PyTorch, found"),
        (("--teacher", tmp_path / "bare.pt"), "bare.pt: expected an entry 'network', found none"),
        (("--start-from", tmp_path / "empty.pt"), "empty.pt: params: Missing key(s)"),
        (
            ("--start-from", tmp_path / "other.pt"),
            "other.pt: network: expected mini_fer, found other",
        ),
    ]:
        status, error = fails(capsys, command(data, tmp_path / "run", *options))
        assert status == 1, options
        assert error.startswith("mien-train: ")
        assert message in error


def test_another_run_is_neither_overwritten_nor_resumed(data, tmp_path, capsys):
    assert main(command(data, tmp_path, "--epochs", 1)) == 0
    status, error = fails(capsys, command(data, tmp_path, "--epochs", 1))
    assert status == 1
    assert "expected no earlier run, found one; go on with --resume" in error
    status, error = fails(capsys, command(data, tmp_path, "--epochs", 1, "--seed", 7, "--resume"))
    assert status == 1
    assert "state.pt: another run's: seed: expected 0, found 7" in error


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path, capsys):
    explosive = ("--optimizer", "sgd", "--learning-rate", 1e30, "--schedule", "constant")
    status, error = fails(capsys, command(data, tmp_path, *explosive))
    assert status == 1
    assert "mien-train: epoch 1: loss: expected a finite number, found nan" in error
    assert not (tmp_path / "state.pt").exists()
