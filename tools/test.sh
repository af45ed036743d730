#!/usr/bin/env bash
# Builds and runs all tests, of the C++ library and of the Python package, installing what is
# missing. With Clang installed, the same by Clang as well.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

install_build_tools
install_test_tools
presets=(release sanitize thread)
if command -v clang++ >/dev/null; then presets+=(clang); fi
for preset in "${presets[@]}"; do
  echo "== C++ tests: $preset"
  cmake --preset "$preset" -DMIEN_BUILD_TESTS=ON
  cmake --build --preset "$preset"
  ctest --preset "$preset"
done

echo "== Python tests"
make_virtual_environment
.venv/bin/ruff check bench tests tools
.venv/bin/ruff format --check bench tests tools
.venv/bin/python -m pytest -q -n auto --dist worksteal tools/tests tests/programs tests/fuzz
