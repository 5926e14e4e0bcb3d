"""The hash once more, as a function of the weights that torch can differentiate (docs/hashing.md, sections 3 to 8).

Rounding passes gradients through; ranks and medians' places are held fixed.  Sums are torch's and not in the order of
the specification, so that a bit whose sum is nearly 0 may differ from the true code: `attack.py` measures that.
Only what small networks need: at most 64 kernel positions.
"""
import functools
import math

import numpy as np
import torch

VIEWS = ("energy", "blocks", "weights", "order", "orbit")
SPREAD = {"energy": (1.4, 0.13), "blocks": (1.5, 0.16), "weights": (1.7, 0.03), "order": (1.7, 0.04),
          "orbit": (1.6, 0.04)}
BITS, FLOOR = 512, 2.0 ** -20
MASK, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def signs(key, rows):
    """The +-1 matrix of a key, `rows` x 512."""
    state = mix(np.array([key[0]], np.uint64))
    for size in key[1:]:
        state = mix(state ^ np.uint64(size))
    steps = np.arange(1, 8 * rows + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    words = mix(state + steps).astype("<u8").view(np.uint8).reshape(rows, 64)
    return torch.from_numpy(np.unpackbits(words, axis=1, bitorder="little").astype(np.float32) * 2 - 1)


def runs(length, most):
    if length <= most:
        return list(range(length))
    count = most // 8
    return [run * (length - 8) // (count - 1) + i for run in range(count) for i in range(8)]


class Cut:
    """How a shape is cut into planes; `None` for tensors that are not used."""

    def __init__(self, shape):
        lens = [n for n in shape if n > 1]
        first_longest = lambda axes: max(axes, key=lambda a: (lens[a], -a))
        self.rows_axis = first_longest(range(len(lens)))
        columns = first_longest([a for a in range(len(lens)) if a != self.rows_axis])
        self.dense = lens[columns] >= 16
        others = [a for a in range(len(lens)) if a != self.rows_axis and not (self.dense and a == columns)]
        others.sort(key=lambda a: -lens[a])
        self.lens, self.kernel = lens, [lens[a] for a in others] if self.dense else []
        self.positions = math.prod(self.kernel)
        assert self.positions <= 64 and (self.dense or math.prod(lens[a] for a in others) <= 256), "kernel too large"
        self.order = others + [self.rows_axis, columns] if self.dense else [self.rows_axis] + others
        self.row_len = lens[self.rows_axis]
        self.column_len = lens[columns] if self.dense else math.prod(lens[a] for a in others)
        self.whole = self.dense and math.prod(lens) <= 1 << 20
        self.square = self.row_len == self.column_len
        self.orbits = orbits(self.kernel)

    @staticmethod
    def of(shape):
        used = math.prod(shape) >= 1024 and sum(n > 1 for n in shape) >= 2
        return Cut(shape) if used else None

    def planes(self, values, most):
        """Positions x rows x columns, of at most so many rows and, if dense, columns."""
        planes = values.reshape(self.lens).permute(self.order).reshape(self.positions, self.row_len, self.column_len)
        planes = planes[:, runs(self.row_len, most)]
        return planes[:, :, runs(self.column_len, most)] if self.dense else planes


def orbits(kernel):
    count, found, seen = math.prod(kernel), [], set()
    side = kernel[0] if len(kernel) == 2 and kernel[0] == kernel[1] else None
    for p in range(count):
        if p not in seen:
            orbit = {p, count - 1 - p}
            if side:
                turned = p % side * side + p // side
                orbit |= {turned, count - 1 - turned}
            seen |= orbit
            found.append(sorted(orbit))
    return found


def rounded(x, share=1.0):
    x = x.clamp(-3, 3) * share * 256
    return x + (x.round() - x).detach()


def median(x):
    x = x.sort().values
    return (x[(len(x) - 1) // 2] + x[len(x) // 2]) / 2


def standardise(x):
    deviation = x - median(x)
    return deviation / (1.4826 * median(deviation.abs()))


def logs(x, mean):
    return torch.maximum(x, mean * FLOOR).log()


def normalised(planes):
    q = planes.square().sum((1, 2), keepdim=True)
    return planes * torch.where(q > 0, planes[0].numel() / q.clamp_min(1e-30), torch.zeros_like(q)).sqrt()


def gathered(planes, groups):
    return torch.stack([planes[group].sum(0) / len(group) ** 0.5 for group in groups])


def equilibrate(squares):
    inverse = lambda s, n: torch.where(s > 0, n / s.clamp_min(1e-30), torch.zeros_like(s))
    v = torch.ones(squares.shape[1])
    for _ in range(8):
        u = inverse(squares @ v, squares.shape[1])
        v = inverse(u @ squares, squares.shape[0])
    return u, v


def by_energy(energies):
    total = energies.sum()
    log = logs(energies, total / len(energies))
    mean = (energies * log).sum() / total
    deviation = ((energies * (log - mean).square()).sum() / total).sqrt().clamp_min(1e-9)
    return torch.sigmoid(1.6 * ((log - mean) / deviation + 0.5))


def by_index(count):
    return (torch.arange(count) + 0.5) / count


def by_rank(values):
    values = values.detach()
    below = (values[None] < values[:, None]).sum(1)
    equal = (values[None] == values[:, None]).sum(1)
    return (below + equal / 2) / len(values)


def waves(coordinates, count, first=1):
    rows = torch.cos(math.pi * torch.arange(first, first + count)[:, None] * coordinates[None])
    return rows - rows.mean(1, keepdim=True)


def over(fields, down, across):
    """Fields x row waves x column waves."""
    return down @ fields @ across.T / (fields.shape[1] * fields.shape[2] / 4) ** 0.5


@functools.cache
def around(n):
    """The matrix that takes the mean of two neighbours on either side."""
    near = (torch.arange(n)[:, None] - torch.arange(n)[None]).abs()
    near = ((near <= 2) & (near > 0)).float()
    return near / near.sum(1, keepdim=True)


@functools.cache
def block_mean(n, blocks):
    """The matrix that takes the mean of each block of n indices."""
    edges = [i * n // blocks for i in range(blocks + 1)]
    mean = torch.zeros(blocks, n)
    for i in range(blocks):
        mean[i, edges[i]:edges[i + 1]] = 1 / (edges[i + 1] - edges[i])
    return mean


def octaves(cut):
    size = math.log2(cut.row_len * cut.column_len) / 2
    return (math.floor(size), 1 - (size - math.floor(size))), (math.floor(size) + 1, size - math.floor(size))


def tensor_features(cut, values, wanted):
    """For each view, lists (key, features, how many are free, length of the axis in view `energy`).  Views that are not
    wanted may be missing."""
    found = {view: [] for view in VIEWS}

    def add(view, key, grid, other, share=1.0, length=None):
        features = rounded(grid.reshape(-1), share)
        if other is not None:
            features = features + rounded(other.reshape(-1), share)
        free = len(features) if other is None else (len(features) + 1) // 2
        found[view].append((key, features, free, length))

    planes = cut.planes(values, 256)
    squares, fourths = planes.square().mean(0), planes.pow(4).mean(0)
    rows, columns = squares.shape
    axes = [(squares.sum(1), cut.row_len)] + ([(squares.sum(0), cut.column_len)] if cut.dense else [])
    for energies, length in axes:
        if length >= 16:
            x = logs(energies, energies.sum() / len(energies))
            add("energy", (1, length, 0, 0), standardise(x - around(len(x)) @ x), None, length=length)

    u, v = equilibrate(squares)
    grid_of = lambda n, block: min(max(n // block, 1), 64)
    g, h = (grid_of(rows, 8), grid_of(columns, 8)) if cut.dense else (grid_of(rows, 4), columns)
    if g > 1 and h > 1:
        over_rows, over_columns = block_mean(rows, g), block_mean(columns, h)
        for statistic, moment, power in ((2, squares, 1), (3, fourths, 2)):
            grid = over_rows @ (moment * u[:, None] ** power * v[None] ** power) @ over_columns.T
            x = logs(grid, grid.mean())
            x = x - x.mean(1, keepdim=True)
            x = x - x.mean(0, keepdim=True)
            x = standardise(x.reshape(-1)).reshape(g, h)
            add("blocks", (statistic, g, h, 0), x, x.T if cut.square else None)

    if wanted <= {"energy", "blocks"}:
        return found
    planes = normalised(planes)
    fields = gathered(planes, cut.orbits)
    if cut.dense:
        x = over(fields, waves(by_index(rows), 16), waves(by_index(columns), 16))
    else:
        x = waves(by_index(rows), 16) @ fields / (rows / 2) ** 0.5
    for octave, share in octaves(cut):
        add("weights", (4, len(cut.orbits), octave, 0 if cut.dense else columns), x,
            x.transpose(1, 2) if cut.dense and cut.square else None, share)
    if not cut.whole or not wanted & {"order", "orbit"}:
        return found

    if max(cut.row_len, cut.column_len) > 256:
        planes = cut.planes(values, 1 << 30)
        squares, fourths = planes.square().mean(0), planes.pow(4).mean(0)
        u, v = equilibrate(squares)
        planes = normalised(planes)
    equilibrated = normalised(planes * u.sqrt()[:, None] * v.sqrt()[None])
    clipped = equilibrated.clamp(-3, 3)
    cubes = ((clipped ** 3 - 3 * clipped) / 2.4494898).sum(0) / cut.positions ** 0.5
    fields = torch.cat([gathered(planes, cut.orbits), cubes[None]])
    x = over(fields, waves(by_energy(squares.sum(1)), 8, 2), waves(by_energy(squares.sum(0)), 8, 2))
    for octave, share in octaves(cut):
        add("order", (5, len(fields), octave, 0), x, x.transpose(1, 2) if cut.square else None, share)

    fields = gathered(equilibrated, cut.orbits)
    whole = equilibrated.sum(0) / cut.positions ** 0.5
    row_totals, column_totals = whole.sum(1), whole.sum(0)
    down = [(whole @ column_totals).abs(), row_totals.abs(), (fourths @ v.square()) * u.square()]
    across = [column_totals.abs(), (row_totals @ whole).abs(), (u.square() @ fourths) * v.square()]
    down, across = ([waves(by_rank(c), 5, 2) for c in side] for side in (down, across))
    pairs = torch.stack([over(fields, down[i], across[j]) for i, j in ((0, 0), (1, 1), (2, 0), (1, 2), (2, 2))], 1)
    other = pairs[:, [1, 0, 3, 2, 4]].transpose(2, 3) if cut.square else None
    add("orbit", (6, cut.row_len, cut.column_len, len(fields)), pairs, other)
    return found


class Hash:
    """The sums behind the 512 bits of each view, and the independent features, of models with these shapes."""

    def __init__(self, shapes):
        self.cuts = {name: cut for name, shape in shapes.items() if (cut := Cut.of(shape))}
        lengths = [n for cut in self.cuts.values() for n in [cut.row_len] + [cut.column_len] * cut.dense if n >= 16]
        self.paired = {n for n in lengths if lengths.count(n) > 1}
        self.matrices = {}

    def features(self, state, wanted=VIEWS):
        """For each wanted view, key to (features added up over tensors, free)."""
        by_key = {view: {} for view in wanted}
        for name, cut in self.cuts.items():
            for view, lists in tensor_features(cut, state[name], set(wanted)).items():
                if view not in wanted:
                    continue
                whole = view not in ("order", "orbit") or {cut.row_len, cut.column_len} <= self.paired
                for key, features, free, length in lists:
                    if whole and (length is None or length in self.paired):
                        before = by_key[view].get(key)
                        by_key[view][key] = (before[0] + features, max(before[1], free)) if before else (features, free)
        return by_key

    def sums(self, state, wanted=VIEWS):
        sums, counts = {}, {}
        for view, lists in self.features(state, wanted).items():
            total = sum(self.matrix(key, len(features)).T @ features for key, (features, _) in lists.items())
            norms = [(float(f.detach().double().square().sum()), free) for f, free in lists.values()]
            whole = sum(n for n, _ in norms)
            sums[view] = total
            counts[view] = max(1, int(whole ** 2 / sum(n * n / free for n, free in norms)))
        return sums, counts

    def matrix(self, key, rows):
        if key not in self.matrices:
            with np.errstate(over="ignore"):
                self.matrices[key] = signs(key, rows)
        return self.matrices[key]


def effective_bits(view, features):
    g, s = SPREAD[view]
    return int(0.25 / (0.25 / BITS + (g * g / features + s * s) / math.pi ** 2))


def ln_p(view, features):
    """ln P of every distance, 0 to 512."""
    n = effective_bits(view, features)
    tail = np.logaddexp.accumulate([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                                    for k in range(n + 1)]) - n * math.log(2)
    return torch.tensor(np.interp(np.arange(BITS + 1) * n / BITS, np.arange(n + 1), tail), dtype=torch.float32)


def joint_p(ln_ps):
    """The joint probability of all views, from ln P of each."""
    count, surprise = len(ln_ps), -sum(ln_ps)
    fisher = math.exp(-surprise) * sum(surprise ** i / math.factorial(i) for i in range(count))
    return min(1.0, 2 * min(count * math.exp(min(ln_ps)), fisher))
