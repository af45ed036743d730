"""The figures and pictures that a training run ends with."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mien_tools.checkpoints import load_network
from mien_tools.container import write_atomically
from mien_tools.data import Faces, duplicates
from mien_tools.evaluation import centre_view, predict, ten_views
from mien_tools.metrics import Metrics, confusion_matrix
from mien_tools.networks import NetworkInfo
from mien_tools.plots import plot_confusion, plot_curves

RULES = {"centre": centre_view, "ten_crops": ten_views}


def write_report(
    output: Path, device: str, training: Faces, validation: Faces | None, history: list[dict]
) -> str:
    """Judge `best.pt` (`final.pt` without validation rows), write `report.json`, `curves.png` and
    `confusion.png` into the output folder, and return the figures as text."""
    plot_curves(history, output / "curves.png")
    if validation is None:
        return f"no validation rows; the last epoch's weights are in {output / 'final.pt'}"
    network, model = load_network(output / "best.pt")
    model.to(device)
    predictions = {
        rule: predict(model, validation, network, views(network)) for rule, views in RULES.items()
    }

    everything = _judge(predictions, validation.labels, network)
    report = {"all": _figures(everything, network)}
    lines = _summary("validation rows", everything)
    unseen = ~duplicates(validation, training)
    if 0 < unseen.sum() < len(validation):
        others = {rule: prediction[unseen] for rule, prediction in predictions.items()}
        judged = _judge(others, validation.labels[unseen], network)
        report["without_duplicates"] = _figures(judged, network)
        lines += _summary("of these, not among the training rows", judged)

    write_atomically(output / "report.json", (json.dumps(report, indent=2) + "\n").encode())
    plot_confusion(everything["ten_crops"], network.labels, output / "confusion.png")
    return "\n".join(lines + _table(everything["ten_crops"], network))


def _judge(
    predictions: dict[str, np.ndarray], truth: np.ndarray, network: NetworkInfo
) -> dict[str, Metrics]:
    classes = len(network.labels)
    return {
        rule: Metrics(confusion_matrix(truth, prediction, classes))
        for rule, prediction in predictions.items()
    }


def _figures(rules: dict[str, Metrics], network: NetworkInfo) -> dict[str, Any]:
    return {
        rule: {
            "images": int(metrics.confusion.sum()),
            "accuracy": metrics.accuracy,
            "macro_f1": metrics.macro_f1,
            "precision": dict(zip(network.labels, metrics.precision.tolist(), strict=True)),
            "recall": dict(zip(network.labels, metrics.recall.tolist(), strict=True)),
            "f1": dict(zip(network.labels, metrics.f1.tolist(), strict=True)),
            "confusion": metrics.confusion.tolist(),
        }
        for rule, metrics in rules.items()
    }


def _summary(name: str, rules: dict[str, Metrics]) -> list[str]:
    images = int(rules["centre"].confusion.sum())
    lines = [f"{name}: {images}"]
    for rule, metrics in rules.items():
        figures = f"accuracy {metrics.accuracy:.2%}  macro F1 {metrics.macro_f1:.4f}"
        lines.append(f"  {rule.replace('_', ' '):9}  {figures}")
    return lines


def _table(metrics: Metrics, network: NetworkInfo) -> list[str]:
    width = max(map(len, network.labels))
    columns = zip(network.labels, metrics.precision, metrics.recall, metrics.f1, strict=True)
    return [f"{'ten crops':{width}}  precision  recall     F1"] + [
        f"{label:{width}}  {precision:9.2%} {recall:7.2%} {f1:6.4f}"
        for label, precision, recall, f1 in columns
    ]
