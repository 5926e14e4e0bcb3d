"""What the networks learn: Fashion-MNIST, and the next character of source text.  Each task has two halves of its
training data (parents see the first, what is trained on from them the second), test data, and two other targets.
"""
import gzip
import sysconfig
from pathlib import Path

import numpy as np
import torch

import nets


def read_idx(path):
    raw = gzip.open(path).read()
    shape = np.frombuffer(raw, ">u4", raw[3], 4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


class Fashion:
    """Images of garments.  Targets: `main` 10 garments; `turned` which of four ways the image is turned; `coarse` the
    garments in 5 pairs.  `folder` holds the four gzipped IDX files."""

    classes = {"main": 10, "turned": 4, "coarse": 5}
    transfer, swap = "turned", "coarse"
    batch = 64

    def __init__(self, folder):
        def load(split):
            images = read_idx(Path(folder) / f"{split}-images-idx3-ubyte.gz").astype(np.float32)
            labels = read_idx(Path(folder) / f"{split}-labels-idx1-ubyte.gz").astype(np.int64)
            return (torch.from_numpy(images)[:, None] / 255 - 0.286) / 0.353, torch.from_numpy(labels)

        (images, labels), test = load("train"), load("t10k")
        half = len(images) // 2
        self.halves = (images[:half], labels[:half]), (images[half:], labels[half:])
        self.test = test[0][:2000], test[1][:2000]

    def sample(self, half, target, generator):
        images, labels = self.halves[half]
        chosen = torch.randint(len(images), (self.batch,), generator=generator)
        return self.targets(images[chosen], labels[chosen], target, generator)

    def test_batches(self, target):
        generator = torch.Generator().manual_seed(0)
        return [self.targets(*self.test, target, generator)]

    @staticmethod
    def targets(images, labels, target, generator):
        if target == "turned":
            turns = torch.randint(4, labels.shape, generator=generator)
            images = torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(images, turns)])
            return images, turns
        return images, labels // 2 if target == "coarse" else labels


class Text:
    """The sources of Python's standard library as characters: printable ASCII, and one symbol for all else.  Targets:
    `main` the next character; `kind` whether it is a letter, a digit, a space, punctuation or the other symbol."""

    classes = {"main": nets.SYMBOLS, "kind": 5}
    transfer = swap = "kind"
    batch = 16

    def __init__(self):
        folder = Path(sysconfig.get_paths()["stdlib"])
        raw = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))[: 4 << 20]
        codes = torch.tensor(list(raw), dtype=torch.long)
        text = torch.where((codes >= 32) & (codes < 127), codes - 32, torch.where(codes == 10, 95, 96))
        tenth = len(text) // 10
        self.halves = text[: 4 * tenth], text[4 * tenth: 9 * tenth]
        self.test = text[9 * tenth:]
        self.kinds = torch.tensor([0 if chr(c + 32).isalpha() else 1 if chr(c + 32).isdigit() else 3
                                   for c in range(95)] + [2, 4])
        self.kinds[0] = 2

    def cut(self, text, starts, target):
        rows = torch.stack([text[s: s + nets.CONTEXT + 1] for s in starts])
        following = rows[:, 1:].flatten()
        return rows[:, :-1], self.kinds[following] if target == "kind" else following

    def sample(self, half, target, generator):
        text = self.halves[half]
        starts = torch.randint(len(text) - nets.CONTEXT - 1, (self.batch,), generator=generator)
        return self.cut(text, starts.tolist(), target)

    def test_batches(self, target):
        step = (len(self.test) - nets.CONTEXT - 1) // 128
        return [self.cut(self.test, range(0, 128 * step, step), target)]
