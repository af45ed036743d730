"""Compares training runs: `python -m mien_tools.compare_runs RUN_DIR...` prints a Markdown table.

Runs that differ by their seed alone share a row, with the mean and the sample standard deviation of
their figures. The other options are told where they differ from the first run's, as "name: first
run's -> this run's".
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien_tools.checkpoints import CheckpointError, load_checkpoint
from mien_tools.commands import exit_status
from mien_tools.config import CHOSEN_ACCURACY, PLACES
from mien_tools.markdown import percent, table

PROGRAM = "mien-compare-runs"
NOTHING = "-"
COLUMNS = (
    "run",
    "differs by",
    "seeds",
    "epochs",
    "best epoch",
    "centre",
    "ten crops",
    "macro F1, ten crops",
    "seconds an epoch",
)


@dataclass(frozen=True)
class Run:
    """What a training left in its folder; the figures are those of `best.pt`.

    Runs without validation rows have no accuracy; ten crops and F1 come with the report at a run's
    end.
    """

    name: str
    options: dict[str, Any]  # of the configuration, those of augmentation among them
    seed: int
    epochs: int  # done so far
    best_epoch: int | None
    accuracy: float | None
    ten_crop_accuracy: float | None
    macro_f1: float | None
    seconds: float  # an epoch, the median: those with ten crops take longer


def read_run(folder: Path) -> Run:
    """Read a run's `log.jsonl`, `final.pt` and, if it is finished, `report.json`."""
    log = folder / "log.jsonl"
    try:
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        seconds = statistics.median(record["seconds"] for record in records)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{log}: expected a record for each epoch, found: {error}") from None

    options = dict(load_checkpoint(folder / "final.pt", keys=("network", "config"))["config"])
    options |= options.pop("augmentation")
    options.setdefault("choose_by", "centre")  # what runs older than the option did
    chosen = CHOSEN_ACCURACY[options["choose_by"]]
    judged = [record for record in records if chosen in record]
    best = max(judged, key=lambda record: record[chosen], default={})
    for name in PLACES:
        del options[name]
    ten_crops = _ten_crops_of_report(folder / "report.json")
    return Run(
        name=folder.resolve().name,
        seed=options.pop("seed"),
        options=options,
        epochs=len(records),
        best_epoch=best.get("epoch"),
        accuracy=best.get("accuracy"),
        ten_crop_accuracy=ten_crops.get("accuracy", best.get("ten_crop_accuracy")),
        macro_f1=ten_crops.get("macro_f1"),
        seconds=seconds,
    )


def comparison(runs: list[Run]) -> str:
    """The Markdown table; rows are in the order in which runs with new options appear."""
    groups: list[list[Run]] = []
    for run in runs:
        alike = (group for group in groups if group[0].options == run.options)
        group = next(alike, None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return "\n".join(table(COLUMNS, [_row(group, runs[0]) for group in groups]))


def _ten_crops_of_report(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))["all"]["ten_crops"]
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{path}: expected a report of mien_tools.train, found another file"
        ) from None


def _row(group: list[Run], first: Run) -> list[str]:
    return [
        ", ".join(run.name for run in group),
        _differences(group[0].options, first.options),
        ", ".join(str(run.seed) for run in group),
        _distinct(_progress(run) for run in group),
        _distinct(NOTHING if run.best_epoch is None else str(run.best_epoch) for run in group),
        _mean((run.accuracy for run in group), percent),
        _mean((run.ten_crop_accuracy for run in group), percent),
        _mean((run.macro_f1 for run in group), "{:.4f}".format),
        _mean((run.seconds for run in group), "{:.0f}".format),
    ]


def _differences(options: dict[str, Any], first: dict[str, Any]) -> str:
    """Checkpoints of other versions may lack an option or have one more."""
    names = list(first) + [name for name in options if name not in first]
    different = [
        f"{name}: {first.get(name, NOTHING)} -> {options.get(name, NOTHING)}"
        for name in names
        if first.get(name) != options.get(name)
    ]
    return "; ".join(different) or NOTHING


def _progress(run: Run) -> str:
    wanted = run.options["epochs"]
    return str(wanted) if run.epochs == wanted else f"{run.epochs} of {wanted}"


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _mean(values: Iterable[float | None], text: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    mean = text(statistics.mean(known))
    return mean if len(known) == 1 else f"{mean} ± {text(statistics.stdev(known))}"


def main(arguments: list[str] | None = None) -> int:
    """The command `mien-compare-runs`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Compare training runs in a Markdown table."
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="output folder of mien_tools.train; options are compared with those of the first",
    )
    options = parser.parse_args(arguments)
    return exit_status(parser.prog, lambda: _compare_as_asked(options.runs), (CheckpointError,))


def _compare_as_asked(folders: list[Path]) -> None:
    runs = []
    for folder in folders:
        if folder.is_dir() and not (folder / "log.jsonl").exists():
            print(f"{PROGRAM}: {folder}: left out, no epoch is finished", file=sys.stderr)
        else:
            runs.append(read_run(folder))
    if runs:
        print(comparison(runs))


if __name__ == "__main__":
    sys.exit(main())
