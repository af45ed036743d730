"""Tables of made-up runs, whose figures are known."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from mien_tools.checkpoints import save_checkpoint
from mien_tools.compare_runs import COLUMNS, main

CONFIG = {
    "network": "mini_fer",
    "data": "somewhere",
    "output": "somewhere",
    "device": "cpu",
    "threads": 1,
    "epochs": 3,
    "learning_rate": 0.05,
    "votes_weight": 0.0,
    "seed": 1,
    "augmentation": {"warp": 0.75, "mirror": 0.5},
}


def make_run(
    folder: Path,
    accuracies: tuple[float | None, ...] = (0.4, 0.6, 0.5),
    report: tuple[float, float] | None = (0.62, 0.58),
    **options: Any,
) -> Path:
    """A folder as a training leaves it; `report` holds ten crops' accuracy and macro F1."""
    folder.mkdir()
    records: list[dict[str, Any]] = []
    for index, accuracy in enumerate(accuracies):
        record = {"epoch": index + 1, "loss": 1.0, "seconds": (10.0, 12.0, 99.0)[index]}
        records.append(record if accuracy is None else record | {"accuracy": accuracy})
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    config = CONFIG | {"output": str(folder)} | options
    save_checkpoint(folder / "final.pt", {"network": "mini_fer", "config": config})
    if report:
        figures = {"accuracy": report[0], "macro_f1": report[1]}
        (folder / "report.json").write_text(json.dumps({"all": {"ten_crops": figures}}))
    return folder


def rows(capsys, *folders: Path) -> list[dict[str, str]]:
    assert main([str(folder) for folder in folders]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert tuple(cells[0]) == COLUMNS
    assert set(cells[1]) == {"---"}
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells[2:]]


def test_a_row_holds_the_figures_of_the_best_epoch(tmp_path, capsys):
    (row,) = rows(capsys, make_run(tmp_path / "base"))
    expected = ("base", "-", "1", "3", "2", "60.00 %", "62.00 %", "0.5800", "12")
    assert tuple(row.values()) == expected


def test_options_are_told_where_they_differ_from_the_first_run(tmp_path, capsys):
    first = make_run(tmp_path / "first")
    votes = make_run(tmp_path / "votes", votes_weight=0.5, threads=2, device="cuda", data="else")
    warp = make_run(tmp_path / "warp", augmentation={"warp": 0.0, "mirror": 0.5}, epochs=5)
    newer = make_run(tmp_path / "newer", swirl=[1])
    older = make_run(tmp_path / "older")
    save_checkpoint(
        older / "final.pt",
        {
            "network": "mini_fer",
            "config": {key: CONFIG[key] for key in CONFIG if key != "votes_weight"},
        },
    )
    found = rows(capsys, first, votes, warp, newer, older)
    assert [row["differs by"] for row in found] == [
        "-",
        "votes_weight: 0.0 -> 0.5",
        "epochs: 3 -> 5; warp: 0.75 -> 0.0",
        "swirl: - -> [1]",
        "votes_weight: 0.0 -> -",
    ]
    assert [row["epochs"] for row in found] == ["3", "3", "3 of 5", "3", "3"]


def test_runs_that_differ_by_their_seed_share_a_row(tmp_path, capsys):
    accuracies = [(0.4, 0.61, 0.5), (0.4, 0.5, 0.64), (0.4, 0.5, 0.62)]
    seeds = [
        make_run(tmp_path / f"seed{seed}", values, (0.6 + seed / 100, 0.5), seed=seed)
        for seed, values in enumerate(accuracies, start=1)
    ]
    other = make_run(tmp_path / "other", votes_weight=0.5, seed=2)
    shared, alone = rows(capsys, seeds[0], other, *seeds[1:])
    assert (shared["run"], shared["seeds"]) == ("seed1, seed2, seed3", "1, 2, 3")
    assert (shared["best epoch"], shared["epochs"]) == ("2, 3", "3")
    deviation = statistics.stdev([0.61, 0.64, 0.62])
    assert shared["centre"] == f"62.33 % ± {deviation * 100:.2f} %" == "62.33 % ± 1.53 %"
    assert shared["ten crops"] == "62.00 % ± 1.00 %"
    assert shared["macro F1, ten crops"] == "0.5000 ± 0.0000"
    assert (alone["run"], alone["seeds"], alone["centre"]) == ("other", "2", "60.00 %")


def test_unfinished_runs_show_what_they_have(tmp_path, capsys):
    going = make_run(tmp_path / "going", (0.4, 0.5), report=None)
    blind = make_run(tmp_path / "blind", (None, None, None), report=None, votes_weight=1)
    first, second = rows(capsys, going, blind)
    assert tuple(first.values())[3:] == ("2 of 3", "2", "50.00 %", "-", "-", "11")
    assert tuple(second.values())[3:] == ("3", "-", "-", "-", "-", "12")


def test_ten_crops_of_the_best_epoch_stand_in_until_the_report(tmp_path, capsys):
    folder = make_run(tmp_path / "run", (0.5, 0.4), report=None)
    lines = (folder / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) | {"ten_crop_accuracy": 0.55} for line in lines]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, records)))
    (row,) = rows(capsys, folder)
    assert row["ten crops"] == "55.00 %"


def test_a_run_in_its_first_epoch_is_left_out(tmp_path, capsys):
    (tmp_path / "young").mkdir()
    assert main([str(tmp_path / "young"), str(make_run(tmp_path / "base"))]) == 0
    output = capsys.readouterr()
    assert "young: left out, no epoch is finished" in output.err
    assert len(output.out.splitlines()) == 3


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("log.jsonl", "no record", "log.jsonl: expected a record for each epoch, found: Expecting"),
        ("log.jsonl", "[1]\n", "log.jsonl: expected a record for each epoch, found: "),
        ("log.jsonl", "", "log.jsonl: expected a record for each epoch, found: no median"),
        ("final.pt", "no checkpoint", "final.pt: expected a checkpoint of PyTorch, found"),
        ("report.json", "{}", "report.json: expected a report of mien_tools.train"),
    ],
)
def test_broken_runs_are_named(tmp_path, capsys, file, content, message):
    folder = make_run(tmp_path / "run")
    (folder / file).write_text(content)
    assert main([str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("mien-compare-runs: ")
    assert message in error


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert f"mien-compare-runs: {tmp_path}/none/log.jsonl: No such file" in capsys.readouterr().err
