#!/usr/bin/env python3
"""Three views that the hash does not have, and what they would see of the networks that `attack.py` has made.

usage: defences.py TRAINED WORK

`keyed`: view `weights` with the channels in an order that only the owner of the library knows.  `gauged order`: view
`order` with the signs of rows and columns taken from the matrix itself, so that turned signs do not count; `gauged orbit`:
the same of the equilibrated matrix, channels by the ranks of their tails.  Prints, for each attacked network, the bits of
512 that differ from the original (of three keys the most), and the least for twins.
"""
import itertools
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "train"), str(HERE.parents[1] / "data" / "make")]

import torch

import stfile
import views

KEYS = (1, 2, 3)


def read(file):
    return {name: torch.from_numpy(values.copy()).float() for name, (_, values) in stfile.read(file).items()}


def gauged(cut, values, equilibrated):
    """Lists (key, features) of a tensor.  Signs are those of the first singular vectors of the sum over the kernel; what
    these two explain of each field is taken out first, because it would be positive in every network."""
    if not cut.whole:
        return []
    planes = cut.planes(values, 1 << 30)
    squares, fourths = planes.square().mean(0), planes.pow(4).mean(0)
    u, v = views.equilibrate(squares)
    plain = views.normalised(planes)
    even = views.normalised(plain * u.sqrt()[:, None] * v.sqrt()[None])
    cubes = (even.clamp(-3, 3) ** 3 - 3 * even.clamp(-3, 3)).sum(0) / (6 * cut.positions) ** 0.5
    if equilibrated:
        planes, size = even, 0
        coordinates = views.by_rank(fourths @ v.square() * u.square()), views.by_rank(u.square() @ fourths * v.square())
    else:
        planes, size = plain, views.octaves(cut)[0][0]
        coordinates = views.by_energy(squares.sum(1)), views.by_energy(squares.sum(0))
    left, _, right = torch.linalg.svd(planes.sum(0))
    down, across = left[:, 0], right[0]
    fields = torch.cat([views.gathered(planes, cut.orbits), cubes[None]])
    explained = torch.stack([down @ field @ across for field in fields])
    fields = fields - explained[:, None, None] * torch.outer(down, across)
    fields = views.normalised(fields * torch.outer(down.sign(), across.sign()))
    sums = views.over(fields, *(views.waves(c, 8) for c in coordinates))
    features = views.rounded(sums.reshape(-1))
    if cut.square:
        features = features + views.rounded(sums.transpose(1, 2).reshape(-1))
    sizes = (cut.row_len, cut.column_len) if equilibrated else (0, size)
    return [((7, len(fields), *sizes), features)]


def gauged_code(state, equilibrated):
    total = torch.zeros(views.BITS)
    for name, value in state.items():
        if cut := views.Cut.of(tuple(value.shape)):
            for key, features in gauged(cut, value, equilibrated):
                total = total + views.signs(key, len(features)).T @ features
    return total > 0


def keyed_code(state, key):
    plain = views.by_index

    def secret(count):
        return plain(count)[torch.randperm(count, generator=torch.Generator().manual_seed(1000 * key + count))]

    views.by_index = secret
    try:
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        return views.Hash(shapes).sums(state, ("weights",))[0]["weights"] > 0
    finally:
        views.by_index = plain


def codes(file):
    """Gauged order, gauged orbit, and one for each key."""
    state = read(file)
    return [gauged_code(state, False), gauged_code(state, True), *(keyed_code(state, key) for key in KEYS)]


def distances(a, b):
    return [int((x != y).sum()) for x, y in zip(a, b)]


def line(label, attack, found, of_keys):
    order, orbit, *keyed = found
    return f"| {label} | {attack} | {of_keys(keyed)} | {order} | {orbit} |"


def main():
    trained, work = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in (work / "rows.jsonl").read_text().splitlines()]
    print("| network | attack | keyed | gauged order | gauged orbit |\n|---|---|---|---|---|")
    for label, attacks in itertools.groupby(rows, lambda row: row["model"]):
        original = codes(trained / f"{label}.safetensors")
        twins = [codes(file) for file in sorted((trained / label).parent.glob("seed-?.safetensors"))]
        pairs = [distances(a, b) for a, b in itertools.combinations(twins, 2)]
        if pairs:
            least = [min(of_view) for of_view in zip(*pairs)]
            print(line(label, f"the closest of {len(pairs)} pairs of twins", least, min))
        for tuned in sorted((trained / label).parent.glob(f"{Path(label).name}.tuned-0.*.safetensors"), reverse=True):
            print(line(label, f"fine-tune, {tuned.stem.split('.', 1)[1]}", distances(original, codes(tuned)), max))
        for row in attacks:
            found = distances(original, codes(work / label.replace("/", "-") / row["file"]))
            print(line(label, row["attack"], found, max), flush=True)


if __name__ == "__main__":
    main()
