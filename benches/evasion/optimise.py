"""The white-box attack: the smallest change of the weights, as the root of its sum of squares, that reaches a goal."""
import torch

import views

STEPS, RATE, SLOWER = 300, 2e-3, 0.01
# How soft the step from one bit to the other is, in standard deviations of the sums: from, to.
SOFTNESS = 0.3, 0.03
# A bit counts as moved when its sum is this far beyond 0, so that other roundings do not move it back.
MARGIN = 0.003


class Goal:
    """What the attacker wants.  `distances`: bits of some views; or, if `joint`, a joint probability over it."""

    def __init__(self, original, distances=None, joint=None):
        self.distances, self.joint = distances, joint
        self.hash = views.Hash({name: tuple(value.shape) for name, value in original.items()})
        self.wanted = tuple(distances or views.VIEWS)
        sums, self.counts = self.hash.sums(original, self.wanted)
        self.signs = {view: (x > 0).float() * 2 - 1 for view, x in sums.items()}
        self.spread = {view: x.std() for view, x in sums.items()}
        self.ln_p = {view: views.ln_p(view, count) for view, count in self.counts.items()}

    def measure(self, state, softness):
        """How far off the goal is, as a number that can be differentiated; whether it is reached; the distances."""
        sums, counts = self.hash.sums(state, self.wanted)
        beyond = {view: -self.signs[view] * sums[view] / self.spread[view] for view in self.wanted}
        soft = {view: torch.sigmoid(x / softness).sum() for view, x in beyond.items()}
        hard = {view: int((x > MARGIN).sum()) for view, x in beyond.items()}
        if self.distances:
            lacking = sum(-soft[view] for view in self.distances)
            return lacking, all(hard[view] >= bits for view, bits in self.distances.items()), hard
        # The surprise of all views, each distance between two whole ones.
        surprise = 0.0
        for view in views.VIEWS:
            below = int(soft[view].detach().clamp(0, views.BITS - 1))
            table = self.ln_p[view]
            surprise = surprise - table[below] - (soft[view] - below) * (table[below + 1] - table[below])
        now = [float(views.ln_p(view, min(self.counts[view], counts[view]))[hard[view]]) for view in views.VIEWS]
        return surprise, views.joint_p(now) > self.joint, hard


def smallest_change(state, names, goal, steps=STEPS):
    """The state with the smallest change found that reaches the goal, or `None`; only the tensors `names` are changed.

    Minimises (what lacks to the goal) + strength * (relative change)^2.  The strength is raised while the goal is reached
    and lowered while it is not, so that the search settles on the border.  Adam with one second moment for a tensor, not
    one for a weight: the change then stays a combination of the gradients, which are few against the weights.
    """
    weights = {name: state[name] for name in names}
    norm = sum(w.square().sum() for w in weights.values()).sqrt()
    change = {name: torch.zeros_like(w, requires_grad=True) for name, w in weights.items()}
    first = {name: torch.zeros_like(w) for name, w in weights.items()}
    second = dict.fromkeys(names, 0.0)
    strength, best = 1e6, None
    for step in range(steps):
        along = step / steps
        softness = SOFTNESS[0] * (SOFTNESS[1] / SOFTNESS[0]) ** along
        moved = dict(state) | {name: weights[name] + change[name] * scale(weights[name]) for name in names}
        lacking, reached, hard = goal.measure(moved, softness)
        size = sum((change[name] * scale(weights[name])).square().sum() for name in names) / norm.square()
        if reached and (best is None or size < best[0]):
            best = float(size), {name: moved[name].detach() for name in names}, hard
        strength *= (1.15 if reached else 1 / 1.15) if along < 0.5 else (1.03 if reached else 1 / 1.03)
        loss = lacking + strength * size
        gradients = torch.autograd.grad(loss, list(change.values()))
        pace = RATE * SLOWER ** along
        with torch.no_grad():
            for (name, x), gradient in zip(change.items(), gradients):
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.99 * second[name] + 0.01 * float(gradient.square().mean())
                mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.99 ** (step + 1))
                x -= pace * mean / (square ** 0.5 + 1e-12)
    if best is None:
        return None
    return dict(state) | best[1]


def scale(weights):
    return weights.square().mean().sqrt()
