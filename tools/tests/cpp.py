"""The C++ compiler and what it needs, for tests that compile generated headers."""

import os
import shutil
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_INCLUDE = _ROOT / "include"
# Where the build has left the library; without it programs compile all of its headers.
_COMPILED = _ROOT / "build" / "libmien.a"
_EIGEN_PLACES = ("/usr/include/eigen3", "/usr/local/include/eigen3", "/opt/homebrew/include/eigen3")


def _compiler() -> str | None:
    wanted = [os.environ["CXX"]] if "CXX" in os.environ else ["c++", "g++", "clang++"]
    return next((path for name in wanted if (path := shutil.which(name))), None)


def _eigen() -> str | None:
    return next((place for place in _EIGEN_PLACES if Path(place, "Eigen").is_dir()), None)


_FOUND = _compiler() and _eigen() and (_INCLUDE / "mien" / "network.hpp").exists()

# Empty where all is there.
MISSING_CPP = "" if _FOUND else "needs a C++ compiler, Eigen and the library's headers"


_WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


def run_program(source: str, folder: Path) -> str:
    """What a C++17 program in `folder` that includes the library prints; it must end with 0.

    Compiling is what takes the time, so a test puts all that it asks into one program.
    """
    includes = [f"-I{folder}", f"-I{_INCLUDE}", "-isystem", _eigen()]
    sources = ["-O1", source]
    if _COMPILED.exists():
        sources = ["-O0", "-DMIEN_COMPILED", source, str(_COMPILED), "-pthread"]
    command = [_compiler(), "-std=c++17", *_WARNINGS, *includes, *sources, "-o", "program"]
    for step in (command, ["./program"]):
        done = subprocess.run(step, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
    return done.stdout
