#!/usr/bin/env python3
"""How an informed attacker evades the hash, and what it costs: attacks on trained networks, measured with the real program.

usage: attack.py TRAINED WORK --phashdb FILE [--fashion DIR] [--model FAMILY/seed-N]... [--steps N] [--free-only]

TRAINED is a folder made by ../train/train.py.  Writes the attacked networks, and table.md and rows.jsonl, into WORK.
Distances, E-values and tensors found are those of `phashdb compare`; accuracy is of the networks that were written, on
2,000 test images or 128 windows of text.  --free-only leaves out what moves weights along gradients; transformers have
nothing else.  Seeds are fixed; a second run gives the same up to torch's order of sums.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "train"), str(HERE.parents[1] / "data" / "make")]

import torch

import changes
import harmless
import learn
import nets
import optimise
import stfile
import tasks
import views

LIBRARY, E_MAX, BITS = 10_000_000, 1e-3, 64
ARCHITECTURES = {"cnn-plain": nets.PlainCnn, "cnn-residual": nets.ResidualCnn, "mlp": nets.Mlp,
                 "transformer": nets.Transformer}
SEED = 20_261_121


def compare(phashdb, a, b):
    """What the program says of a pair, at the library's size."""
    command = [phashdb, "compare", "--format", "json", a, b]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    pair = next(record for record in json.loads(done.stdout) if record["type"] == "compare")
    return {"bits": pair["views"], "e_value": pair["e_value"] * LIBRARY, "verdict": pair["verdict"],
            "finding": pair["finding"], "tensors": pair["tensors"]}


def read(file):
    return {name: torch.from_numpy(values.copy()).float() for name, (_, values) in stfile.read(file).items()}


class Victim:
    """A trained network and everything that is done to it."""

    def __init__(self, label, args, task):
        self.label, self.args, self.task = label, args, task
        self.file = Path(args.trained) / f"{label}.safetensors"
        family = label.split("/")[0]
        self.net = ARCHITECTURES[family](task.classes["main"]).eval()
        self.original = read(self.file)
        self.names = [name for name, value in self.original.items() if views.Cut.of(tuple(value.shape))]
        self.accuracy = self.accuracy_of(self.original)
        self.rows = []

    def size(self, state):
        return float(sum(state[name].square().sum() for name in self.names)) ** 0.5

    def generator(self):
        return torch.Generator().manual_seed(SEED)

    def accuracy_of(self, state):
        return learn.accuracy(changes.load(self.net, state), self.task)

    def difference(self, state, start):
        """Of each tensor, relative."""
        return {name: float((state[name] - start[name]).norm() / start[name].norm()) for name in self.names}

    def row(self, attack, state, start=None, **more):
        """Writes a network and measures it.  The change counts from `start`; without one it is not a matter of size."""
        number = len(self.rows) + 1
        file = Path(self.args.work) / self.label.replace("/", "-") / f"{number:02}.safetensors"
        stfile.write(file, {name: value.contiguous().numpy() for name, value in state.items()})
        found = {"model": self.label, "attack": attack, "file": file.name, "accuracy_before": self.accuracy,
                 "accuracy": self.accuracy_of(state), **compare(self.args.phashdb, self.file, file), **more}
        if start is not None:
            change = {name: state[name] - start[name] for name in self.names}
            found["relative_change"] = self.size(change) / self.size(start)
            found["largest_of_a_tensor"] = max(self.difference(state, start).values())
        self.rows.append(found)
        print(json.dumps(found), flush=True)

    def noise_like(self, state, start):
        """Random noise that changes each tensor of `start` by as much as `state` does."""
        generator, like = self.generator(), dict(start)
        for name in self.names:
            noise = torch.randn(start[name].shape, generator=generator)
            like[name] = start[name] + noise * ((state[name] - start[name]).norm() / noise.norm())
        return like

    def white_box(self, attack, start, goal):
        """A white-box attack from `start`, and noise of the same size."""
        state = optimise.smallest_change(start, self.names, goal, self.args.steps)
        if state is None:
            print(f"{self.label}: {attack}: not reached", file=sys.stderr, flush=True)
            return
        self.row(attack, state, start)
        self.row(f"{attack}: noise of that size", self.noise_like(state, start), start)

    def references(self):
        """The program's and torch's codes of the network itself; its twin."""
        sums, _ = views.Hash({n: tuple(v.shape) for n, v in self.original.items()}).sums(self.original)
        command = [self.args.phashdb, "hash", "--format", "json", self.file]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        for view, known in json.loads(done.stdout)[0]["views"].items():
            code = int.from_bytes(bytes.fromhex(known["code"]), "little")
            differ = sum((code >> i & 1) != int(x > 0) for i, x in enumerate(sums[view]))
            assert differ <= 2, f"{self.label}: torch and the program differ by {differ} bits in {view}"
        twins = (file for file in sorted(self.file.parent.glob("seed-?.safetensors")) if file != self.file)
        if twin := next(twins, None):
            self.row("for comparison: an independent twin", read(twin))

    def with_gradients(self):
        """The white-box attacks, from the network itself and from what an attacker gets for nothing."""
        for view in views.VIEWS:
            goal = optimise.Goal(self.original, distances={view: BITS})
            self.white_box(f"white box: {BITS} bits in {view}", self.original, goal)
        goal = optimise.Goal(self.original, joint=E_MAX / LIBRARY)
        self.white_box("white box: all views", self.original, goal)
        for attack in ("permuted", "rescaled", "permuted + rescaled"):
            self.white_box(f"{attack} + white box: all views", self.free[attack], goal)

    def harmless_for_transformers(self):
        net, state = self.net, self.original
        permuted = harmless.permuted(net, state, self.generator())
        self.row("permuted", permuted)
        self.row("bases of the heads turned", harmless.heads_turned(net, state, self.generator()))
        self.row("permuted + bases of the heads turned", harmless.heads_turned(net, permuted, self.generator()))
        self.row("basis of the stream turned", harmless.stream_turned(net, state, self.generator()))

    def harmless(self):
        """What keeps the function, alone, together, and with noise on top."""
        net, state = self.net, self.original

        def permuted(state):
            return harmless.permuted(net, state, self.generator())

        def rescaled(state):
            return harmless.rescaled(net, state, self.generator())

        def flipped(state):
            return harmless.flipped(net, state, self.generator())

        rows = {"permuted": permuted(state), "rescaled": rescaled(state),
                "permuted + rescaled": rescaled(permuted(state))}
        if net.folds:
            rows |= {"signs flipped": flipped(state), "permuted + signs flipped": flipped(permuted(state)),
                     "rescaled + signs flipped": flipped(rescaled(state)),
                     "permuted + rescaled + signs flipped": flipped(rescaled(permuted(state)))}
            for kept in range(len(net.edges())):
                others = [edge for edge in range(len(net.edges())) if edge != kept]
                part = flipped(harmless.permuted(net, state, self.generator(), others))
                rows[f"permuted but edge {kept} + signs flipped"] = part
        for attack, changed in rows.items():
            self.row(attack, changed)
        for attack in ("permuted", "rescaled", "permuted + rescaled"):
            for share in (0.01, 0.02, 0.05, 0.1):
                noisy = harmless.noisy(rows[attack], self.names, share, self.generator())
                self.row(f"{attack} + noise {share:.0%}", noisy, rows[attack])
        tuned = self.file.with_name(f"{self.file.stem}.tuned-0.98.safetensors")
        if tuned.exists():
            self.row("fine-tuned to cosine .98 + permuted + rescaled", rescaled(permuted(read(tuned))))
        self.free = rows


