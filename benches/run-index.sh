#!/usr/bin/env bash
# Prints every table of docs/benchmarks.md, section 3, to target/bench-index/*.md (and *.jsonl). Takes one to two hours on a
# quiet machine; nothing else should run. Needs python3 for the rivals from PyPI; without it they are left out.
#   benches/run-index.sh [DIR]     DIR: a folder of safetensors files, for real codes (data/models by default)
# IMAGES=DIR adds the perceptual hashes of a folder of images (installs imagehash beside the rivals).
# SIZE=1000000 SWEEP=10000 make it small.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
out=$target/bench-index
models=${1:-data/models}
size=${SIZE:-10000000}
sweep=${SWEEP:-1000,10000,100000,1000000}
mkdir -p "$out"

bench() { # NAME BENCH OPTION...
    printf '\n== %s\n' "$1"
    cargo bench -q -p phash-bench --bench "$2" -- "${@:3}" --markdown "$out/$1.md" --jsonl "$out/$1.jsonl"
}

cargo build -q --release -p phashdb
find "$models" -name '*.safetensors' -print0 | sort -z |
    xargs -0 "$target/release/phashdb" hash --tensors --format jsonl > "$out/real-codes.jsonl" || true

for bits in 64 128 256 512; do
    for kind in uniform skewed; do
        bench "$kind-$bits" index --n "$size" --kind "$kind" --bits "$bits"
    done
done
if [ "$size" -gt 1000000 ]; then
    bench small index --n 1000000
fi
bench real index --real "$out/real-codes.jsonl"
if [ -n "${IMAGES:-}" ]; then
    python=$target/tmp/bench-index/venv/bin/python
    "$python" -m pip install --quiet --only-binary :all: imagehash==4.3.2 pillow
    for bits in 64 256; do
        "$python" benches/rivals/image_hashes.py "$IMAGES" "$bits" > "$out/image-codes-$bits.txt"
        bench "images-$bits" index --real "$out/image-codes-$bits.txt" --bits "$bits"
    done
fi
if [ "$size" -ge 10000000 ]; then
    bench large-64 index --n 50000000 --kind uniform --bits 64 --pages usual --batch 0
    bench large-256 index --n 50000000 --kind uniform --bits 256 --pages usual --only fast,compact,faiss\ flat --batch 100 --no-open
fi
bench sweep sweep --n "$sweep"
if [ "$size" -ge 10000000 ]; then
    bench sweep-large sweep --n 10000000 --kind uniform,skewed,clusters --queries 4
fi

# The rows with goals of all runs, in one table.
awk '/^### /{on = ($2 == "Goals")} on && /^\|/ && !($0 ~ /^\| codes/ && seen++) && !($0 ~ /^\|-/ && ruled++)' \
    "$out"/{uniform,skewed}-*.md "$out"/large-*.md "$out"/small.md "$out"/real.md "$out"/images-*.md 2> /dev/null > "$out/goals.md" || true
printf '\ntables: %s\n' "$out"
