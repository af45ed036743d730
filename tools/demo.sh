#!/usr/bin/env bash
# Reads the expressions of the faces in a photo: bash tools/demo.sh [PHOTO]
set -euo pipefail
photo=$(realpath "${1:-$(dirname "$0")/../examples/images/astronaut.png}")
cd "$(dirname "$0")/.."

bash tools/build.sh photo
mkdir -p output
build/examples/photo --views ten --output output/faces.png "$photo"
echo "The annotated picture is $PWD/output/faces.png"
