#!/usr/bin/env bash
# Proves that the simulation can fail: breaks the code in each way that a patch here describes, and
# runs seeds until one finds it. Fails if a mutant survives, or if a patch no longer applies.
#
#   crates/simulation/mutants/run.sh [--check] [SEEDS]
#
# --check only looks whether all patches apply to the working tree. SEEDS (3000) is how many seeds
# a mutant gets.
set -euo pipefail
cd "$(dirname "$0")/../../.."
patches=(crates/simulation/mutants/*.patch)

if [ "${1:-}" = "--check" ]; then
    for patch in "${patches[@]}"; do
        git apply --check "$patch" || { echo "no longer applies: $patch"; exit 1; }
    done
    echo "${#patches[@]} mutants apply"
    exit 0
fi

seeds=${1:-3000}
root=$PWD
# A fixed place, so that what did not change need not be built again.
tree=$root/target/mutants/tree
export CARGO_TARGET_DIR=$root/target/mutants/build RUST_BACKTRACE=0
survivors=0
rm -rf "$tree"
mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree" --preserve=timestamps
git -C "$tree" init -q
printf '%-50s %s\n' mutant "found by"
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    git -C "$tree" apply "$root/$patch"
    if ! (cd "$tree" && cargo build -q --locked -p gopay-simulation) 2>"$tree/../log"; then
        cat "$tree/../log"
        echo "$name does not compile"
        exit 1
    fi
    if "$CARGO_TARGET_DIR/debug/gopay-simulation" --seeds "$seeds" --fail-fast >"$tree/../log" 2>&1; then
        printf '%-50s %s\n' "$name" "NOBODY: it survived $seeds seeds"
        survivors=$((survivors + 1))
    else
        found=$(grep -o -m1 -e '--seed [0-9]*' "$tree/../log" || echo "a panic")
        printf '%-50s %s: %s\n' "$name" "${found#--}" "$(head -1 "$tree/../log" | sed -E 's/[0-9]{12,}/TXID/g' | cut -c1-90)"
    fi
    git -C "$tree" apply --reverse "$root/$patch"
done
echo "${#patches[@]} mutants, $survivors survived"
exit $((survivors > 0))
