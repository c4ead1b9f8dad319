#!/usr/bin/env bash
# Proves that the crash tests can fail: breaks the program in one way at a time, kills it at random
# moments, and expects the audit to say so. Works on a copy of the tree in target/mutants, but builds
# into target/, so do not use that meanwhile; the true program is built again in the end.
#
#   tests/crashes/mutants.sh            all
#   tests/crashes/mutants.sh lost_lease one
#   tests/crashes/mutants.sh --check    only whether each still finds what it replaces
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
copy=$root/target/mutants/tree

# name, file, what is replaced (a Perl regular expression), by what
mutants=(
    'charge_before_intent|crates/service/src/psp/transaction.rs|(let created = match self\.create)|if let Some(body) = draft.charge.clone() { drop(self.open_charge(&draft.payment, body).await); } $1'
    'delivered_before_sent|crates/service/src/loops/attempt.rs|(let \(good, detail\) = self\.attempt)|self.0.store.delivery_record(&delivery, &AttemptOutcome::Delivered, Value::Null, self.now()).await?; $1'
    'abandoned_calls_forgotten|crates/core/src/payment/polls.rs|\(PaymentState::Initialized, _\) => INITIALIZED_CHECK|(PaymentState::Initialized, _) if INITIALIZED_CHECK.is_zero() => INITIALIZED_CHECK, (PaymentState::Initialized, _) => return None'
    'open_refunds_forgotten|crates/service/src/loops/polls.rs|(let refunds = store\.refund_claim_due\(self\.now\(\), half\)\.await\?);|$1.into_iter().filter(\|_\| false).collect::<Vec<_>>();'
    'answered_before_commit|crates/store-sqlite/src/writer.rs|(fn commit.*?\{\n)(.*?)Ok\(execute\(db, "COMMIT"\)\?\)|$1 if !db.is_autocommit() { execute(db, "COMMIT")?; } $2 Ok(())'
    'outbox_row_lost|crates/store-sqlite/src/payments.rs|if let Some\(owed\) = step\.delivery|if let Some(owed) = step.delivery.filter(\|_\| false)'
    'lost_lease|crates/service/src/loops/deliveries.rs|(settings\.delivery_timeout \* 2 \+ Duration::from_secs)\(30\)|$1(400_000_000)'
    'answer_not_kept|crates/service/src/psp/transaction.rs|if payment\.nonce\.is_none\(\) \{\n            return body;\n        \}|if !body.is_empty() { return body; }'
)

split() { perl -pe 's/(?<!\\)\|/\x1f/g; s/\\\|/|/g' <<<"$1"; }

if [ "${1:-}" = --check ]; then
    for mutant in "${mutants[@]}"; do
        IFS=$'\x1f' read -r name file from _ <<<"$(split "$mutant")"
        FROM=$from perl -0ne 'exit(/$ENV{FROM}/s ? 0 : 1)' "$file" || { echo "no longer applies: $name"; exit 1; }
    done
    echo "${#mutants[@]} mutants apply"
    exit 0
fi

timeout 600 cargo test --locked --test crashes --no-run
test=$(cargo test --locked --test crashes --no-run --message-format json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/crashes-[^"]*\)".*/\1/p' | tail -1)
missed=0
for mutant in "${mutants[@]}"; do
    IFS=$'\x1f' read -r name file from to <<<"$(split "$mutant")"
    [ $# -eq 0 ] || [ "$1" = "$name" ] || continue
    rm -rf "$copy" && mkdir -p "$copy"
    # As of now, so that what the last mutant changed is built again.
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -xm -C "$copy"
    FROM=$from TO=$to perl -0pi -e '
        my ($from, $to) = ($ENV{FROM}, $ENV{TO});
        s/$from/my ($one, $two) = ($1, $2); (my $new = $to) =~ s{\$1}{$one}; $new =~ s{\$2}{$two}; $new/se
            or die "nothing to replace in $ARGV\n";' "$copy/$file"
    (cd "$copy" && CARGO_TARGET_DIR=$root/target timeout 900 cargo build --locked -q --bin gopay-adapter)
    cp "$root/target/debug/gopay-adapter" "$copy/../$name"
    if GOPAY_CRASHES="${GOPAY_CRASHES:-40}" GOPAY_BINARY=$copy/../$name \
        RUST_BACKTRACE=0 timeout 600 "$test" file_survives_kills >"$copy/../$name.log" 2>&1; then
        echo "MISSED $name"
        missed=1
    else
        echo "caught $name: $(grep -m1 -oE '^[0-9]+ problems|no answer to|never (opened|answered|SUCCEEDED)|still waiting for[^;]*' "$copy/../$name.log")"
    fi
done
cargo build --locked -q
exit $missed
