#!/usr/bin/env bash
# Makes a Debian package and a tarball of a built program.
#
#   docs/deploy/package.sh OUT
#
# OUT has what docs/deploy/build.sh put there. The same program gives the same bytes.
set -euo pipefail
out=$(realpath "${1:?the folder of docs/deploy/build.sh}")
cd "$(dirname "$0")/../.."
program=$out/gopay-adapter
[ -x "$program" ] || { echo "$program: build it first, by docs/deploy/build.sh" >&2; exit 2; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
umask 022

install -D -m 755 "$program" "$tree/usr/bin/gopay-adapter"
install -D -m 644 docs/deploy/gopay-adapter.service "$tree/usr/lib/systemd/system/gopay-adapter.service"
install -D -m 640 docs/config.toml "$tree/etc/gopay-adapter/config.toml"
doc=$tree/usr/share/doc/gopay-adapter
for file in README.md CHANGELOG.md SECURITY.md docs/*.md docs/deploy/*.yml docs/deploy/*.json; do
    install -D -m 644 "$file" "$doc/$(basename "$file")"
done
mkdir -p "$tree/usr/share/man/man1" "$tree/usr/share/bash-completion/completions" \
    "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d"
"$program" man "$tree/usr/share/man/man1"
gzip -9n "$tree"/usr/share/man/man1/*
"$program" completions bash >"$tree/usr/share/bash-completion/completions/gopay-adapter"
"$program" completions zsh >"$tree/usr/share/zsh/vendor-completions/_gopay-adapter"
"$program" completions fish >"$tree/usr/share/fish/vendor_completions.d/gopay-adapter.fish"
install -D -m 644 LICENSE "$doc/copyright"
mkdir -p "$tree/usr/lib/sysusers.d"
echo 'u gopay-adapter - "GoPay adapter" /var/lib/gopay-adapter' >"$tree/usr/lib/sysusers.d/gopay-adapter.conf"

mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: gopay-adapter
Version: $version
Architecture: $architecture
Maintainer: gopay-adapter maintainers <maintainers@localhost>
Section: net
Priority: optional
Depends: libc6, libgcc-s1, ca-certificates
Recommends: systemd
Description: PPRO Simple API to GoPay payments at Midtrans
 Takes payment calls in the form of PPRO's Simple API and carries them out as GoPay payments at Midtrans.
CONTROL
echo /etc/gopay-adapter/config.toml >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
# In another root there is no system to tell.
if [ "$1" = configure ] && [ -z "${DPKG_ROOT:-}" ]; then
    systemd-sysusers gopay-adapter.conf
    chgrp gopay-adapter /etc/gopay-adapter/config.toml
    # Not started: it needs a config and a store first.
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
SCRIPT
cat >"$tree/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now gopay-adapter.service || true
fi
SCRIPT
chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/gopay-adapter_${version}_$architecture.deb" >/dev/null

rm -r "$tree/DEBIAN"
tar --create --xz --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --transform "s,^\.,gopay-adapter-$version," --directory "$tree" \
    --file "$out/gopay-adapter-$version-$architecture.tar.xz" .
(cd "$out" && sha256sum -- *.deb *.tar.xz)
