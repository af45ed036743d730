"""The C++ compiler and what it needs, for tests that compile generated headers."""

import os
import shutil
from pathlib import Path

_INCLUDE = Path(__file__).resolve().parents[2] / "include"
_EIGEN_PLACES = ("/usr/include/eigen3", "/usr/local/include/eigen3", "/opt/homebrew/include/eigen3")


def _compiler() -> str | None:
    wanted = [os.environ["CXX"]] if "CXX" in os.environ else ["c++", "g++", "clang++"]
    return next((path for name in wanted if (path := shutil.which(name))), None)


def _eigen() -> str | None:
    return next((place for place in _EIGEN_PLACES if Path(place, "Eigen").is_dir()), None)


_FOUND = _compiler() and _eigen() and (_INCLUDE / "mien" / "network.hpp").exists()

# Empty where all is there.
MISSING_CPP = "" if _FOUND else "needs a C++ compiler, Eigen and the library's headers"


def compile_command(source: str, *options: str) -> list[str]:
    """The command that compiles a C++17 file which includes the library."""
    folders = [f"-I{_INCLUDE}", "-isystem", _eigen()]
    return [_compiler(), "-std=c++17", *folders, source, *options]
