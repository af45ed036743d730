"""Every schedule against its counterpart in torch.optim.lr_scheduler."""

import pytest
import torch
from torch.optim import lr_scheduler

from mien_tools.schedules import SCHEDULES, Schedule

STEPS = 120
PERIOD = 20
DECAY = 0.6
COUNTERPARTS = {
    "constant": lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS),
    "warm-restarts": lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, PERIOD, T_mult=2
    ),
    "one-cycle": lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=STEPS, cycle_momentum=False
    ),
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, PERIOD, gamma=DECAY),
}


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_factors_are_those_of_pytorch(name):
    schedule = Schedule(name, STEPS, period_steps=PERIOD, decay=DECAY)
    optimizer = sgd()
    counterpart = COUNTERPARTS[name](optimizer)
    for step in range(STEPS):
        expected = optimizer.param_groups[0]["lr"]
        assert schedule.factor(step) == pytest.approx(expected, abs=1e-9), f"{name}, step {step}"
        optimizer.step()
        counterpart.step()


def test_plateau_lowers_the_rate_as_pytorch_does():
    accuracies = [
        0.3,
        0.4,
        0.4,
        0.39,
        0.41,
        0.41,
        0.41,
        0.4,
        0.2,
        0.3,
        0.41,
        0.42,
        0.1,
        0.1,
        0.1,
        0.1,
    ]
    schedule = Schedule("plateau", STEPS, decay=DECAY, patience=2)
    optimizer = sgd()
    counterpart = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=DECAY, patience=2, threshold=0
    )
    for epoch, accuracy in enumerate(accuracies):
        schedule.observe(accuracy)
        counterpart.step(accuracy)
        expected = optimizer.param_groups[0]["lr"]
        assert schedule.factor(epoch) == pytest.approx(expected), f"epoch {epoch}"
    assert schedule.factor(STEPS) < DECAY


def test_plateau_goes_on_from_its_state():
    first, second = (Schedule("plateau", STEPS, patience=1) for _ in range(2))
    for accuracy in (0.5, 0.4):
        first.observe(accuracy)
    second.load_state_dict(first.state_dict())
    for schedule in (first, second):
        schedule.observe(0.4)
    assert first.factor(0) == second.factor(0) == 0.75


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_evenly_and_delays_the_schedule(name):
    plain = Schedule(name, STEPS, period_steps=PERIOD)
    warmed = Schedule(name, STEPS + 10, warmup_steps=10, period_steps=PERIOD)
    for step in range(10):
        assert warmed.factor(step) == pytest.approx((step + 1) / 10)
    for step in range(STEPS):
        assert warmed.factor(step + 10) == plain.factor(step), f"{name}, step {step}"


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(ValueError, match="expected one of constant.*found 'linear'"):
        Schedule("linear", STEPS)
