"""Judges a checkpoint by rows it was not trained on: accuracy, F1, calibration.

    python -m mien_tools.report --checkpoint runs/mini_fer/best.pt --data fer2013.csv \\
        --output runs/mini_fer

Writes report.json, report.md (tables for a model card) and confusion.png, as a training does at its
end, and prints report.md.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien_tools.calibration import (
    BINS,
    cross_fitted_temperatures,
    fit_temperature,
    judge_calibration,
)
from mien_tools.checkpoints import CheckpointError, file_digest, load_network
from mien_tools.commands import exit_status
from mien_tools.container import write_atomically
from mien_tools.data import DataError, Faces, duplicates, load_faces, select_usages
from mien_tools.devices import set_up_torch
from mien_tools.evaluation import centre_view, judge, mean_logits, ten_views
from mien_tools.markdown import percent, table
from mien_tools.metrics import Metrics
from mien_tools.plots import plot_confusion

RULES = {"centre": centre_view, "ten_crops": ten_views}

# A weight file has one temperature for both rules. The centre crop's is the cautious one: a mean of
# ten crops' logits lies between their extremes, so that its own temperature would be lower, and
# would make the centre crop too sure of itself.
TEMPERATURE_RULE = "centre"


def write_report(
    output: Path, checkpoint: Path, training: Faces, validation: Faces, device: str = "cpu"
) -> str:
    """Judge a checkpoint by the validation rows, write `report.json`, `report.md` and
    `confusion.png` into the output folder, and return the text of `report.md`.

    The temperature is fitted, and calibration judged, on the validation rows that do not also stand
    among the training rows.
    """
    network, model = load_network(checkpoint)
    model.to(device, memory_format=torch.channels_last)  # the faster layout
    labels = validation.labels
    logits = {
        rule: mean_logits(model, validation, network, views(network))
        for rule, views in RULES.items()
    }
    unseen = ~duplicates(validation, training)
    if not unseen.any():
        unseen[:] = True

    metrics = {rule: judge(values, labels) for rule, values in logits.items()}
    report = {
        "checkpoint": {"file": checkpoint.name, "sha256": file_digest(checkpoint)},
        "all": _figures(metrics, network.labels),
    }
    if not unseen.all():
        others = {rule: judge(values[unseen], labels[unseen]) for rule, values in logits.items()}
        report["without_duplicates"] = _figures(others, network.labels)
    unseen_logits = {rule: values[unseen] for rule, values in logits.items()}
    report["calibration"] = _calibration(unseen_logits, labels[unseen])

    text = to_markdown(report)
    write_atomically(output / "report.json", (json.dumps(report, indent=2) + "\n").encode())
    write_atomically(output / "report.md", text.encode())
    plot_confusion(metrics["ten_crops"], network.labels, output / "confusion.png")
    return text


def _figures(rules: dict[str, Metrics], labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        rule: {
            "images": int(metrics.confusion.sum()),
            "accuracy": metrics.accuracy,
            "macro_f1": metrics.macro_f1,
            "precision": dict(zip(labels, metrics.precision.tolist(), strict=True)),
            "recall": dict(zip(labels, metrics.recall.tolist(), strict=True)),
            "f1": dict(zip(labels, metrics.f1.tolist(), strict=True)),
            "confusion": metrics.confusion.tolist(),
        }
        for rule, metrics in rules.items()
    }


def _calibration(logits: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """The temperature, and for each rule the calibration without, with and cross-fitted.

    Cross-fitted is what to expect of new rows: the temperature of each row comes from the half of
    the rows that it is not in.
    """
    temperature = fit_temperature(logits[TEMPERATURE_RULE], labels)
    cross_fitted = cross_fitted_temperatures(logits[TEMPERATURE_RULE], labels)
    figures: dict[str, Any] = {"images": len(labels), "temperature": temperature}
    for rule, values in logits.items():
        figures[rule] = {
            "own_temperature": fit_temperature(values, labels),
            "before": asdict(judge_calibration(values, labels)),
            "after": asdict(judge_calibration(values, labels, temperature)),
            "cross_fitted": asdict(judge_calibration(values, labels, cross_fitted)),
        }
    return figures


def to_markdown(report: dict[str, Any]) -> str:
    """The tables of a model card from the contents of `report.json`."""
    centre = report["all"]["centre"]
    lines = [f"{centre['images']:,} validation images.", ""]
    lines += _accuracy_table(report) + [""] + _class_table(report["all"]) + [""]
    lines += ["Ten crops, images by label (rows) and prediction (columns):", ""]
    labels = list(centre["recall"])
    confusion = zip(labels, report["all"]["ten_crops"]["confusion"], strict=True)
    lines += table(["", *labels], [[label, *map(str, counts)] for label, counts in confusion])
    lines += [""] + _calibration_section(report)
    return "\n".join(lines) + "\n"


def _accuracy_table(report: dict[str, Any]) -> list[str]:
    def row(title: str, part: str, name: str, text: Callable[[float], str]) -> list[str]:
        return [title, *(text(report[part][rule][name]) for rule in RULES)]

    rows = [
        row("accuracy", "all", "accuracy", percent),
        row("macro F1", "all", "macro_f1", "{:.4f}".format),
    ]
    if "without_duplicates" in report:
        others = report["without_duplicates"]["centre"]["images"]
        left_out = report["all"]["centre"]["images"] - others
        without = f"without the {left_out:,} that also stand in the training rows"
        rows += [
            row(f"accuracy {without}", "without_duplicates", "accuracy", percent),
            row("macro F1 without them", "without_duplicates", "macro_f1", "{:.4f}".format),
        ]
    return table(["", *map(_name, RULES)], rows)


def _class_table(rules: dict[str, Any]) -> list[str]:
    labels = list(rules["centre"]["recall"])
    rows = [
        [f"{title}, {_name(rule)}", *(text(figures[key][label]) for label in labels)]
        for key, title, text in (
            ("precision", "precision", percent),
            ("recall", "recall", percent),
            ("f1", "F1", "{:.3f}".format),
        )
        for rule, figures in rules.items()
    ]
    images = [str(sum(counts)) for counts in rules["centre"]["confusion"]]
    return table(["", *labels], [["images", *images], *rows])


def _calibration_section(report: dict[str, Any]) -> list[str]:
    calibration = report["calibration"]
    temperature = calibration["temperature"]
    stages = {
        "before": "temperature 1",
        "after": f"temperature {temperature:.4f}",
        "cross_fitted": "temperature fitted to the other half",
    }
    figures = {
        "expected_calibration_error": ("expected calibration error", percent),
        "negative_log_likelihood": ("negative log-likelihood", "{:.4f}".format),
    }
    rows = [
        [f"{title}, {stage_title}", *(text(calibration[rule][stage][key]) for rule in RULES)]
        for key, (title, text) in figures.items()
        for stage, stage_title in stages.items()
    ]
    own = [f"{calibration[rule]['own_temperature']:.4f}" for rule in RULES]
    rows.append(["the rule's own best temperature", *own])
    which = " that do not stand in the training rows" if "without_duplicates" in report else ""
    return [
        f"Temperature {temperature:.4f}, fitted to the {_name(TEMPERATURE_RULE)} of the "
        f"{calibration['images']:,} images{which}. On these:",
        "",
        *table(["", *map(_name, RULES)], rows),
        "",
        f"The expected calibration error is that of {BINS} equal bins (Guo et al. 2017).",
    ]


def _name(rule: str) -> str:
    return rule.replace("_", " ")


def main(arguments: list[str] | None = None) -> int:
    """The command `mien-report`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="mien-report",
        description="Judge a checkpoint: accuracy, F1, calibration, as tables for a model card.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--usage",
        nargs="+",
        default=["PublicTest"],
        metavar="NAME",
        help="rows that judge and that the temperature is fitted to (default: PublicTest)",
    )
    parser.add_argument(
        "--train-usage",
        nargs="+",
        default=["Training"],
        metavar="NAME",
        help="rows that the checkpoint was trained on (default: Training)",
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)"
    )
    options = parser.parse_args(arguments)
    try:
        set_up_torch(options.device, options.threads)
    except ValueError as error:
        parser.error(str(error))
    return exit_status(parser.prog, lambda: _report_as_asked(options), (CheckpointError, DataError))


def _report_as_asked(options: argparse.Namespace) -> None:
    faces = load_faces(options.data)
    training = select_usages(faces, options.train_usage)
    validation = select_usages(faces, options.usage)
    options.output.mkdir(parents=True, exist_ok=True)
    print(
        write_report(options.output, options.checkpoint, training, validation, options.device),
        end="",
    )


if __name__ == "__main__":
    sys.exit(main())
