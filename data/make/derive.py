#!/usr/bin/env python3
"""Make the derivatives in MODELS_DIR out of the originals and the trained networks.  Same input, same bytes.

usage: derive.py MODELS_DIR [--originals DIR] [--trained DIR]

--originals  DIR of fetch.sh (safetensors of the public packages), copied in first
--trained    DIR of train.py (NPZ), saved as safetensors first
Without either, the derivatives are made again from the originals and trained networks that are in MODELS_DIR already.
"""
import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import stfile

COPIED = (
    "basic-pitch/nmp-onnx", "basic-pitch/nmp-tflite",
    "mediapipe/face-short-range", "mediapipe/selfie", "mediapipe/selfie-landscape",
    "mtcnn/pnet-keras", "mtcnn/pnet-torch", "mtcnn/rnet-keras", "mtcnn/rnet-torch",
    "silero-vad/16k",
)
HALVED = ("silero-vad/16k-onnx", "silero-vad/16k-sequence-onnx")  # F32 in the package, kept as F16 for size
TRAINED = ("twin-1", "twin-2", "twin-3", "twin-1-finetuned", "twin-1-new-head")
BATCH_NORM_EPSILON = 1e-5


def load(path):
    return {name: a for name, (_, a) in stfile.read(path).items()}


def map_floats(tensors, change):
    return {k: change(v) if v.dtype.kind == "f" else v for k, v in tensors.items()}


def to_fp16(tensors):
    """F16, nearest even; integers stay."""
    return map_floats(tensors, lambda a: a.astype(np.float16))


def to_bf16(tensors):
    """BF16, nearest even; integers stay."""
    return map_floats(tensors, stfile.to_bf16)


def int8_round_trip(tensors):
    """Matrices and kernels to int8, symmetric, one scale per output channel, and back to F32; vectors stay."""

    def change(a):
        if a.ndim < 2:
            return a
        scale = np.abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True) / np.float32(127)
        scale = np.where(scale == 0, np.float32(1), scale)
        q = np.clip(np.rint(a / scale), -127, 127).astype(np.int8)
        return q.astype(np.float32) * scale

    return map_floats(tensors, change)


def prune_half(tensors):
    """The smaller half of each matrix or kernel by magnitude set to zero; vectors stay."""

    def change(a):
        if a.ndim < 2:
            return a
        order = np.argsort(np.abs(a).ravel(), kind="stable")
        pruned = a.ravel().copy()
        pruned[order[:a.size // 2]] = 0
        return pruned.reshape(a.shape)

    return map_floats(tensors, change)


def rename_and_shuffle(tensors):
    """The same arrays under meaningless names, laid out in an order that has nothing to do with the old one."""
    order = sorted(tensors, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {f"p{i:03}": tensors[name] for i, name in enumerate(order)}


def to_keras(tensors):
    """Keras' names and layout: kernels height, width, in, out; matrices in, out; no batch counters."""
    leaf = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    out = {}
    for name, a in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        layer = "fashion_cnn/" + layer.replace(".", "_")
        if a.ndim == 4:
            out[f"{layer}/kernel"] = np.ascontiguousarray(a.transpose(2, 3, 1, 0))
        elif a.ndim == 2:
            out[f"{layer}/kernel"] = np.ascontiguousarray(a.T)
        elif layer.endswith("norm"):
            out[f"{layer}/{leaf.get(kind, {'weight': 'gamma', 'bias': 'beta'}.get(kind))}"] = a
        else:
            out[f"{layer}/{kind}"] = a
    return dict(sorted(out.items()))


def fold_batch_norm(tensors):
    """What inference exporters do: each batch norm becomes a factor on its convolution's output channels and a bias."""
    out = {}
    for name, a in tensors.items():
        layer = name.rpartition(".")[0]
        norm = layer + "_norm"
        if layer.endswith("_norm"):
            continue
        if f"{norm}.weight" not in tensors:
            out[name] = a
            continue
        gamma, beta, mean, var = (tensors[f"{norm}.{k}"].astype(np.float64)
                                  for k in ("weight", "bias", "running_mean", "running_var"))
        factor = gamma / np.sqrt(var + BATCH_NORM_EPSILON)
        out[name] = (a * factor.reshape(-1, 1, 1, 1)).astype(np.float32)
        out[f"{layer}.bias"] = (beta - mean * factor).astype(np.float32)
    return out


def write_sharded(folder, tensors, stale):
    """Two shards by an index, and a third file left over from another training run that the index does not name."""
    names = sorted(tensors)
    total, running, first = sum(a.nbytes for a in tensors.values()), 0, []
    for name in names:
        if running >= total / 2:
            break
        first.append(name)
        running += tensors[name].nbytes
    parts = {"model-00001-of-00002.safetensors": first, "model-00002-of-00002.safetensors": names[len(first):]}
    for shard, members in parts.items():
        stfile.write(folder / shard, {n: tensors[n] for n in members}, {"format": "pt"})
    index = {"metadata": {"total_size": total}, "weight_map": {n: s for s, members in parts.items() for n in members}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    # Its names clash with the first shard's on purpose: a reader that globs instead of following the index is found out.
    stale_names = [n for n in first if stale[n].ndim >= 2][:4]
    stfile.write(folder / "model-00001-of-00003.safetensors", {n: stale[n] for n in stale_names}, {"format": "pt"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("--originals", type=Path)
    parser.add_argument("--trained", type=Path)
    args = parser.parse_args()
    fashion = args.models / "fashion-cnn"

    if args.originals:
        for name in COPIED:
            target = args.models / f"{name}.safetensors"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(args.originals / f"{name}.safetensors", target)
        for name in HALVED:
            stfile.write(args.models / f"{name}-fp16.safetensors", to_fp16(load(args.originals / f"{name}.safetensors")))
    if args.trained:
        for name in TRAINED:
            with np.load(args.trained / f"{name}.npz") as state:
                stfile.write(fashion / f"{name}.safetensors", dict(state), {"format": "pt"})

    parent = load(fashion / "twin-1.safetensors")
    derived = {
        "fp16": to_fp16(parent),
        "bf16": to_bf16(parent),
        "int8": int8_round_trip(parent),
        "pruned-50": prune_half(parent),
        "renamed": rename_and_shuffle(parent),
        "keras": to_keras(parent),
        "folded": fold_batch_norm(parent),
    }
    for change, tensors in derived.items():
        stfile.write(fashion / f"twin-1-{change}.safetensors", tensors, {"format": "pt"})
    stfile.write(fashion / "twin-1-resaved.safetensors", dict(sorted(parent.items(), reverse=True)),
                 {"format": "np", "title": "A second save of the same tensors", "epoch": "3"})
    write_sharded(fashion / "twin-1-sharded", parent, load(fashion / "twin-2.safetensors"))



if __name__ == "__main__":
    main()
