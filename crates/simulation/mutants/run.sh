#!/usr/bin/env bash
# Proves that the simulation can fail: breaks the code in each way that a patch here describes, and
# runs seeds until one finds it. Fails if a mutant survives, or if a patch no longer applies.
#
#   crates/simulation/mutants/run.sh [--check] [SEEDS]
#   crates/simulation/mutants/run.sh --exhaustive [NAME...]
#
# --check only looks whether all patches apply to the working tree. SEEDS (3000) is how many seeds
# a mutant gets. --exhaustive looks at every order of events in a small world instead; each mutant of its
# list, or those named, must be found there within a minute.
set -euo pipefail
cd "$(dirname "$0")/../../.."
patches=(crates/simulation/mutants/*.patch)

# The small world in which each is looked for.
declare -A worlds=(
    [04-no-reservation]=two-refunds
    [05-reservation-never-given-back]=refund-past-us
    [06-unclear-refund-called-failed]=refund-unanswered
    [11-outbox-row-lost]=late-notifications
    [17-late-money-ignored]=late-notifications
    [24-money-in-doubt-given-up]=doubt
    [26-refund-in-the-dashboard-not-counted]=refund-past-us
    [29-claim-of-a-living-holder-taken]=leases
)

if [ "${1:-}" = "--check" ]; then
    for patch in "${patches[@]}"; do
        git apply --check "$patch" || { echo "no longer applies: $patch"; exit 1; }
    done
    for name in "${!worlds[@]}"; do
        [ -f "crates/simulation/mutants/$name.patch" ] || { echo "no such mutant: $name"; exit 1; }
    done
    echo "${#patches[@]} mutants apply"
    exit 0
fi

exhaustive=
if [ "${1:-}" = "--exhaustive" ]; then
    exhaustive=yes
    shift
    names=("$@")
    [ ${#names[@]} -gt 0 ] || mapfile -t names < <(printf '%s\n' "${!worlds[@]}" | sort)
    patches=("${names[@]/#/crates/simulation/mutants/}")
    patches=("${patches[@]/%/.patch}")
fi

seeds=${1:-3000}
root=$PWD
# A fixed place, so that what did not change need not be built again.
tree=$root/target/mutants/tree
export CARGO_TARGET_DIR=$root/target/mutants/build RUST_BACKTRACE=0 CARGO_INCREMENTAL=1
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
    program=$CARGO_TARGET_DIR/debug/gopay-simulation
    began=$(date +%s%N)
    if [ -n "$exhaustive" ]; then
        search=("$program" --exhaustive "${worlds[$name]}" --limit 60)
    else
        search=("$program" --seeds "$seeds" --fail-fast)
    fi
    if "${search[@]}" >"$tree/../log" 2>&1; then
        printf '%-50s %s\n' "$name" "NOBODY: it survived ${search[*]:1}"
        survivors=$((survivors + 1))
    elif [ -n "$exhaustive" ]; then
        took=$((($(date +%s%N) - began) / 1000000))
        states=$(awk 'NR == 1 { print $2 }' "$tree/../log")
        # It must have looked, not failed to begin.
        [[ $states =~ ^[0-9]+$ ]] || { cat "$tree/../log"; echo "$name was not looked for"; exit 1; }
        printf '%-50s %s after %s states in %s ms: %s\n' "$name" "${worlds[$name]}" "$states" "$took" \
            "$(sed -n '2s/^ *//p' "$tree/../log" | cut -c1-70)"
    else
        found=$(grep -o -m1 -e '--seed [0-9]*' "$tree/../log" || echo "a panic")
        printf '%-50s %s: %s\n' "$name" "${found#--}" "$(head -1 "$tree/../log" | sed -E 's/[0-9]{12,}/TXID/g' | cut -c1-90)"
    fi
    git -C "$tree" apply --reverse "$root/$patch"
done
echo "${#patches[@]} mutants, $survivors survived"
exit $((survivors > 0))
