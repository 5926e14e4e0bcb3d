#!/usr/bin/env python3
"""Train families of small networks and everything that happens to networks after their release, as a zoo to measure on.

usage: train.py OUT [--fashion DIR] [--family NAME]... [--quick]

Writes OUT/FAMILY/*.safetensors, OUT/models.jsonl and OUT/pairs.jsonl in the format of the bench `zoo`.  DIR holds
Fashion-MNIST (Debian: dataset-fashion-mnist); torch and numpy are Debian's python3-torch, libopenblas0-pthread and
python3-numpy.  Seeds are fixed; torch's sums differ between versions and machines, so that a second run gives networks
as good, not the same bits.  About 20 minutes of CPU time; two families at a time, one thread each.
"""
import argparse
import itertools
import json
import multiprocessing
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "data" / "make"))
import stfile

import changes
import learn
import nets
import tasks

# Architecture, task, twins, steps of a parent, and how its rates for tuning compare with a CNN's. In the order of their
# names, families take turns: tune, test, ...
FAMILIES = {
    "transformer": (nets.Transformer, "text", 3, 900, 1.3),
    "cnn-residual": (nets.ResidualCnn, "fashion", 4, 500, 1.0),
    "mlp": (nets.Mlp, "fashion", 8, 1500, 1.0),
    "cnn-plain": (nets.PlainCnn, "fashion", 4, 700, 1.0),
}
# Fine-tunes: the rate, and the cosines at which a copy is put aside, if it gets there in TUNING_STEPS. The copy settles
# at a tenth of the rate, which moves its cosine a little.
TUNED = ((1e-3, (0.98,)), (4e-3, (0.93, 0.85)), (1.2e-2, (0.75, 0.65)), (4e-2, (0.55, 0.45)))
TUNING_STEPS, SETTLING_STEPS = 300, 40
MODIFIED_TWINS = 2


