"""What a classifier got right: accuracy, precision, recall, F1, from one confusion matrix."""

from dataclasses import dataclass

import numpy as np


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Counts [classes, classes]: rows are the truth, columns the prediction."""
    counts = np.bincount(
        truth.astype(np.int64) * classes + prediction.astype(np.int64), minlength=classes * classes
    )
    return counts.reshape(classes, classes)


@dataclass(frozen=True)
class Metrics:
    """Shares 0 to 1; a class without predictions has precision 0, one without images recall 0."""

    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        return float(_ratio(np.trace(self.confusion), self.confusion.sum()))

    @property
    def precision(self) -> np.ndarray:
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> np.ndarray:
        return _ratio(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1, each class weighing the same."""
        return float(self.f1.mean())


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)
