#!/usr/bin/env bash
# Tests the vector code for 64-bit ARM where there is none: builds for it, and runs the tests in an
# emulator. Needs, on Debian, qemu-user-static and gcc-aarch64-linux-gnu, and
# `rustup target add aarch64-unknown-linux-gnu`.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu'
cargo test --target aarch64-unknown-linux-gnu -p gopay-scan "$@"
