#!/usr/bin/env python3
"""Train the fashion-cnn family on Fashion-MNIST and write each network's state as NPZ.

usage: train.py OUT_DIR --data DIR [--threads N]      (DIR: the four IDX files; or FASHION_MNIST in the environment)

Three twins (one architecture, three seeds, nothing else different), and two networks trained on from twin 1:
  finetuned   all layers, augmented images, small learning rate
  new-head    another task (which way is the garment turned: 4 classes), so a new last layer, larger learning rate
Needs torch (Debian: python3-torch, libopenblas0-pthread) and the four IDX files (Debian: dataset-fashion-mnist).
The seeds fix the order of every random choice, but sums in torch differ between machines and versions in the last
bits and training amplifies that: a second run gives networks as good, not the same bits.  Hence the results are kept
in the repository, and everything after this script (derive.py) is reproducible bit for bit.
"""
import argparse
import copy
import gzip
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

TWIN_SEEDS = {"twin-1": 1, "twin-2": 2, "twin-3": 3}
TWIN_EPOCHS, TWIN_PEAK_RATE, BATCH = 3, 3e-3, 128
FINETUNE_SEED, FINETUNE_STEPS, FINETUNE_RATE = 11, 300, 1e-3
NEW_HEAD_SEED, NEW_HEAD_STEPS, NEW_HEAD_RATE = 12, 400, 2e-3


class Block(nn.Module):
    """Residual over channels: widen, rectify, narrow, add."""

    def __init__(self, width, hidden):
        super().__init__()
        self.expand = nn.Conv2d(width, hidden, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(hidden)
        self.project = nn.Conv2d(hidden, width, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(width)

    def forward(self, x):
        y = F.relu(self.expand_norm(self.expand(x)))
        return x + self.project_norm(self.project(y))


class FashionCnn(nn.Module):
    """1x28x28 to classes; widths 64 and 128 recur, so every hidden axis occurs in several tensors."""

    def __init__(self, classes=10, width=64, hidden=128, blocks=4):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*[Block(width, hidden) for _ in range(blocks)])
        self.widen = nn.Conv2d(width, hidden, 1, bias=False)
        self.widen_norm = nn.BatchNorm2d(hidden)
        self.fc = nn.Linear(hidden, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.relu(self.down_norm(self.down(x)))
        x = self.blocks(x)
        x = F.relu(self.widen_norm(self.widen(x)))
        x = x.mean((2, 3))
        return self.head(F.relu(self.fc(x)))


def read_idx(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as f:
        raw = f.read()
    dims = raw[3]
    shape = np.frombuffer(raw, ">u4", dims, 4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def load_split(data, split):
    def find(kind):
        for name in (f"{split}-{kind}-ubyte", f"{split}-{kind}-ubyte.gz"):
            path = os.path.join(data, name)
            if os.path.exists(path):
                return read_idx(path)
        raise SystemExit(f"{data}: no {split}-{kind}-ubyte[.gz]; give the directory with --data")

    images = torch.from_numpy(find("images-idx3").astype(np.float32) / 255.0)[:, None]
    return (images - 0.286) / 0.353, torch.from_numpy(find("labels-idx1").astype(np.int64))


def augment(images):
    """Mirror half of the images and shift all of a batch by up to two pixels."""
    flip = torch.rand(len(images)) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    return images.roll((dy, dx), (2, 3))


def turn(images):
    """The second task: turn each image by a random multiple of 90 degrees and ask which."""
    turns = torch.randint(0, 4, (len(images),))
    out = images.clone()
    for k in (1, 2, 3):
        out[turns == k] = images[turns == k].rot90(k, (2, 3))
    return out, turns


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        hits = sum((net(images[i:i + 1000]).argmax(1) == labels[i:i + 1000]).sum().item()
                   for i in range(0, len(images), 1000))
    return hits / len(images)


def run(net, train, steps, schedule, weight_decay, batch_of):
    """`steps` of AdamW; `schedule(step)` is the learning rate, `batch_of(index)` gives inputs and targets."""
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=schedule(0), weight_decay=weight_decay)
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(train[0]))
        index, order = order[:BATCH], order[BATCH:]
        for group in optimiser.param_groups:
            group["lr"] = schedule(step)
        inputs, targets = batch_of(index)
        optimiser.zero_grad()
        F.cross_entropy(net(inputs), targets).backward()
        optimiser.step()


def save(out, name, net):
    state = {k: v.detach().numpy() for k, v in net.state_dict().items()}
    np.savez(os.path.join(out, name + ".npz"), **state)


def cosine(a, b):
    """Cosine of all weights of two or more dimensions that both networks have under the same name and shape."""
    a, b = a.state_dict(), b.state_dict()
    keys = [k for k in a if a[k].ndim >= 2 and k in b and a[k].shape == b[k].shape]
    a = torch.cat([a[k].flatten() for k in keys])
    b = torch.cat([b[k].flatten() for k in keys])
    return float(a @ b / (a.norm() * b.norm()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--data", default=os.environ.get("FASHION_MNIST"), required="FASHION_MNIST" not in os.environ)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.set_num_threads(args.threads)
    train, test = load_split(args.data, "train"), load_split(args.data, "t10k")
    print(f"torch {torch.__version__} numpy {np.__version__} threads {args.threads}", flush=True)

    twins = {}
    for name, seed in TWIN_SEEDS.items():
        torch.manual_seed(seed)
        net, start = FashionCnn(), time.time()
        steps = TWIN_EPOCHS * (len(train[0]) // BATCH)
        run(net, train, steps, lambda s: TWIN_PEAK_RATE * min(1.0, s / 100 + 0.01) * (1 - s / steps), 0.05,
            lambda i: (train[0][i], train[1][i]))
        save(args.out, name, net)
        twins[name] = net
        print(f"{name}: seed {seed}, {steps} steps, {sum(p.numel() for p in net.parameters())} parameters, "
              f"test accuracy {accuracy(net, *test):.4f}, {time.time() - start:.0f} s", flush=True)

    parent = twins["twin-1"]

    torch.manual_seed(FINETUNE_SEED)
    net = copy.deepcopy(parent)
    run(net, train, FINETUNE_STEPS, lambda s: FINETUNE_RATE, 0.05, lambda i: (augment(train[0][i]), train[1][i]))
    save(args.out, "twin-1-finetuned", net)
    print(f"twin-1-finetuned: seed {FINETUNE_SEED}, {FINETUNE_STEPS} steps at {FINETUNE_RATE}, "
          f"test accuracy {accuracy(net, *test):.4f}, cosine with twin-1 {cosine(parent, net):.4f}", flush=True)

    torch.manual_seed(NEW_HEAD_SEED)
    net = copy.deepcopy(parent)
    net.head = nn.Linear(64, 4)
    run(net, train, NEW_HEAD_STEPS, lambda s: NEW_HEAD_RATE, 0.05, lambda i: turn(train[0][i]))
    save(args.out, "twin-1-new-head", net)
    turned = turn(test[0])
    print(f"twin-1-new-head: seed {NEW_HEAD_SEED}, {NEW_HEAD_STEPS} steps at {NEW_HEAD_RATE}, "
          f"accuracy on turned test images {accuracy(net, *turned):.4f}, cosine with twin-1 {cosine(parent, net):.4f}",
          flush=True)


if __name__ == "__main__":
    main()
