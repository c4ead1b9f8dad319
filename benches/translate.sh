#!/usr/bin/env bash
# Measures `translate` over 1,000,000 bodies beside `wc -l` and beside the obvious program in Node, in
# rounds that take turns, and prints the table of docs/PERFORMANCE.md. Needs 2 GB in FOLDER; Node is left
# out where it is not installed.
#
#   benches/translate.sh [FOLDER]           default: target/load
#   ROUNDS=5 LINES=1000000 benches/translate.sh
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/load}
lines=${LINES:-1000000}
# Node is measured on a tenth, and its CPU counted ten times.
part=$((lines / 10))

cargo build --release --locked -p gopay-adapter
cargo build --release --locked -p gopay-loadgen
mkdir -p "$out"
target/release/gopay-loadgen bodies --lines "$lines" --out "$out/bodies.txt"
head -n "$part" "$out/bodies.txt" > "$out/part.txt"

# Wall and CPU seconds of a command, and its name.
measured() {
    local name=$1
    shift
    TIMEFORMAT="%R %U %S $name"
    { time "$@"; } 2>&1
}
round() {
    measured wc sh -c "wc -l < '$out/bodies.txt' > /dev/null"
    measured null target/release/gopay-adapter translate --in "$out/bodies.txt" --out /dev/null
    measured file target/release/gopay-adapter translate --in "$out/bodies.txt" --out "$out/charges.jsonl"
    if command -v node > /dev/null; then
        measured node sh -c "node benches/peers/node/translate.js < '$out/part.txt' > /dev/null"
    fi
}
# The first round brings the file into memory and does not count.
round > /dev/null
for _ in $(seq "${ROUNDS:-5}"); do round; done | tee "$out/translate.txt" | awk -v share="$((lines / part))" '
    { wall[$4] = wall[$4] " " $1; cpu[$4] = cpu[$4] " " ($2 + $3) }
    function median(list, parts, n, i, j, t) {
        n = split(list, parts, " ")
        for (i = 2; i <= n; i++) for (j = i; j > 1 && parts[j - 1] + 0 > parts[j] + 0; j--) { t = parts[j]; parts[j] = parts[j - 1]; parts[j - 1] = t }
        return parts[int((n + 1) / 2)]
    }
    END {
        print "| | wall s | CPU s | wall, times `wc -l` | CPU of the Node program, times |"
        print "|---|---|---|---|---|"
        w = median(wall["wc"])
        printf "| `wc -l` | %.2f | %.2f | 1 | |\n", w, median(cpu["wc"])
        for (i = 1; i <= 2; i++) {
            name = i == 1 ? "null" : "file"; label = i == 1 ? "`translate` to /dev/null" : "`translate` from file to file"
            c = median(cpu[name])
            printf "| %s | %.2f | %.2f | %.1f | %s |\n", label, median(wall[name]), c, median(wall[name]) / w, \
                "node" in cpu ? sprintf("%.1f", share * median(cpu["node"]) / c) : "no node here"
        }
        if ("node" in cpu) printf "| the Node program, a tenth of it times %d | | %.1f | | 1 |\n", share, share * median(cpu["node"])
    }'
rm -f "$out/bodies.txt" "$out/part.txt" "$out/charges.jsonl"
