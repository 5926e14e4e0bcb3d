"""What is done to a trained network without training it: channels reordered or removed, weights pruned, norms folded,
values rounded, networks averaged.  All work on states: name to tensor.
"""
import copy

import torch


def is_weights(tensor):
    return tensor.ndim >= 2


def load(net, state):
    """A copy of `net` that holds `state`, whose tensors may have other channels than `net` was made with."""
    net = copy.deepcopy(net)
    for name, value in state.items():
        *path, last = name.split(".")
        module = net.get_submodule(".".join(path))
        if last in module._parameters:
            module._parameters[last] = torch.nn.Parameter(value.clone())
        else:
            module._buffers[last] = value.clone()
    return net


def choose(state, edge, indices):
    for name, axis in edge.members:
        state[name] = state[name].index_select(axis, indices)


def permuted(net, generator):
    """Every edge of the network in a random order: the same function."""
    state = dict(net.state_dict())
    for edge in net.edges():
        choose(state, edge, edge.order(generator))
    return load(net, state)


def narrowed(net, percent):
    """The weakest channels of every edge removed, by the sum of squares of the weights that make them."""
    state = dict(net.state_dict())
    for edge in (edge for edge in net.edges() if edge.removable):
        energy = torch.zeros(edge.count)
        for name, axis in edge.members:
            if axis == 0 and is_weights(state[name]):
                energy += state[name].reshape(edge.count, -1).square().sum(1)
        kept = energy.argsort(descending=True)[: edge.count - edge.count * percent // 100].sort().values
        choose(state, edge, (kept[:, None] * edge.unit + torch.arange(edge.unit)).flatten())
    return load(net, state)


def masks(net, percent):
    """For each matrix or kernel, 0 for the share of least magnitude, else 1."""
    kept = {}
    for name, weights in net.named_parameters():
        if is_weights(weights):
            threshold = weights.detach().abs().flatten().sort().values[weights.numel() * percent // 100]
            kept[name] = (weights.detach().abs() >= threshold).float()
    return kept


def folded(net):
    """Batch norms folded into the convolutions before them, as exporters for inference do; `None` without any."""
    if not net.folds:
        return None
    state = dict(net.state_dict())
    for layer, norm in net.folds:
        mean, variance = state.pop(f"{norm}.running_mean"), state.pop(f"{norm}.running_var")
        factor = state.pop(f"{norm}.weight") / (variance + 1e-5).sqrt()
        state.pop(f"{norm}.num_batches_tracked")
        state[f"{layer}.bias"] = state.pop(f"{norm}.bias") - mean * factor
        state[f"{layer}.weight"] = state[f"{layer}.weight"] * factor[:, None, None, None]
    return state


def unfolded(net, state):
    """A network of the same function as a folded state: norms that do nothing but add the bias."""
    whole = {name: value for name, value in net.state_dict().items()}
    whole.update({name: value for name, value in state.items() if name in whole})
    for layer, norm in net.folds:
        whole[f"{norm}.weight"] = torch.full_like(whole[f"{norm}.weight"], (1 + 1e-5) ** 0.5)
        whole[f"{norm}.bias"] = state[f"{layer}.bias"]
        whole[f"{norm}.running_mean"] = torch.zeros_like(whole[f"{norm}.running_mean"])
        whole[f"{norm}.running_var"] = torch.ones_like(whole[f"{norm}.running_var"])
    return load(net, whole)


def int8(net):
    """Symmetric, a scale for each row of a matrix or kernel, and back to F32."""
    state = dict(net.state_dict())
    for name, value in state.items():
        if is_weights(value):
            scale = value.flatten(1).abs().max(1).values.clamp_min(1e-30) / 127
            scale = scale.reshape(-1, *[1] * (value.ndim - 1))
            state[name] = (value / scale).round() * scale
    return load(net, state)


def mean(a, b):
    """The average of two networks of equal shapes."""
    a, b = a, dict(b.state_dict())
    state = {name: (value + b[name]) / 2 if value.is_floating_point() else value
             for name, value in a.state_dict().items()}
    return load(a, state)


def cosine(a, b):
    """The cosine of each matrix or kernel, less its mean, that both have under one name in one shape; their mean by numbers
    of elements, as in the zoo's labels.  `None` if there are none."""
    a, b = a.state_dict(), b.state_dict()
    names = [name for name in a if is_weights(a[name]) and name in b and a[name].shape == b[name].shape]
    total = sum(a[name].numel() for name in names)

    def of_tensor(name):
        x, y = ((s[name] - s[name].mean()).flatten().double() for s in (a, b))
        return x.numel() * float(x @ y / (x.norm() * y.norm()))

    return sum(map(of_tensor, names)) / total if total else None
