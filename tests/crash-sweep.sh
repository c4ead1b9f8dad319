#!/usr/bin/env bash
# The long runs of the crash tests; docs/RELIABILITY.md, "Real crashes", says what they show.
#
#   tests/crash-sweep.sh            every system call, and 300 kills for each engine
#   GOPAY_CRASHES=2000 tests/crash-sweep.sh
#
# One line for each result, starting with the number of points or kills.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOPAY_SWEEP=1 GOPAY_CRASHES="${GOPAY_CRASHES:-300}" CI="${CI:-true}"
for tests in sweep:: at_random_moments; do
    cargo test --locked --test crashes -- --nocapture --test-threads 1 "$tests"
done
