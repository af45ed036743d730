"""A training run: epochs, validation, checkpoints, and going on where it was interrupted."""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from mien_tools import losses
from mien_tools.augmentation import apply_changes, changeable_faces, draw_changes
from mien_tools.checkpoints import (
    CheckpointError,
    check_network,
    load_checkpoint,
    load_network,
    load_params,
    save_checkpoint,
)
from mien_tools.config import CHOSEN_ACCURACY, Config
from mien_tools.container import write_atomically
from mien_tools.data import FER_PLUS_COLUMNS, DataError, load_faces, select_usages
from mien_tools.evaluation import View, centre_view, evaluate, normalise, ten_views
from mien_tools.networks import NetworkInfo, network_info
from mien_tools.optimizers import build_optimizer
from mien_tools.schedules import Schedule
from mien_tools.votes_head import add_votes_head, without_votes_head

SEED_STRIDE = 100_003  # keeps the epochs of neighbouring seeds apart


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where and why."""


class Trainer:
    """Builds everything a run needs from its configuration; `run` then trains to the last epoch.

    In the output folder it keeps `best.pt` (the weights, averaged over steps, of the epoch with the
    best validation accuracy), `final.pt` (those of the latest epoch), `state.pt` (all that `resume`
    needs) and `log.jsonl` (one record an epoch).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.output = Path(config.output)
        self.device = torch.device(config.device)
        self.network = network_info(config.network)

        faces = load_faces(Path(config.data))
        self.training = select_usages(faces, config.train_usage)
        self.validation = None
        if config.validation_usage:
            self.validation = select_usages(faces, config.validation_usage)
        self.steps_per_epoch = len(self.training) // config.batch_size
        if self.steps_per_epoch == 0:
            raise DataError(
                f"{config.data}: expected at least batch_size = {config.batch_size} training rows, "
                f"found {len(self.training)}"
            )
        self.teachers = [load_network(Path(path)) for path in config.teacher]
        for _, teacher in self.teachers:
            self._place(teacher)
        self._move_data_to_device()

        torch.manual_seed(config.seed)
        self.model = self._build_model()
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.averaged = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True
        )
        self.optimizer = build_optimizer(
            config.optimizer, self.model, config.learning_rate, config.momentum, config.weight_decay
        )
        self.schedule = Schedule(
            config.schedule,
            total_steps=config.epochs * self.steps_per_epoch,
            warmup_steps=round(config.warmup_epochs * self.steps_per_epoch),
            period_steps=max(1, round(config.schedule_period * self.steps_per_epoch)),
            decay=config.schedule_decay,
            patience=config.schedule_patience,
        )
        self.generator = torch.Generator(self.device)
        self.mixing = random.Random()
        self.epoch = 0
        self.best_accuracy = -math.inf
        self.history: list[dict[str, Any]] = []

    def run(self) -> None:
        """Train from the current epoch to the last; TrainingError if the loss is not finite."""
        self.output.mkdir(parents=True, exist_ok=True)
        while self.epoch < self.config.epochs:
            start = time.monotonic()
            record = {"epoch": self.epoch + 1} | self._train_epoch()
            self.epoch += 1
            record |= self._validate()
            record["seconds"] = round(time.monotonic() - start, 1)
            self.history.append(record)
            self._save(record)
            tqdm.write(json.dumps(record))

    def resume(self) -> None:
        """Take up the run in the output folder; it must have been configured alike."""
        path = self.output / "state.pt"
        state = load_checkpoint(path, keys=("network", "config", "model"))
        check_network(path, state, self.network.name)
        differences = self.config.differences(state["config"])
        if differences:
            raise CheckpointError(f"{path}: another run's: " + "; ".join(differences))
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch = state["epoch"]
        self.best_accuracy = state["best_accuracy"]
        self.history = state["history"]

    def _move_data_to_device(self) -> None:
        # Networks that want the same of the faces share them.
        prepared: dict[int | None, Tensor] = {}
        self.pixels: dict[str, Tensor] = {}
        for network in (self.network, *(teacher for teacher, _ in self.teachers)):
            key = network.face_size if network.equalize_histogram else None
            if key not in prepared:
                faces = changeable_faces(self.training.pixels, network)
                prepared[key] = torch.from_numpy(faces).to(self.device)
            self.pixels[network.name] = prepared[key]
        self.labels = torch.from_numpy(self.training.labels).to(self.device)
        self.votes = None
        if self.config.votes_weight:
            if self.training.votes is None:
                raise DataError(f"{self.config.data}: votes_weight: the data hold no FER+ votes")
            self.votes = torch.from_numpy(self.training.votes).to(self.device)

    def _build_model(self) -> nn.Module:
        model = self.network.build()
        if self.config.start_from:
            path = Path(self.config.start_from)
            content = load_checkpoint(path)
            check_network(path, content, self.network.name)
            load_params(model, content["params"], path)
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p *= self.config.dropout
        if self.config.votes_weight:
            add_votes_head(model, FER_PLUS_COLUMNS)
        return self._place(model)

    def _place(self, model: nn.Module) -> nn.Module:
        if self.config.channels_last:
            model.to(memory_format=torch.channels_last)
        return model.to(self.device)

    def _train_epoch(self) -> dict[str, float]:
        # Every epoch is seeded by itself, so that a resumed run needs no generator's state.
        seed = self.config.seed * SEED_STRIDE + self.epoch
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        self.mixing.seed(seed)
        order = torch.randperm(len(self.labels), generator=self.generator, device=self.device)

        self.model.train()
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        steps = tqdm(
            range(self.steps_per_epoch),
            desc=f"epoch {self.epoch + 1}/{self.config.epochs}",
            unit="step",
            leave=False,
            disable=None,
        )
        for step in steps:
            learning_rate = self._set_learning_rate(step)
            rows = order[step * self.config.batch_size :][: self.config.batch_size]
            loss, hits = self._train_step(rows.repeat_interleave(self.config.crops_per_image))
            loss_sum += loss
            correct += hits

        mean_loss = loss_sum.item() / self.steps_per_epoch
        if not math.isfinite(mean_loss):
            raise TrainingError(
                f"epoch {self.epoch + 1}: loss: expected a finite number, found {mean_loss}; "
                "a smaller learning_rate may help"
            )
        shown = self.steps_per_epoch * self.config.batch_size * self.config.crops_per_image
        return {
            "learning_rate": learning_rate,
            "loss": mean_loss,
            "train_accuracy": correct.item() / shown,
        }

    def _set_learning_rate(self, step: int) -> float:
        factor = self.schedule.factor(self.epoch * self.steps_per_epoch + step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor
        return self.config.learning_rate * factor

    def _train_step(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """One optimizer step; its loss and number of correct predictions, both on the device."""
        changes = draw_changes(len(rows), self.config.augmentation, self.generator)
        weight, partners = self._draw_mixup(len(rows))
        classes = len(self.network.labels)

        def inputs_of(network: NetworkInfo) -> Tensor:
            pixels = self.pixels[network.name][rows]
            crops = normalise(apply_changes(pixels, changes, network), network)
            return losses.mix(crops, partners, weight)

        outputs = self._outputs(self.forward, inputs_of(self.network))
        logits, votes_logits = outputs.tensor_split([classes], dim=1)
        targets = losses.mix(F.one_hot(self.labels[rows], classes).float(), partners, weight)
        loss = F.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)
        if self.teachers:
            share = self.config.distillation_weight
            loss = (1 - share) * loss + share * self._distillation_loss(logits, inputs_of)
        if self.votes is not None:
            votes = losses.mix(losses.vote_shares(self.votes[rows]), partners, weight)
            loss = loss + self.config.votes_weight * F.cross_entropy(votes_logits, votes)

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.averaged.update_parameters(self.model)
        return loss.detach(), (logits.argmax(dim=1) == self.labels[rows]).sum()

    def _outputs(self, model: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        # The inputs come ready-made: under autocast, positions for grid_sample would be bfloat16.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            return model(inputs).float()

    def _draw_mixup(self, count: int) -> tuple[float, Tensor | None]:
        """The weight and the partners of this step; none without mixup."""
        if self.config.mixup == 0:
            return 1.0, None
        weight = self.mixing.betavariate(self.config.mixup, self.config.mixup)
        return weight, torch.randperm(count, generator=self.generator, device=self.device)

    def _distillation_loss(
        self, logits: Tensor, inputs_of: Callable[[NetworkInfo], Tensor]
    ) -> Tensor:
        temperature = self.config.distillation_temperature
        with torch.no_grad():
            outputs = [
                self._outputs(teacher, inputs_of(network)) for network, teacher in self.teachers
            ]
            probabilities = losses.teacher_probabilities(outputs, temperature)
        return losses.distillation_loss(logits, probabilities, temperature)

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        accuracy = self._accuracy(centre_view(self.network))
        self.schedule.observe(accuracy)
        record = {"accuracy": accuracy}
        if self.epoch % self.config.ten_crops_every == 0 or self.epoch == self.config.epochs:
            record["ten_crop_accuracy"] = self._accuracy(ten_views(self.network))
        return record

    def _accuracy(self, views: list[View]) -> float:
        return evaluate(self.averaged.module, self.validation, self.network, views).accuracy

    def _save(self, record: dict[str, Any]) -> None:
        weights = {
            "network": self.network.name,
            "params": without_votes_head(self.averaged.module, len(self.network.labels)),
            "config": asdict(self.config),
            "record": record,
        }
        save_checkpoint(self.output / "final.pt", weights)
        accuracy = record.get(CHOSEN_ACCURACY[self.config.choose_by], -math.inf)
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            save_checkpoint(self.output / "best.pt", weights)
        lines = "".join(json.dumps(line) + "\n" for line in self.history)
        write_atomically(self.output / "log.jsonl", lines.encode())
        state = {
            "network": self.network.name,
            "config": asdict(self.config),
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "best_accuracy": self.best_accuracy,
            "history": self.history,
        }
        save_checkpoint(self.output / "state.pt", state)
