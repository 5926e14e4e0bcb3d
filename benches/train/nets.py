"""The four architectures, and for each the edges along which its channels may be reordered or removed.

An edge names every tensor axis that holds the same channels, so that one reordering of all of them keeps the function.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Edge:
    """Axes (tensor name, axis) that share `count` channels of `unit` neighbours each; with `blocks` > 1 the channels
    may only move inside each of so many equal blocks.  `removable`: a quarter of them can go."""

    def __init__(self, members, count, unit=1, blocks=1, removable=True):
        self.members, self.count, self.unit, self.blocks, self.removable = members, count, unit, blocks, removable

    def order(self, generator):
        """A random order of the indices along the axes."""
        size = self.count // self.blocks
        order = torch.cat([block * size + torch.randperm(size, generator=generator) for block in range(self.blocks)])
        return (order[:, None] * self.unit + torch.arange(self.unit)).flatten()


def norm(name):
    return [(f"{name}.{part}", 0) for part in ("weight", "bias", "running_mean", "running_var")]


class Mlp(nn.Module):
    """784-256-256-classes."""

    def __init__(self, classes):
        super().__init__()
        self.fc1, self.fc2, self.head = nn.Linear(784, 256), nn.Linear(256, 256), nn.Linear(256, classes)

    def forward(self, x):
        return self.head(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))

    def edges(self):
        return [Edge([("fc1.weight", 0), ("fc1.bias", 0), ("fc2.weight", 1)], 256),
                Edge([("fc2.weight", 0), ("fc2.bias", 0), ("head.weight", 1)], 256)]

    folds = ()


class PlainCnn(nn.Module):
    """Four convolutions in a row, each with batch norm: 32, 64, 128, 128 channels."""

    def __init__(self, classes):
        super().__init__()
        widths, strides, kernels = (1, 32, 64, 128, 128), (2, 2, 1, 2), (5, 3, 3, 3)
        for i in range(4):
            setattr(self, f"conv{i}", nn.Conv2d(widths[i], widths[i + 1], kernels[i], strides[i], kernels[i] // 2,
                                                bias=False))
            setattr(self, f"norm{i}", nn.BatchNorm2d(widths[i + 1]))
        self.head = nn.Linear(128, classes)

    def forward(self, x):
        for i in range(4):
            x = F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x)))
        return self.head(x.mean((2, 3)))

    def edges(self):
        inputs = ("conv1.weight", "conv2.weight", "conv3.weight", "head.weight")
        return [Edge([(f"conv{i}.weight", 0), *norm(f"norm{i}"), (inputs[i], 1)], (32, 64, 128, 128)[i])
                for i in range(4)]

    folds = tuple((f"conv{i}", f"norm{i}") for i in range(4))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class ResidualCnn(nn.Module):
    """A stem, one residual block of 32 channels, two of 64."""

    def __init__(self, classes):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(1, 32, 5, 2, 2, bias=False), nn.BatchNorm2d(32)
        self.block0 = Block(32)
        self.down, self.down_norm = nn.Conv2d(32, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)
        self.block1, self.block2 = Block(64), Block(64)
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        x = self.block0(F.relu(self.stem_norm(self.stem(x))))
        x = self.block2(self.block1(F.relu(self.down_norm(self.down(x)))))
        return self.head(x.mean((2, 3)))

    def edges(self):
        def stream(first, blocks, next_layer, count):
            members = [(f"{first}.weight", 0), *norm(f"{first}_norm"), (f"{next_layer}.weight", 1)]
            for block in blocks:
                members += [(f"{block}.conv1.weight", 1), (f"{block}.conv2.weight", 0), *norm(f"{block}.norm2")]
            return Edge(members, count)

        def inner(block, count):
            return Edge([(f"{block}.conv1.weight", 0), *norm(f"{block}.norm1"), (f"{block}.conv2.weight", 1)], count)

        return [stream("stem", ["block0"], "down", 32), stream("down", ["block1", "block2"], "head", 64),
                inner("block0", 32), inner("block1", 64), inner("block2", 64)]

    folds = (("stem", "stem_norm"), ("down", "down_norm"),
             *((f"block{i}.conv{j}", f"block{i}.norm{j}") for i in range(3) for j in (1, 2)))


WIDTH, HEAD_WIDTH, LAYERS, HIDDEN, CONTEXT, SYMBOLS = 128, 32, 2, 512, 64, 97


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        for name in "qkvo":
            setattr(self, name, nn.Linear(WIDTH, WIDTH))
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        n, t, _ = x.shape
        y = self.norm1(x)
        q, k, v = (layer(y).view(n, t, -1, HEAD_WIDTH).transpose(1, 2) for layer in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3) / HEAD_WIDTH ** 0.5
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        x = x + self.o((scores.softmax(3) @ v).transpose(1, 2).reshape(n, t, -1))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """A language model over characters: two layers of width 128 in four heads, norm first."""

    def __init__(self, classes):
        super().__init__()
        self.symbols, self.places = nn.Embedding(SYMBOLS, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)
        for table in (self.symbols, self.places):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, x):
        x = self.symbols(x) + self.places.weight[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)).flatten(0, 1)

    def edges(self):
        stream = [("symbols.weight", 1), ("places.weight", 1), ("head.weight", 1), ("norm.weight", 0), ("norm.bias", 0)]
        edges, heads = [], WIDTH // HEAD_WIDTH
        for at in (f"layers.{i}" for i in range(LAYERS)):
            stream += [(f"{at}.{norm}.{part}", 0) for norm in ("norm1", "norm2") for part in ("weight", "bias")]
            stream += [(f"{at}.{name}.weight", 1) for name in ("q", "k", "v", "up")]
            stream += [(f"{at}.{name}.{part}", 0) for name in ("o", "down") for part in ("weight", "bias")]
            q, k, v, up = ([(f"{at}.{name}.weight", 0), (f"{at}.{name}.bias", 0)] for name in ("q", "k", "v", "up"))
            edges += [Edge([*up, (f"{at}.down.weight", 1)], HIDDEN),
                      Edge([*q, *k, *v, (f"{at}.o.weight", 1)], heads, unit=HEAD_WIDTH),
                      Edge([*q, *k], WIDTH, blocks=heads, removable=False),
                      Edge([*v, (f"{at}.o.weight", 1)], WIDTH, blocks=heads, removable=False)]
        return [*edges, Edge(stream, WIDTH, removable=False)]

    folds = ()
