"""Everything that decides how a training run goes; saved in its checkpoints."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mien_tools.augmentation import Augmentation
from mien_tools.networks import network_info
from mien_tools.optimizers import OPTIMIZERS
from mien_tools.options import option
from mien_tools.schedules import SCHEDULES

PLACES = ("data", "output", "device", "threads")
# What a record of the log calls the accuracy by which the best epoch is chosen.
CHOSEN_ACCURACY = {"centre": "accuracy", "ten-crops": "ten_crop_accuracy"}


@dataclass(frozen=True)
class Config:
    """ValueError names the first option that is out of range."""

    network: str
    data: str
    output: str
    train_usage: list[str] = option(["Training"], "rows to train on")
    validation_usage: list[str] = option(
        ["PublicTest"], "rows on which the epoch is chosen; empty: keep the last epoch"
    )
    choose_by: str = option("centre", "views whose accuracy decides", tuple(CHOSEN_ACCURACY))
    start_from: str = option("", "checkpoint whose weights training starts from")
    epochs: int = option(32, "passes over the training rows")
    batch_size: int = option(128, "images a step")
    crops_per_image: int = option(1, "differently augmented crops of each image a step")
    optimizer: str = option("sgd-nesterov", "optimizer", OPTIMIZERS)
    learning_rate: float = option(0.1, "its peak")
    momentum: float = option(0.9, "for sgd and sgd-nesterov")
    weight_decay: float = option(5e-4, "of weights; biases and batch norm have none")
    schedule: str = option("one-cycle", "course of the learning rate", SCHEDULES)
    warmup_epochs: float = option(0.0, "linear rise before the schedule, in epochs")
    schedule_period: float = option(10.0, "for step and warm-restarts, in epochs")
    schedule_decay: float = option(0.75, "factor of step and plateau")
    schedule_patience: int = option(5, "epochs that plateau waits for a better accuracy")
    label_smoothing: float = option(0.1, "share of each label spread over all classes")
    mixup: float = option(0.0, "alpha of the mixing weight's beta distribution; 0: no mixup")
    dropout: float = option(1.0, "factor of the network's dropout probabilities; 0: no dropout")
    ema: float = option(0.998, "decay a step of the moving average of the weights; 0: no averaging")
    teacher: list[str] = option([], "checkpoints to distil from")
    distillation_weight: float = option(0.5, "share of the loss that the teachers have")
    distillation_temperature: float = option(4.0, "softens teachers and student")
    votes_weight: float = option(0.0, "of a second head that learns FER+ votes; 0: no such head")
    ten_crops_every: int = option(5, "epochs between validations with ten crops")
    bf16: bool = option(False, "forward pass in bfloat16 (autocast)")
    channels_last: bool = option(False, "memory layout height, width, channels")
    compile: bool = option(False, "use torch.compile")
    device: str = option("cpu", "torch device: cpu, cuda, cuda:1, ...")
    threads: int = option(0, "CPU threads; 0: PyTorch's choice")
    seed: int = option(0, "of initial weights, order and augmentation")
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        network_info(self.network)
        for name in ("epochs", "batch_size", "crops_per_image", "ten_crops_every"):
            self._require(name, getattr(self, name) >= 1, "1 or more")
        for name in ("learning_rate", "schedule_period", "distillation_temperature"):
            self._require(name, getattr(self, name) > 0, "more than 0")
        for name in ("weight_decay", "warmup_epochs", "mixup", "votes_weight", "threads", "seed"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("momentum", "ema", "label_smoothing"):
            self._require(name, 0 <= getattr(self, name) < 1, "0 or more and less than 1")
        for name in ("dropout", "distillation_weight"):
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        self._require("warmup_epochs", self.warmup_epochs < self.epochs, "less than epochs")
        self._require("train_usage", bool(self.train_usage), "at least one usage")
        shared = set(self.train_usage) & set(self.validation_usage)
        self._require("validation_usage", not shared, "other rows than train_usage")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"{name}: expected {expected}, found {getattr(self, name)}")

    def differences(self, saved: dict[str, Any]) -> list[str]:
        """The options that would make a resumed run another run than `saved`."""
        mine = asdict(self)
        # A run from before an option existed was one with its default.
        before = {"dropout": 1.0} | saved
        return [
            f"{name}: expected {before.get(name)}, found {mine[name]}"
            for name in mine
            if name not in PLACES and mine[name] != before.get(name)
        ]
