#!/usr/bin/env bash
# Builds a release whose bytes depend on the source alone: not on the folder, the time or the user.
#
#   docs/deploy/build.sh OUT
#
# OUT gets the program, its SHA-256 and the commit. The toolchain is that of rust-toolchain.toml; C
# compiler and linker are the system's, so the same bytes need the same Debian.
set -euo pipefail
out=$(realpath -m "${1:?where to}")
cd "$(dirname "$0")/../.."
root=$PWD
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH
export GOPAY_ADAPTER_COMMIT=$commit
home=${CARGO_HOME:-$HOME/.cargo}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/reproducible} CARGO_INCREMENTAL=0
# Folders of this machine must not be in the program, nor in what it says in a panic.
remap="--remap-path-prefix=$root=/gopay-adapter --remap-path-prefix=$home=/cargo --remap-path-prefix=$CARGO_TARGET_DIR=/target"
export RUSTFLAGS="$remap -C link-arg=-Wl,--build-id=none"
export CFLAGS="-ffile-prefix-map=$root=/gopay-adapter -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$CARGO_TARGET_DIR=/target"
profile=${PROFILE:-release}
cargo build --locked --profile "$profile" -p gopay-adapter
mkdir -p "$out"
cp "$CARGO_TARGET_DIR/$profile/gopay-adapter" "$out/gopay-adapter"
echo "$commit" >"$out/commit"
(cd "$out" && sha256sum gopay-adapter | tee gopay-adapter.sha256)
