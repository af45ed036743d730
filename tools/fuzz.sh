#!/usr/bin/env bash
# Fuzzes everything that reads files: bash tools/fuzz.sh [SECONDS [TARGET...]]
#
# SECONDS, 60 by default, is for each target; without names for all of them. What they learn stays
# in build/fuzz/corpus and is where the next run begins; build/fuzz/totals.txt has the inputs of all
# runs. An input may take 1 GiB of memory and 20 seconds (Python: 2 GiB). Ends with status 1 and
# names the input's file if there was a finding; keep it in tests/fuzz/regressions/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/prerequisites.sh

seconds=${1:-60}
if [ $# -gt 0 ]; then shift; fi
cpp_targets=(picture_header npy cascade weight_file picture video graph fer_csv)
python_targets=(onnx cascade_xml python_weights python_csv)
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=("${cpp_targets[@]}" "${python_targets[@]}"); fi
work=build/fuzz
most_bytes=8192

is_in() {
  local word wanted=$1
  shift
  for word in "$@"; do if [ "$word" = "$wanted" ]; then return 0; fi; done
  return 1
}

# True if some of the targets to run are among those named.
wants_some_of() {
  local target
  for target in "${targets[@]}"; do if is_in "$target" "$@"; then return 0; fi; done
  return 1
}

for target in "${targets[@]}"; do
  if ! is_in "$target" "${cpp_targets[@]}" "${python_targets[@]}"; then
    echo "fuzz.sh: expected one of ${cpp_targets[*]} ${python_targets[*]}, found $target" >&2
    exit 2
  fi
done

# The files from which a target starts.
seed_folder() {
  local folder=$work/seeds/$1
  rm -rf "$folder"
  mkdir -p "$folder"
  case $1 in
    picture_header) cp tests/fuzz/seeds/picture/* "$folder" ;;
    python_csv) cp tests/fuzz/seeds/fer_csv/* "$folder" ;;
    cascade_xml) cp tests/data/*.xml "$folder" ;;
    python_weights) cp tests/data/layers/*_00.mien "$folder" ;;
    *) cp tests/fuzz/seeds/"$1"/* "$folder" ;;
  esac
  case $1 in
    cascade) cp tests/data/*.haar "$folder" ;;
    weight_file)
      cp tests/data/*.mien "$folder"
      find tests/data/layers -name '*.mien' -size -3k -exec cp {} "$folder" \;
      ;;
  esac
  if [ -d tests/fuzz/regressions/"$1" ]; then cp tests/fuzz/regressions/"$1"/* "$folder"; fi
  find "$folder" -size +"$((most_bytes * 2))"c -delete
}

if wants_some_of "${cpp_targets[@]}"; then
  install_build_tools
  install_clang_with_sanitizers
  mkdir -p $work
  cmake --preset fuzz -DMIEN_BUILD_TESTS=ON >$work/cmake.log
  cmake --build --preset fuzz
fi
if wants_some_of "${python_targets[@]}"; then
  make_virtual_environment
  # Without it, as on a Python that it has no build for, files are changed blindly.
  .venv/bin/pip install --quiet atheris ||
    echo "fuzz.sh: no atheris for this Python: inputs are not guided by coverage"
fi

# Allocations' stacks are short, and what was freed is watched for less long: twice as fast.
export ASAN_OPTIONS=malloc_context_size=8:quarantine_size_mb=32
sum=0
findings=()
for target in "${targets[@]}"; do
  mkdir -p "$work/corpus/$target" "$work/findings" "$work/logs"
  seed_folder "$target"
  log=$work/logs/$target.log
  program=("$work/tests/fuzz/fuzz_$target")
  memory=1024
  if is_in "$target" "${python_targets[@]}"; then
    program=(.venv/bin/python tests/fuzz/python_targets.py "$target")
    memory=2048
  fi
  status=0
  "${program[@]}" -max_total_time="$seconds" -rss_limit_mb=$memory -malloc_limit_mb=$memory \
    -timeout=20 -max_len=$most_bytes -print_final_stats=1 \
    -artifact_prefix="$work/findings/$target-" "$work/corpus/$target" "$work/seeds/$target" \
    >"$log" 2>&1 || status=$?
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  sum=$((sum + ${count:-0}))
  echo "$(date -u +%Y-%m-%dT%H:%M) $target ${count:-0}" >>"$work/totals.txt"
  printf '%-16s %10s inputs' "$target" "${count:-0}"
  if [ $status -eq 0 ]; then
    echo
  else
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "  FINDING: ${input:-see $log}"
    findings+=("${input:-$log}")
    tail -n 30 "$log"
  fi
done
awk -v now=$sum '{ all += $3 } END { printf "%d inputs, %d in all runs\n", now, all }' \
  "$work/totals.txt"
if [ ${#findings[@]} -gt 0 ]; then
  printf 'finding: %s\n' "${findings[@]}"
  exit 1
fi
