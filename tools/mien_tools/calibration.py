"""Temperature scaling: probabilities that say how often the network is right.

Guo et al. 2017, "On Calibration of Modern Neural Networks": probabilities are softmax(logits /
temperature), which changes no prediction, and one temperature is fitted to rows that were not
trained on (section 4.2). Logits are [n, classes], labels [n].
"""

import math
from dataclasses import dataclass

import numpy as np

BINS = 15  # the paper's (table 1)

# Rows that are all right call for a temperature of zero, rows at random for an infinite one.
LOWEST_TEMPERATURE = 0.01
HIGHEST_TEMPERATURE = 100.0
_HALVINGS = 60  # of the range between them: more than float64 can tell apart

_SPLIT_SEED = 0


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be trusted: both figures are better when lower."""

    negative_log_likelihood: float
    expected_calibration_error: float


def log_probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Logarithms [n, classes] of softmax(logits / temperature), in float64."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


def judge_calibration(
    logits: np.ndarray, labels: np.ndarray, temperature: float | np.ndarray = 1.0
) -> Calibration:
    """The calibration at one temperature, or at one for each row [n, 1]."""
    logarithms = log_probabilities(logits, temperature)
    likelihood = np.take_along_axis(logarithms, labels[:, None], axis=1)
    error = expected_calibration_error(np.exp(logarithms), labels)
    return Calibration(float(-likelihood.mean()), error)


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> float:
    """The mean over all rows of |accuracy - mean confidence| of the bin that the row falls into.

    Confidence is the largest probability; bin m of M holds those in ((m - 1) / M, m / M] (Guo et
    al. 2017, section 2, equation 3). Bins' random errors add to it: with few rows it is too high.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of_row = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    surplus = np.bincount(bin_of_row, weights=correct - confidence, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the lowest negative log-likelihood, LOWEST_ to HIGHEST_TEMPERATURE.

    Without rows it is 1.

    The negative log-likelihood is convex in 1 / temperature. Its slope there, the mean of the logit
    that the network expects less the label's, never falls, so that its zero is found by bisection.
    """
    if len(labels) == 0:
        return 1.0
    logits = logits.astype(np.float64)
    of_label = np.take_along_axis(logits, labels[:, None], axis=1).mean()

    def too_cold(temperature: float) -> bool:
        probabilities = np.exp(log_probabilities(logits, temperature))
        return (probabilities * logits).sum(axis=1).mean() > of_label

    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if too_cold(math.exp(middle)):
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def cross_fitted_temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each row, in [n, 1], the temperature fitted to the half of the rows it is not in.

    The halves are drawn at random, always the same.
    """
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    halves = np.array_split(order, 2)
    temperatures = np.empty((len(labels), 1))
    for half, other in (halves, halves[::-1]):
        temperatures[half] = fit_temperature(logits[other], labels[other])
    return temperatures
