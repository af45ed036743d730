"""Metrics against published figures: scikit-learn's examples, MiniFER's confusion matrix."""

import numpy as np
import pytest

from mien_tools.metrics import Metrics, confusion_matrix

# The examples of sklearn.metrics.precision_score, recall_score and f1_score.
TRUTH = np.array([0, 1, 2, 0, 1, 2])
PREDICTION = np.array([0, 2, 1, 0, 0, 1])

# MiniFER on PublicTest as its authors report it: 68.65 %.
REPORTED = np.array(
    [
        [291, 6, 37, 17, 63, 15, 38],
        [20, 26, 2, 2, 4, 1, 1],
        [48, 1, 230, 15, 113, 43, 46],
        [17, 1, 9, 771, 19, 19, 59],
        [69, 0, 53, 14, 416, 11, 90],
        [11, 1, 30, 14, 9, 342, 8],
        [46, 1, 21, 44, 98, 9, 388],
    ]
)


def test_rows_are_the_truth_and_columns_the_prediction():
    # The example of sklearn.metrics.confusion_matrix.
    truth, prediction = np.array([2, 0, 2, 2, 0, 1]), np.array([0, 0, 2, 2, 0, 2])
    expected = [[2, 0, 0], [0, 0, 1], [1, 0, 2]]
    np.testing.assert_array_equal(confusion_matrix(truth, prediction, 3), expected)


def test_small_label_types_do_not_overflow():
    labels = np.full(3, 6, np.uint8)
    assert confusion_matrix(labels, labels, 50)[6, 6] == 3


def test_macro_figures_of_scikit_learn():
    metrics = Metrics(confusion_matrix(TRUTH, PREDICTION, 3))
    np.testing.assert_allclose(metrics.precision, [2 / 3, 0, 0])
    assert metrics.precision.mean() == pytest.approx(0.22, abs=5e-3)
    assert metrics.recall.mean() == pytest.approx(0.33, abs=5e-3)
    np.testing.assert_allclose(metrics.f1, [0.8, 0, 0])
    assert metrics.macro_f1 == pytest.approx(0.267, abs=5e-4)


def test_the_reported_confusion_matrix_gives_the_reported_accuracy():
    metrics = Metrics(REPORTED)
    assert metrics.accuracy == pytest.approx(2464 / 3589)
    assert metrics.recall[3] == pytest.approx(771 / 895)
    assert metrics.precision[1] == pytest.approx(26 / 36)


def test_classes_without_images_or_predictions_count_as_zero():
    metrics = Metrics(np.array([[4, 0], [0, 0]]))
    np.testing.assert_array_equal(metrics.recall, [1, 0])
    np.testing.assert_array_equal(metrics.precision, [1, 0])
    assert metrics.macro_f1 == 0.5
    assert Metrics(np.zeros((2, 2))).accuracy == 0
