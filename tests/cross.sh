#!/bin/sh
# Tests phash-code (the NEON kernel) for aarch64 under qemu, and checks phash-code and phash-index for a big-endian target.
# A part whose tools are missing is skipped with a line that says so; docs/testing.md tells how to get them.
#   RUSTC: a compiler with the standard library of the target (default: rustc)
#   BIG_ENDIAN: the target to check (default: s390x-unknown-linux-gnu)
set -eu
cd "$(dirname "$0")/.."
RUSTC=${RUSTC:-rustc}
export RUSTC CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cross"
arm=aarch64-unknown-linux-gnu
big=${BIG_ENDIAN:-s390x-unknown-linux-gnu}

# Whether the compiler has a standard library for the target.
has_std() {
    ls "$("$RUSTC" --print sysroot)/lib/rustlib/$1/lib/"libstd-*.rlib >/dev/null 2>&1
}

if ! has_std $arm; then
    echo "skipped: $RUSTC has no standard library for $arm"
elif ! command -v qemu-aarch64 >/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    echo "skipped: qemu-aarch64 or aarch64-linux-gnu-gcc is missing"
else
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="timeout 600 qemu-aarch64" \
        cargo test --target $arm -p phash-code --tests
fi

if has_std "$big"; then
    cargo check --target "$big" -p phash-code -p phash-index
else
    echo "skipped: $RUSTC has no standard library for $big"
fi
