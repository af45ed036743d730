"""Where the programs under test are: pytest tests/programs --programs build/examples"""

import os
from pathlib import Path

import pytest

# Before PyTorch is loaded, as in tools/tests/conftest.py.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--programs", default=str(ROOT / "build/examples"), help="folder of the built programs"
    )


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> Path:
    folder = Path(pytestconfig.getoption("--programs"))
    assert (folder / "photo").exists(), f"{folder}: expected the built programs"
    return folder
