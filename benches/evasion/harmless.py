"""Changes of the weights that no user of a network notices: its function stays.  On states (name to tensor) of the
networks of `../train/nets.py`.
"""
import torch

import nets

EPSILON = 1e-5


def permuted(net, state, generator, edges=None):
    """Each edge's channels in a random order of its own; `edges`: only these."""
    state = dict(state)
    for number, edge in enumerate(net.edges()):
        if edges is None or number in edges:
            order = edge.order(generator)
            for name, axis in edge.members:
                state[name] = state[name].index_select(axis, order)
    return state


def scaled(state, name, axis, factors):
    shape = [1] * state[name].ndim
    shape[axis] = -1
    state[name] = state[name] * factors.reshape(shape)


def outputs_scaled(net, state, draw):
    """What makes a channel is multiplied by a factor that its batch norm takes back: any factor, also a negative one."""
    state = dict(state)
    for layer, norm in net.folds:
        factors = draw(len(state[f"{norm}.weight"]))
        variance = state[f"{norm}.running_var"]
        scaled(state, f"{layer}.weight", 0, factors)
        state[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] * factors
        state[f"{norm}.running_var"] = variance * factors.square()
        kept = ((variance * factors.square() + EPSILON) / (variance + EPSILON)).sqrt() / factors
        state[f"{norm}.weight"] = state[f"{norm}.weight"] * kept
    return state


def passed_on(net, state, draw):
    """What a channel sends through its ReLU is multiplied by a positive factor, and what receives it divided: everything
    of an edge on axis 0 but running moments, and the weights behind the norms, against what is on axis 1."""
    state = dict(state)
    normed = {f"{layer}.weight" for layer, _ in net.folds}
    for edge in net.edges():
        factors = draw(edge.count)
        for name, axis in edge.members:
            if axis == 1:
                scaled(state, name, 1, 1 / factors)
            elif name not in normed and ".running_" not in name:
                scaled(state, name, 0, factors)
    return state


def factors(generator):
    """From 1/4 to 4, uniform in the logarithm."""
    return lambda count: 4.0 ** (2 * torch.rand(count, generator=generator) - 1)


def signs(generator):
    return lambda count: torch.randint(2, (count,), generator=generator) * 2.0 - 1


def rescaled(net, state, generator):
    """Both at once: every channel of every axis that an edge holds."""
    return passed_on(net, outputs_scaled(net, state, factors(generator)), factors(generator))


def flipped(net, state, generator):
    """Half of the outputs with their signs turned, as batch norms allow; without any, nothing changes."""
    return outputs_scaled(net, state, signs(generator))


def turned(count, generator):
    """A random orthogonal matrix."""
    return torch.linalg.qr(torch.randn(count, count, generator=generator)).Q


def turn(state, layer, basis, outputs):
    """The outputs of a linear layer in another basis, or its inputs."""
    if outputs:
        state[f"{layer}.weight"] = basis @ state[f"{layer}.weight"]
        state[f"{layer}.bias"] = basis @ state[f"{layer}.bias"]
    else:
        state[f"{layer}.weight"] = state[f"{layer}.weight"] @ basis.T


def heads_turned(net, state, generator):
    """Attention sees queries and keys only through their products, and values only through the layer behind them: each
    head may have another basis for both."""
    state = dict(state)
    for at in (f"layers.{i}" for i in range(len(net.layers))):
        count, width = len(state[f"{at}.q.weight"]), nets.HEAD_WIDTH
        bases = [torch.block_diag(*[turned(width, generator) for _ in range(count // width)]) for _ in range(2)]
        for layer, basis, outputs in (("q", 0, True), ("k", 0, True), ("v", 1, True), ("o", 1, False)):
            turn(state, f"{at}.{layer}", bases[basis], outputs)
    return state


def stream_turned(net, state, generator):
    """The basis of the residual stream: gains and biases of norms go into the layers behind them; a norm without them only
    needs the mean over the stream where it was, which a rotation around the vector of ones keeps."""
    state = dict(state)
    count = len(state["norm.weight"])
    ones = torch.cat([torch.ones(count, 1), torch.randn(count, count - 1, generator=generator)], 1)
    frame = torch.linalg.qr(ones).Q
    basis = frame @ torch.block_diag(torch.ones(1, 1), turned(count - 1, generator)) @ frame.T
    behind = {"norm": ["head"]}
    for at in (f"layers.{i}" for i in range(len(net.layers))):
        behind |= {f"{at}.norm1": [f"{at}.{name}" for name in "qkv"], f"{at}.norm2": [f"{at}.up"]}
        for layer in ("o", "down"):
            turn(state, f"{at}.{layer}", basis, True)
    for norm, layers in behind.items():
        for layer in layers:
            weight = state[f"{layer}.weight"]
            state[f"{layer}.bias"] = state[f"{layer}.bias"] + weight @ state[f"{norm}.bias"]
            state[f"{layer}.weight"] = weight * state[f"{norm}.weight"]
            turn(state, layer, basis, False)
        state[f"{norm}.weight"] = torch.ones(count)
        state[f"{norm}.bias"] = torch.zeros(count)
    for table in ("symbols", "places"):
        state[f"{table}.weight"] = state[f"{table}.weight"] @ basis.T
    return state


def noisy(state, names, share, generator):
    """Gaussian noise of `share` of each tensor's root mean square."""
    state = dict(state)
    for name in names:
        noise = torch.randn(state[name].shape, generator=generator)
        state[name] = state[name] + noise * share * state[name].square().mean().sqrt()
    return state
