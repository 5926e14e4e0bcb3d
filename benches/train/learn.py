"""Training and testing: one loop for everything."""
import torch
import torch.nn.functional as F


def train(net, task, seed, steps, rate, half=0, target="main", only=None, masks=None, teacher=None, after=None):
    """`steps` of AdamW from a warm start to a constant `rate`, which falls to 0 over the last third.  `only`: the
    parameters to train, with all else, norms too, kept as it is; `masks`: weights kept at 0; `teacher`: its softened
    answers are the targets; `after(step)`: called after each step, ends the training when true (the rate then stays)."""
    generator = torch.Generator().manual_seed(seed)
    parameters = list(net.parameters()) if only is None else only
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    net.train(only is None)
    for step in range(steps):
        fall = 1.0 if after else min(1.0, 3.0 * (steps - step) / steps)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 20) * fall
        inputs, targets = task.sample(half, target, generator)
        answers = net(inputs)
        if teacher is None:
            loss = F.cross_entropy(answers, targets)
        else:
            with torch.no_grad():
                soft = F.softmax(teacher(inputs) / 2, 1)
            loss = F.kl_div(F.log_softmax(answers / 2, 1), soft, reduction="batchmean") * 4
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if masks:
            with torch.no_grad():
                for name, parameter in net.named_parameters():
                    if name in masks:
                        parameter.mul_(masks[name])
        if after and after(step):
            break
    return net.eval()


@torch.no_grad()
def answers(net, task, target="main"):
    net.eval()
    return torch.cat([net(inputs) for inputs, _ in task.test_batches(target)])


def accuracy(net, task, target="main"):
    found = answers(net, task, target).argmax(1)
    wanted = torch.cat([targets for _, targets in task.test_batches(target)])
    return round(float((found == wanted).float().mean()), 4)
