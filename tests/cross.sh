#!/bin/sh
# Tests phash-code for aarch64 (the NEON kernel), and phash-code and phash-index for a big-endian processor, under qemu.
# A part whose tools are missing is skipped with a line that says so; docs/testing.md tells how to get them.
#   RUSTC: a compiler with the standard library of the targets, or with its source (default: rustc)
#   PROPTEST_CASES: cases of each property on the big-endian processor (default: 8; emulation is slow)
set -eu
cd "$(dirname "$0")/.."
RUSTC=${RUSTC:-rustc}
export RUSTC CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cross"
arm=aarch64-unknown-linux-gnu
big=s390x-unknown-linux-gnu
rustlib=$("$RUSTC" --print sysroot)/lib/rustlib

# Whether the compiler has a standard library for the target.
has_std() {
    ls "$rustlib/$1/lib/"libstd-*.rlib >/dev/null 2>&1
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

std=
if ! has_std $big && [ -d "$rustlib/src/rust/library" ]; then
    # Without a standard library for the target one is compiled, which a compiler lets only its own build do, unless told.
    std=-Zbuild-std=std,panic_abort,panic_unwind
    export RUSTC_BOOTSTRAP=1
fi
if ! has_std $big && [ -z "$std" ]; then
    echo "skipped: $RUSTC has no standard library for $big, nor its source"
elif ! command -v qemu-s390x >/dev/null || ! command -v s390x-linux-gnu-gcc >/dev/null; then
    echo "checked only: qemu-s390x or s390x-linux-gnu-gcc is missing"
    cargo check $std --target $big -p phash-code -p phash-index
else
    CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc \
    CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="timeout 900 qemu-s390x -L /usr/s390x-linux-gnu" \
    PROPTEST_CASES="${PROPTEST_CASES:-8}" \
        cargo test --no-fail-fast $std --target $big -p phash-code -p phash-index --tests
fi
