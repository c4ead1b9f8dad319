#!/usr/bin/env bash
# The set-up of docs/OPERATIONS.md, "High availability", and what happens when parts of it die, stand
# still or change places, under load: three nodes of PostgreSQL under Patroni, three of etcd, two
# adapters with an HAProxy each, and the simulator.
#
#   tests/ha.sh [node-killed] [node-frozen] [switchover] [standby-frozen] [etcd-silent]
#
# Without a name all of them, in about seven minutes. Needed: PostgreSQL, etcd, haproxy and Python 3 with
# venv; Patroni comes from PyPI into a folder that is thrown away, or is taken from GOPAY_HA_PATRONI (a
# folder with `patroni` and `patronictl`). GOPAY_BINARY names another build of the program.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    printf '\n*** SKIPPED: %s: high availability was not tested ***\n\n' "$*" >&2
    # Where everything must be there, that is a failure.
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

# The system's own: one in somebody's home is closed to the user whom PostgreSQL runs as.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
for program in etcd haproxy "$python"; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || skip "PostgreSQL is not installed"

patroni=${GOPAY_HA_PATRONI:-}
if [ -z "$patroni" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/gopay-ha-XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    { "$python" -m venv "$folder/venv" &&
        "$folder/venv/bin/pip" install -q --disable-pip-version-check 'patroni[etcd3]>=4.1,<5' 'psycopg[binary]'; } >&2 ||
        skip "Patroni cannot be installed from PyPI"
    patroni=$folder/venv/bin
fi

program=${GOPAY_BINARY:-target/debug/gopay-adapter}
[ -x "$program" ] || cargo build --locked -p gopay-adapter
"$python" -u tests/ha/trial.py "$program" "$patroni" "$@"
