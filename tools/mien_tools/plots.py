"""Pictures of a training run."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mien_tools.container import write_atomically
from mien_tools.metrics import Metrics


def plot_curves(history: list[dict[str, Any]], path: Path) -> None:
    """Loss, accuracies and learning rate over the epochs, from the records of the log."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    _plot(loss, history, {"loss": "training loss"})
    _plot(
        accuracy,
        history,
        {
            "train_accuracy": "training, augmented",
            "accuracy": "validation, centre crop",
            "ten_crop_accuracy": "validation, ten crops",
        },
    )
    _plot(rate, history, {"learning_rate": "learning rate"})
    _save(figure, path)


def plot_confusion(metrics: Metrics, labels: tuple[str, ...], path: Path) -> None:
    """Counts, and as colour the share of the row (the truth)."""
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    axes = figure.subplots()
    images = metrics.confusion.sum(axis=1, keepdims=True)
    shares = metrics.confusion / np.maximum(images, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(metrics.confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="prediction", ylabel="truth", title=f"accuracy {metrics.accuracy:.2%}")
    _save(figure, path)


def _plot(axes: Any, history: list[dict[str, Any]], lines: dict[str, str]) -> None:
    for key, label in lines.items():
        points = [(record["epoch"], record[key]) for record in history if key in record]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=label)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.legend()


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomically(path, buffer.getvalue())
