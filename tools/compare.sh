#!/usr/bin/env bash
# Compares Mien with other inference engines, with OpenCV's face detector, and with the pipeline of
# both in Python, building and installing what is missing: bash tools/compare.sh [--core N]
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

bash tools/bench.sh
make_virtual_environment
# One by one: an engine that is not to be had for this system is left out.
grep -v '^#' bench/requirements.txt | while read -r package; do
  .venv/bin/pip install --quiet "$package" || echo "Left out: $package cannot be installed" >&2
done
for comparison in compare compare_detector compare_pipeline; do
  .venv/bin/python "bench/$comparison.py" "$@"
done
