#!/usr/bin/env bash
# Builds the example programs, or those that are named, into build/examples, installing what is
# missing: bash tools/build.sh [PROGRAM...]
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

install_build_tools
cmake --preset release -DMIEN_BUILD_TESTS=OFF
cmake --build --preset release ${1:+--target "$@"}
