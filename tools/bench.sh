#!/usr/bin/env bash
# Builds the benchmarks into build/bench, installing what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

install_build_tools
install_packages libbenchmark-dev
cmake --preset release -DMIEN_BUILD_BENCHMARKS=ON -DMIEN_BUILD_TESTS=OFF
cmake --build --preset release
echo "The benchmarks are in $PWD/build/bench; bench/README.md says how to read them"
