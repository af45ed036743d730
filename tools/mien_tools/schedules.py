"""Learning rate schedules, as factors of the peak rate."""

import math
from typing import Any

SCHEDULES = ("constant", "plateau", "cosine", "warm-restarts", "one-cycle", "step")

ONE_CYCLE_RISE = 0.3  # these three are the constants of torch.optim.lr_scheduler.OneCycleLR
ONE_CYCLE_FIRST = 1 / 25
ONE_CYCLE_LAST = ONE_CYCLE_FIRST / 10_000


class Schedule:
    """The learning rate's factor at each optimizer step, 0 to 1; times are counted in such steps.

    All but `plateau` depend on the step alone.
    """

    def __init__(
        self,
        name: str,
        total_steps: int,
        warmup_steps: int = 0,
        period_steps: int = 1,
        decay: float = 0.75,
        patience: int = 5,
    ) -> None:
        """`step` uses period and decay; `warm-restarts` the period as its first, which doubles at
        each restart; `plateau` decay and patience (in validations)."""
        if name not in SCHEDULES:
            raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, found {name!r}")
        self.name = name
        self.steps = total_steps - warmup_steps
        self.warmup_steps = warmup_steps
        self.period_steps = period_steps
        self.decay = decay
        self.patience = patience
        self.best_accuracy = -math.inf
        self.stale_validations = 0
        self.plateau_factor = 1.0

    def factor(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        step -= self.warmup_steps
        if self.name == "plateau":
            return self.plateau_factor
        if self.name == "cosine":
            return _cosine(1.0, 0.0, step / self.steps)
        if self.name == "warm-restarts":
            return self._warm_restarts(step)
        if self.name == "one-cycle":
            return self._one_cycle(step)
        if self.name == "step":
            return self.decay ** (step // self.period_steps)
        return 1.0

    def observe(self, accuracy: float) -> None:
        """Tell the validation accuracy after an epoch; only `plateau` listens."""
        self.stale_validations += 1
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            self.stale_validations = 0
        if self.stale_validations > self.patience:
            self.plateau_factor *= self.decay
            self.stale_validations = 0

    def state_dict(self) -> dict[str, Any]:
        names = ("best_accuracy", "stale_validations", "plateau_factor")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.state_dict():
            setattr(self, name, state[name])

    def _warm_restarts(self, step: int) -> float:
        """SGDR (Loshchilov and Hutter 2017) with periods that double."""
        period = self.period_steps
        while step >= period:
            step -= period
            period *= 2
        return _cosine(1.0, 0.0, step / period)

    def _one_cycle(self, step: int) -> float:
        """Smith and Topin 2018; both flanks are cosines."""
        peak = ONE_CYCLE_RISE * self.steps - 1
        if step <= peak:
            return _cosine(ONE_CYCLE_FIRST, 1.0, step / peak)
        return _cosine(1.0, ONE_CYCLE_LAST, (step - peak) / (self.steps - 1 - peak))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
