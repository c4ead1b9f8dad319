#!/usr/bin/env bash
# Builds every fuzz target once and runs each for some seconds; stops at the first crash.
#
#   fuzz/run.sh [SECONDS] [TARGET...]      default: 20 seconds, every target
#
# SEED=N fixes the order in which inputs are tried; without it every run takes another, and finds
# more.
#
# Works with the stable compiler. SANITIZER=address looks for memory faults too, which only
# `crates/scan` could have; the default is none, which builds and runs faster.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-20}
shift || true
sanitizer=${SANITIZER:-none}
# To libFuzzer 0 means a seed of its own choice.
seed=${SEED:-0}

if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: fuzz/run.sh [SECONDS] [TARGET...]" >&2
    exit 2
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked --version 0.13.2
fi

# Lets the stable compiler take the flags that fuzzing needs.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --sanitizer "$sanitizer"
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(cargo fuzz list)
fi

for target in "${targets[@]}"; do
    # libFuzzer adds what it finds to the first folder; the seeds stay as they are.
    found="fuzz/target/corpus/$target"
    mkdir -p "$found"
    case $target in
        form | backends | transaction | call) dictionary=fuzz/dictionaries/form.dict ;;
        items) dictionary=fuzz/dictionaries/items.dict ;;
        amount) dictionary=fuzz/dictionaries/amount.dict ;;
        config) dictionary=fuzz/dictionaries/config.dict ;;
        admin) dictionary=fuzz/dictionaries/admin.dict ;;
        proxy) dictionary=fuzz/dictionaries/proxy.dict ;;
        certificate) dictionary=fuzz/dictionaries/certificate.dict ;;
        camt | report_* | rates) dictionary=fuzz/dictionaries/reports.dict ;;
        *) dictionary=fuzz/dictionaries/midtrans.dict ;;
    esac
    log="fuzz/target/$target.log"
    if ! cargo fuzz run --sanitizer "$sanitizer" "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=20000 -timeout=10 -seed="$seed" -dict="$dictionary" \
        -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "$target: crashed; whole log in $log" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-14s %12s runs in %s s\n' "$target" "$runs" "$seconds"
done
