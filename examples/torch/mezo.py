"""Train without gradients (MeZO): the noise is made again from a seed and never stored.

Run it with `python mezo.py`, or `python mezo.py cuda` on a GPU; it needs PyTorch. Each step adds noise z to the
weights, subtracts it, and moves the weights along z by the difference of the two losses (Malladi et al., "Fine-Tuning
Language Models with Just Forward Passes", 2023, https://arxiv.org/abs/2305.17333). z is made three times a step, one
tensor after the other, so there is no second copy of the weights.

z depends only on the seed, the step and the parameter's name. It is the same on every device, and each process makes
its own shard of it if the weights are DTensors. So the trained weights follow from the seed and one number a step; the
program makes them again from these.
"""

import sys

import torch
from torch import nn

import pyinit
from pyinit.adapters import torch as pt

SEED, EPSILON, RATE = 0, 1e-3, 2e-3


class Network(nn.Module):
    """A residual network that scores four classes."""

    def __init__(self, width=32, layers=8):
        super().__init__()
        self.first, self.scores = nn.Linear(16, width), nn.Linear(width, 4)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return self.scores(x)


def build(device):
    """Return a network with its initial weights."""
    with pt.deferred() as recipes:
        model = Network()
    return pt.materialize(model, recipes, SEED, device=device)


@torch.no_grad()
def move(model, step, scale):
    """Add `scale` times the noise of a step to the weights; return the bytes of the largest tensor of noise."""
    noise, most = pyinit.Stream(SEED).child(f"step {step}"), 0
    for name, weight in model.named_parameters():
        z = pt.randn_like(weight, stream=noise.child(name))
        weight.add_(z, alpha=scale)
        most = max(most, z.nbytes)
    return most


def train(model, x, y, steps):
    """Return the losses, each step's slope along its noise, and the bytes of the largest tensor of noise."""
    losses, slopes, most = [], [], 0
    for step in range(steps):
        ends = []
        for scale in (EPSILON, -2 * EPSILON):
            most = max(most, move(model, step, scale))
            with torch.no_grad():
                ends.append(nn.functional.cross_entropy(model(x), y).item())
        slopes.append((ends[0] - ends[1]) / (2 * EPSILON))
        move(model, step, EPSILON - RATE * slopes[-1])
        losses.append(sum(ends) / 2)
    return losses, slopes, most


def replay(model, slopes):
    """Repeat the moves of the training, without data and without losses."""
    for step, slope in enumerate(slopes):
        for scale in (EPSILON, -2 * EPSILON, EPSILON - RATE * slope):
            move(model, step, scale)


def main(device="cpu", steps=300):
    x = pt.randn(512, 16, seed=1, device=device)
    y = x[:, :4].argmax(1)
    model = build(device)
    losses, slopes, most = train(model, x, y, steps)
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    size = sum(weight.nbytes for weight in model.parameters())
    print(f"weights {size:,} bytes; gradients and optimizer 0; noise at most {most:,}, for one tensor at a time")

    again = build(device)
    replay(again, slopes)
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    print(f"the same weights again, from the seed and {len(slopes)} numbers")


if __name__ == "__main__":
    main(*sys.argv[1:])
