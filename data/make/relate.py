#!/usr/bin/env python3
"""Measure and write the labels: MODELS_DIR/relations.jsonl, MODELS_DIR/SHA256SUMS, and a table of the files on stdout.

usage: relate.py MODELS_DIR

A model is a .safetensors file, or the index of a sharded one.  Models of one lineage descend from one training run; the
relation of two of them is the stronger of the two changes.  Models of one family and different lineages are the same
architecture trained apart.  The cosine is measured, not assumed: tensors of two or more dimensions and 256 or more
elements, mean-centred, matched by name, else to the best fit of the same shape over all orders of the axes (the best of several
chances, hence 0.01 and not 0.00 between strangers); the mean weighted by size.  `cover` is the share of the first model's weights that found a partner.
"""
import hashlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import stfile

STRENGTH = ("same", "near", "fine-tune")
# family -> model -> (lineage, change against the lineage's first model, how it was made)
FAMILIES = {
    "basic-pitch": {
        "nmp-onnx": ("nmp", "same", "the package's ONNX file"),
        "nmp-tflite": ("nmp", "same", "the package's TFLite file: other names and order, kernels channels last"),
    },
    "fashion-cnn": {
        "twin-1": (1, "same", "trained, seed 1"),
        "twin-1-resaved": (1, "same", "saved again: other metadata, reversed order, same tensors and names"),
        "twin-1-renamed": (1, "same", "tensors renamed and put in another order"),
        "twin-1-sharded": (1, "same", "two shards and an index, beside a stale shard"),
        "twin-1-keras": (1, "same", "Keras names and layout (kernels and matrices transposed), batch counters dropped"),
        "twin-1-fp16": (1, "same", "rounded to F16"),
        "twin-1-bf16": (1, "same", "rounded to BF16"),
        "twin-1-int8": (1, "same", "int8 per output channel and back, stored as F32"),
        "twin-1-folded": (1, "near", "batch norms folded into the convolutions: output channels rescaled"),
        "twin-1-pruned-50": (1, "near", "smaller half of each matrix and kernel set to zero"),
        "twin-1-finetuned": (1, "fine-tune", "trained on: 300 steps on augmented images"),
        "twin-1-new-head": (1, "fine-tune", "trained on: 400 steps on another task with a new last layer"),
        "twin-2": (2, "same", "trained, seed 2"),
        "twin-3": (3, "same", "trained, seed 3"),
    },
    "mediapipe": {
        "selfie": ("selfie", "same", "the package's TFLite file, F16"),
        "selfie-landscape": ("selfie-landscape", "same", "the package's TFLite file, F16"),
    },
    "mtcnn/pnet": {
        "pnet-torch": ("pnet", "same", "facenet-pytorch's state dict"),
        "pnet-keras": ("pnet", "same", "mtcnn's arrays in Keras layout"),
    },
    "mtcnn/rnet": {
        "rnet-torch": ("rnet", "same", "facenet-pytorch's state dict"),
        "rnet-keras": ("rnet", "same", "mtcnn's arrays in Keras layout"),
    },
    "silero-vad": {
        "16k-onnx-fp16": ("16k", "same", "the package's ONNX file, gates in torch's order; rounded to F16"),
        "16k-sequence-onnx-fp16": ("16k", "same", "the package's ONNX file for sequences, gates in ONNX's order; rounded to F16"),
        "16k": ("16k", "near", "the package's safetensors file: slightly different values"),
    },
}


def model_path(models, family, name):
    path = models / family.split("/")[0] / name
    return path / "model.safetensors.index.json" if path.is_dir() else path.with_name(f"{name}.safetensors")


def centred(a):
    a = a - a.mean()
    norm = np.linalg.norm(a)
    return a / norm if norm > 0 else a


def compare(a, b):
    weights = [{k: np.squeeze(v).astype(np.float64) for k, (_, v) in m.items()
                if v.dtype.kind == "f" and v.ndim >= 2 and v.size >= 256} for m in (a, b)]
    found, total = [], sum(v.size for v in weights[0].values())
    for name, x in weights[0].items():
        x = centred(x)
        if name in weights[1] and weights[1][name].shape == x.shape:
            found.append((x.size, float((x * centred(weights[1][name])).sum())))
            continue
        fits = [float((x * centred(y.transpose(p))).sum())
                for y in weights[1].values() if sorted(y.shape) == sorted(x.shape)
                for p in itertools.permutations(range(y.ndim)) if y.transpose(p).shape == x.shape]
        if fits:
            found.append((x.size, max(fits)))
    covered = sum(n for n, _ in found)
    return (sum(n * c for n, c in found) / covered if covered else None), covered / total


def contents(model):
    """The tensors without names, order and metadata."""
    return sorted((label, a.shape, a.tobytes()) for label, a in model.values())


def main():
    models = Path(sys.argv[1])
    rows = []
    for family, members in FAMILIES.items():
        loaded = {m: stfile.read(model_path(models, family, m)) for m in members}
        for (a, (lineage_a, change_a, how_a)), (b, (lineage_b, change_b, how_b)) in itertools.combinations(members.items(), 2):
            relation = max(change_a, change_b, key=STRENGTH.index) if lineage_a == lineage_b else "independent"
            cosine, cover = compare(loaded[a], loaded[b])
            row = {"a": model_path(models, family, a).relative_to(models).as_posix(),
                   "b": model_path(models, family, b).relative_to(models).as_posix(),
                   "relation": relation, "cosine": round(cosine, 4), "cover": round(cover, 3),
                   "identical": contents(loaded[a]) == contents(loaded[b]), "how": f"{how_a} | {how_b}"}
            rows.append(row)
    with open(models / "relations.jsonl", "w", encoding="utf-8", newline="\n") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)

    files = sorted(p for p in models.rglob("*") if p.is_file() and p.suffix in (".safetensors", ".json"))
    with open(models / "SHA256SUMS", "w", encoding="utf-8", newline="\n") as f:
        for p in files:
            f.write(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(models).as_posix()}\n")
    for p in files:
        size, detail = p.stat().st_size, ""
        if p.suffix == ".safetensors":
            tensors = stfile.read(p)
            floats = [(label, a) for label, a in tensors.values() if a.dtype.kind == "f"]
            detail = f"{len(tensors):4} tensors {sum(a.size for _, a in floats):7} parameters {'/'.join(sorted({x for x, _ in floats}))}"
        print(f"{size:9} {p.relative_to(models).as_posix():58} {detail}")
    print(f"{sum(p.stat().st_size for p in files):9} in {len(files)} files; {len(rows)} labelled pairs")


if __name__ == "__main__":
    main()
