#!/usr/bin/env bash
# Measures the service beside its peers: builds the adapter and the load tool, starts everything on
# 127.0.0.1, prints the table of docs/PERFORMANCE.md, and writes JSON and plots into a folder.
#
#   benches/service.sh [FOLDER]             default: target/load
#   ROUNDS=5 SECONDS_EACH=10 benches/service.sh
#   MANY=target/many.db benches/service.sh  with the row of a large store, made before by
#       target/release/gopay-loadgen fill --store target/many.db --payments 10000000
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/load}

cargo build --release --locked -p gopay-adapter
cargo build --release --locked -p gopay-loadgen
many=()
if [ -n "${MANY:-}" ]; then many=(--many "$MANY"); fi
target/release/gopay-loadgen table --out "$out" --rounds "${ROUNDS:-3}" \
    --seconds "${SECONDS_EACH:-5}" "${many[@]}"
target/release/gopay-loadgen overload --out "$out"
