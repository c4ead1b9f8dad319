#!/usr/bin/env bash
# Installs a package with dpkg into a root of its own, looks at its unit, and starts the program there.
#
#   docs/deploy/test-package.sh PACKAGE.deb
#
# Says what it could not do: without a running systemd the unit is checked, not started.
set -euo pipefail
package=$(realpath "${1:?a .deb}")
root=$(mktemp -d)
trap 'kill "${serve:-}" 2>/dev/null || true; rm -rf "$root"' EXIT
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status"
dpkg --root="$root" --force-script-chrootless --force-depends --force-not-root --install "$package" 2>&1 |
    grep -v 'dependency problems\|depends on\|Package .* is not installed\|^$' || true
dpkg --root="$root" --status gopay-adapter | grep -x 'Status: install ok installed'

unit=$root/usr/lib/systemd/system/gopay-adapter.service
if command -v systemd-analyze >/dev/null; then
    # Its paths are those of the installed system.
    sed "s,/usr/bin/gopay-adapter,$root/usr/bin/gopay-adapter,; /^Documentation=/d" "$unit" >"$root/gopay-adapter.service"
    systemd-analyze verify "$root/gopay-adapter.service"
    systemd-analyze security --offline=true --threshold=15 "$unit" | tail -1
else
    echo "!! SKIPPED: no systemd-analyze: the unit was not checked" >&2
fi
[ -d /run/systemd/system ] || echo "!! SKIPPED: systemd does not run here: the unit was not started" >&2

program=$root/usr/bin/gopay-adapter
"$program" --version
# Completions are read by their shell, and each command has its page.
share=$root/usr/share
bash -c ". '$share/bash-completion/completions/gopay-adapter' && complete -p gopay-adapter"
[ -s "$share/zsh/vendor-completions/_gopay-adapter" ] && [ -s "$share/fish/vendor_completions.d/gopay-adapter.fish" ]
zcat "$share/man/man1/gopay-adapter-serve.1.gz" | grep -q -- '\\-\\-config'
# The config as it is shipped, on ports and a store of this test.
config=$root/etc/gopay-adapter/config.toml
"$program" check-config --config "$config"
mkdir "$root/var/lib/gopay-adapter"
cd "$root/var/lib/gopay-adapter"
mkdir -p data
port=$((20000 + RANDOM % 20000))
sed -E "s/^(psp|public|admin) = .*/\1 = \"127.0.0.1:$port\"/" "$config" >test.toml
chmod 600 test.toml
"$program" migrate --config test.toml
"$program" --log warn serve --config test.toml &
serve=$!
for _ in $(seq 100); do
    curl -fs "http://127.0.0.1:$port/health/ready" >/dev/null 2>&1 && ready=yes && break
    sleep 0.1
done
[ "${ready:-}" = yes ] || { echo "it did not become ready" >&2; exit 1; }
curl -fs "http://127.0.0.1:$port/metrics" | grep '^gopay_build_info'
kill -TERM "$serve"
wait "$serve"
dpkg --root="$root" --force-script-chrootless --force-not-root --purge gopay-adapter >/dev/null
[ ! -e "$program" ] && echo "installed, started, stopped, purged"
