"""Calibration against published figures, PyTorch's loss and PyTorch's optimizer."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien_tools.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    cross_fitted_temperatures,
    expected_calibration_error,
    fit_temperature,
    judge_calibration,
    log_probabilities,
)


def draw_rows(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [count, 7], and labels drawn from softmax(logits / temperature)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 7)).astype(np.float32)
    # The largest of values with Gumbel noise is a draw from their softmax.
    return logits, (logits / temperature + random.gumbel(size=logits.shape)).argmax(axis=1)


def test_the_error_of_torchmetrics_example():
    """That of torchmetrics' MulticlassCalibrationError, with its three bins and norm l1."""
    probabilities = [[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]]
    error = expected_calibration_error(np.array(probabilities), np.array([0, 1, 2, 0]), bins=3)
    assert error == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("confidence", "correct", "expected"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        # 0.8 ends the fourth of five bins, and what is above begins the fifth ...
        ([0.8, 0.81], [True, False], (0.2 + 0.81) / 2),
        # ... and within a bin, what is too high makes up for what is too low.
        ([0.7, 0.8], [True, False], 0.25),
    ],
)
def test_bins_are_closed_above(confidence, correct, expected):
    confidence = np.array(confidence)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.where(correct, 0, 1)
    error = expected_calibration_error(probabilities, labels, bins=5)
    assert error == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_likelihood_is_pytorchs_cross_entropy(temperature):
    logits, labels = draw_rows(50, 1.0)
    scaled = torch.from_numpy(logits).double() / temperature
    np.testing.assert_allclose(
        log_probabilities(logits, temperature), F.log_softmax(scaled, dim=1), atol=1e-12
    )
    expected = F.cross_entropy(scaled, torch.from_numpy(labels)).item()
    found = judge_calibration(logits, labels, temperature).negative_log_likelihood
    assert found == pytest.approx(expected, abs=1e-12)


def test_large_logits_do_not_overflow():
    found = judge_calibration(np.array([[3e38, 0.0]], np.float32), np.array([0]), 0.01)
    assert (found.negative_log_likelihood, found.expected_calibration_error) == (0, 0)


@pytest.mark.parametrize("temperature", [0.4, 0.9, 2.5])
def test_the_fit_is_that_of_pytorchs_optimizer(temperature):
    logits, labels = draw_rows(400, temperature)
    tensor, targets = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [inverse],
        max_iter=100,
        tolerance_grad=1e-12,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(tensor * inverse, targets)
        value.backward()
        return value

    optimizer.step(loss)
    assert fit_temperature(logits, labels) == pytest.approx(1 / inverse.item(), rel=1e-6)


def test_many_rows_give_back_the_temperature_they_were_drawn_at():
    logits, labels = draw_rows(50_000, 1.7)
    assert fit_temperature(logits, labels) == pytest.approx(1.7, rel=0.02)
    assert judge_calibration(logits, labels).expected_calibration_error > 0.05
    assert judge_calibration(logits, labels, 1.7).expected_calibration_error < 0.01


def test_the_fit_stays_in_its_range():
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(LOWEST_TEMPERATURE)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(HIGHEST_TEMPERATURE)
    assert fit_temperature(logits[:0], np.array([], int)) == 1


def test_cross_fitting_never_looks_at_the_row_it_judges():
    logits, labels = draw_rows(101, 1.0)
    temperatures = cross_fitted_temperatures(logits, labels)
    assert temperatures.shape == (101, 1)
    first, second = np.unique(temperatures)
    in_first = temperatures[:, 0] == first
    assert sorted((in_first.sum(), (~in_first).sum())) == [50, 51]
    assert fit_temperature(logits[~in_first], labels[~in_first]) == pytest.approx(first)
    assert fit_temperature(logits[in_first], labels[in_first]) == pytest.approx(second)
    np.testing.assert_array_equal(cross_fitted_temperatures(logits, labels), temperatures)


def test_each_row_can_have_its_own_temperature():
    logits, labels = draw_rows(6, 1.0)
    temperatures = np.array([[0.5]] * 3 + [[2.0]] * 3)
    found = judge_calibration(logits, labels, temperatures).negative_log_likelihood
    halves = [
        judge_calibration(logits[rows], labels[rows], temperature).negative_log_likelihood
        for rows, temperature in ((slice(3), 0.5), (slice(3, None), 2.0))
    ]
    assert found == pytest.approx(sum(halves) / 2)