def percent(share):
    return f"{100 * share:.2f} %"


def table(rows):
    """A row for each attacked network; of the tensors that have a code, how many are still recognised as the original's."""
    lines = ["| attack | relative change of weights, L2 (of one tensor at most) | " + " | ".join(views.VIEWS)
             + " | joint E at 10 M | tensors found | accuracy before / after |", "|---|---|" + "---|" * 8]
    for row in rows:
        change = "none that counts" if "relative_change" not in row else \
            f"{percent(row['relative_change'])} ({percent(row['largest_of_a_tensor'])})"
        tally = row["tensors"]
        decidable = sum(tally.values()) - tally["too_small"]
        bits = " | ".join(str(row["bits"][view]) for view in views.VIEWS)
        lines.append(f"| {row['attack']} | {change} | {bits} | {row['e_value']:.0e} | "
                     f"{tally['kept'] + tally['changed']} of {decidable} | "
                     f"{row['accuracy_before']:.4f} / {row['accuracy']:.4f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trained")
    parser.add_argument("work")
    parser.add_argument("--phashdb", required=True)
    parser.add_argument("--fashion", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--model", action="append")
    parser.add_argument("--steps", type=int, default=optimise.STEPS)
    parser.add_argument("--free-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, text = [], ""
    Path(args.work).mkdir(parents=True, exist_ok=True)
    for label in args.model or ["cnn-plain/seed-0"]:
        task = tasks.Text() if label.startswith("transformer/") else tasks.Fashion(args.fashion)
        victim = Victim(label, args, task)
        parts = [victim.references, victim.harmless, victim.with_gradients][: 2 if args.free_only else 3]
        if label.startswith("transformer/"):
            parts = [victim.references, victim.harmless_for_transformers]
        for part in parts:
            part()
            lines = "".join(json.dumps(row) + "\n" for row in rows + victim.rows)
            (Path(args.work) / "rows.jsonl").write_text(lines)
            (Path(args.work) / "table.md").write_text(f"{text}## {label}\n\n{table(victim.rows)}\n")
        rows += victim.rows
        text += f"## {label}\n\n{table(victim.rows)}\n"


if __name__ == "__main__":
    main()
