"""Train a network on FER2013 (CSV file, image folders, or a folder with fer2013.py)."""

import argparse
import sys
from pathlib import Path

from mien_tools.augmentation import Augmentation
from mien_tools.checkpoints import CheckpointError
from mien_tools.commands import INTERRUPTED
from mien_tools.config import Config
from mien_tools.data import DataError
from mien_tools.devices import set_up_torch
from mien_tools.networks import NETWORKS
from mien_tools.options import add_options, take_options
from mien_tools.plots import plot_curves
from mien_tools.report import write_report
from mien_tools.trainer import Trainer, TrainingError

PROGRAM = "mien-train"
USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """The command `mien-train`; returns its exit status."""
    values = vars(_parser().parse_args(arguments))
    resume = values.pop("resume")
    try:
        augmentation = Augmentation(**take_options(values, Augmentation))
        config = Config(**values, augmentation=augmentation)
        set_up_torch(config.device, config.threads)
    except ValueError as error:
        return _fail(str(error), USAGE_ERROR)
    try:
        train(config, resume)
    except (CheckpointError, DataError, TrainingError, OSError) as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command with --resume goes on", INTERRUPTED)
    return 0


def train(config: Config, resume: bool) -> None:
    """Train, then print how the best weights do."""
    output = Path(config.output)
    if not resume and (output / "state.pt").exists():
        raise CheckpointError(f"{output}: expected no earlier run, found one; go on with --resume")
    trainer = Trainer(config)
    if resume:
        trainer.resume()
    trainer.run()
    plot_curves(trainer.history, output / "curves.png")
    if trainer.validation is None:
        print(f"no validation rows; the last epoch's weights are in {output / 'final.pt'}")
        return
    best = output / "best.pt"
    report = write_report(output, best, trainer.training, trainer.validation, config.device)
    print(report, end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--network", required=True, choices=NETWORKS)
    parser.add_argument("--data", required=True, metavar="PATH")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    add_options(parser.add_argument_group("training"), Config)
    add_options(parser.add_argument_group("augmentation"), Augmentation)
    return parser


def _fail(message: str, status: int) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
