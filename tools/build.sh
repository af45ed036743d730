#!/usr/bin/env bash
# Builds the example programs into build/examples, installing what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

install_build_tools
cmake --preset release -DMIEN_BUILD_TESTS=OFF
cmake --build --preset release
