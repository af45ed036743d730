"""What was once a finding of the Python fuzz targets, and where they start from."""

from pathlib import Path

import pytest
import python_targets

HERE = Path(__file__).parent


@pytest.mark.parametrize("target", python_targets.TARGETS)
def test_inputs_that_were_findings_are_none(target: str) -> None:
    files = [file for kind in ("regressions", "seeds") for file in HERE.glob(f"{kind}/{target}/*")]
    for file in files:
        python_targets.TARGETS[target].run(file.read_bytes())


def test_changed_models_are_read_or_refused() -> None:
    """The fallback where atheris is not installed."""
    python_targets.run_plain(python_targets.TARGETS["onnx"], 1.0, [HERE / "seeds" / "onnx"])