class Family:
    """One family on its way: its files, what is known of them, and the pairs."""

    def __init__(self, name, out, fashion, quick):
        self.name, self.out, self.quick = name, Path(out), quick
        self.make, task, self.twins, self.steps, self.rate = FAMILIES[name]
        self.task = tasks.Text() if task == "text" else tasks.Fashion(fashion)
        self.half = ("tune", "test")[sorted(FAMILIES).index(name) % 2]
        self.models, self.pairs, self.derived = [], [], []

    def few(self, steps):
        return max(2, steps // 20) if self.quick else steps

    def save(self, label, state, relation, accuracy, target="main", half_precision=False):
        file = f"{self.name}/{label}.safetensors"
        kept = {name: value for name, value in state.items() if value.is_floating_point()}
        arrays = {name: (value.half() if half_precision else value).detach().contiguous().numpy()
                  for name, value in kept.items()}
        stfile.write(self.out / file, arrays)
        self.models.append({"file": file, "family": self.name, "half": self.half, "relation": relation,
                            "accuracy": accuracy, "target": target})
        print(f"{file}: {accuracy}", flush=True)
        return file

    def pair(self, a, b, relation, cosine=None):
        self.pairs.append({"a": a, "b": b, "relation": relation} | ({} if cosine is None else {"cosine": cosine}))

    def child(self, parent, label, net, relation, target="main", cosine=None, **options):
        """Saves a network made from a parent, with the pair of both."""
        net_parent, file, seed = parent
        if cosine is None:
            cosine = changes.cosine(net_parent, net)
        accuracy = learn.accuracy(net, self.task, target)
        child = self.save(f"seed-{seed}.{label}", net.state_dict(), relation, accuracy, target, **options)
        self.pair(file, child, relation, cosine)
        if relation != "distilled":
            self.derived.append((seed, child))
        return child

    def run(self):
        parents = []
        for seed in range(self.twins):
            torch.manual_seed(seed)
            net = self.make(self.task.classes["main"])
            learn.train(net, self.task, seed, self.few(self.steps), 2e-3)
            accuracy = learn.accuracy(net, self.task)
            parents.append((net, self.save(f"seed-{seed}", net.state_dict(), "parent", accuracy), seed))
        for (_, a, _), (_, b, _) in itertools.combinations(parents, 2):
            self.pair(a, b, "independent")
        for parent in parents[:MODIFIED_TWINS]:
            self.untrained(parent)
            self.tuned(parent)
            self.other_targets(parent)
            self.pruned(parent)
            self.permuted_and_distilled(parent)
        # What descends from one twin has nothing to do with what descends from another.
        everything = [(seed, file, True) for _, file, seed in parents]
        everything += [(seed, file, False) for seed, file in self.derived]
        for (seed, a, a_is_parent), (other, b, b_is_parent) in itertools.combinations(everything, 2):
            if seed != other and not (a_is_parent and b_is_parent):
                self.pair(a, b, "independent, derived")
        return self.models, self.pairs

    def untrained(self, parent):
        net, file, seed = parent
        self.child(parent, "fp16", net, "fp16", half_precision=True)
        self.child(parent, "int8", changes.int8(net), "int8")
        folded = changes.folded(net)
        if folded:
            same = changes.unfolded(net, folded)
            self.check_same(net, same)
            child = self.save(f"seed-{seed}.folded", folded, "bn-folded", learn.accuracy(same, self.task))
            self.pair(file, child, "bn-folded")
            self.derived.append((seed, child))

    def check_same(self, a, b):
        a, b = learn.answers(a, self.task), learn.answers(b, self.task)
        worst = float((a - b).abs().max() / a.abs().max())
        assert worst < 1e-3, f"the function changed by {worst}"

    def tune(self, start, seed, rate, cosines, half=1):
        """Copies of `start` put aside when training has brought the cosine under each of `cosines`, with their cosines
        and steps after they have settled."""
        net, left, aside, rate = changes.load(start, start.state_dict()), list(cosines), [], rate * self.rate

        def after(step):
            if step % 4 == 3 or self.quick:
                now = changes.cosine(start, net)
                if now <= left[0] + 0.002:
                    aside.append((left[0], changes.load(net, net.state_dict()), step + 1 + SETTLING_STEPS))
                while left and now <= left[0] + 0.002:
                    left.pop(0)
            return not left

        learn.train(net, self.task, seed, self.few(TUNING_STEPS), rate, half, after=after)
        for _, copy, _ in aside:
            learn.train(copy, self.task, seed + 1000, self.few(SETTLING_STEPS), rate / 10, half)
        return [(goal, copy, changes.cosine(start, copy), steps) for goal, copy, steps in aside]

    def tuned(self, parent):
        net, file, seed = parent
        siblings = []
        for rate, cosines in TUNED:
            for goal, tuned, cosine, steps in self.tune(net, seed + 10, rate, cosines):
                child = self.child(parent, f"tuned-{goal}", tuned, "fine-tune", cosine=cosine)
                self.models[-1]["steps"] = steps
                if goal == 0.93:
                    siblings.append((tuned, child))
        for _, tuned, cosine, _ in self.tune(net, seed + 20, 4e-3, (0.93,), half=0):
            siblings.append((tuned, self.child(parent, "tuned-again", tuned, "fine-tune", cosine=cosine)))
        if len(siblings) < 2:
            return
        (first, first_file), (second, second_file) = siblings
        self.pair(first_file, second_file, "fine-tune", changes.cosine(first, second))
        merge = changes.mean(first, second)
        child = self.child(parent, "merged", merge, "merge-of-tunes")
        self.pair(first_file, child, "merge-of-tunes", changes.cosine(first, merge))
        self.pair(second_file, child, "merge-of-tunes", changes.cosine(second, merge))

    def other_targets(self, parent):
        net, _, seed = parent
        for relation, target, frozen in (("new-head", self.task.transfer, False), ("head-swapped", self.task.swap, True)):
            torch.manual_seed(seed + 30)
            other = changes.load(net, net.state_dict())
            other.head = torch.nn.Linear(net.head.in_features, self.task.classes[target])
            only = list(other.head.parameters()) if frozen else None
            learn.train(other, self.task, seed + 30, self.few(250), 1e-3, 1, target, only)
            self.child(parent, relation, other, relation, target)

    def pruned(self, parent):
        net, _, seed = parent
        for percent in (50, 70, 90):
            other, masks = changes.load(net, net.state_dict()), changes.masks(net, percent)
            learn.train(other, self.task, seed + 40, self.few(200), 1e-3, masks=masks)
            self.child(parent, f"pruned-{percent}", other, f"pruned+retrained, {percent} %")
        for percent in (10, 25):
            other = changes.narrowed(net, percent)
            learn.train(other, self.task, seed + 50, self.few(200), 1e-3)
            self.child(parent, f"narrowed-{percent}", other, f"structured-pruned+retrained, {percent} %")

    def permuted_and_distilled(self, parent):
        net, _, seed = parent
        permuted = changes.permuted(net, torch.Generator().manual_seed(seed + 60))
        self.check_same(net, permuted)
        self.child(parent, "permuted", permuted, "permuted")
        for rate, goal in ((1e-3, 0.98), (4e-3, 0.9)):
            for _, tuned, cosine, _ in self.tune(permuted, seed + 60, rate, (goal,)):
                self.child(parent, f"permuted-tuned-{goal}", tuned, f"permuted+tuned, cosine {goal}", cosine=cosine)
        torch.manual_seed(seed + 70)
        student = self.make(self.task.classes["main"])
        learn.train(student, self.task, seed + 70, self.few(self.steps), 2e-3, teacher=net)
        self.child(parent, "distilled", student, "distilled")


def run(arguments):
    torch.set_num_threads(1)
    start, family = time.time(), Family(*arguments)
    models, pairs = family.run()
    print(f"{family.name}: {len(models)} models, {time.time() - start:.0f} s", flush=True)
    return models, pairs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--fashion", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES))
    parser.add_argument("--quick", action="store_true", help="a twentieth of the steps: shows that the script runs")
    args = parser.parse_args()
    jobs = [(name, args.out, args.fashion, args.quick) for name in args.family or FAMILIES]
    known = {"models": [], "pairs": []}
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for done in pool.imap_unordered(run, jobs):
            for (kind, lines), new in zip(known.items(), done):
                lines += new
                text = "".join(json.dumps(line) + "\n" for line in lines)
                (Path(args.out) / f"{kind}.jsonl").write_text(text)


if __name__ == "__main__":
    main()
