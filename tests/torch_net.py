"""A small model, and the weights from the streams of its names."""

import math

import torch
from torch import nn

import pyinit
from pyinit.adapters import torch as pt


class Net(nn.Module):
    """A net of two layers in either order, and optionally a third."""

    def __init__(self, swapped=False, more=False):
        super().__init__()
        makers = {"a": lambda: nn.Linear(8, 6), "b": lambda: nn.Embedding(9, 8, padding_idx=2)}
        for name in sorted(makers, reverse=swapped):
            setattr(self, name, makers[name]())
            if more:
                setattr(self, f"{name}_more", nn.Conv1d(3, 4, 5))
        nn.init.normal_(self.a.weight, std=0.3)  # a second draw


def build(*args, seed=5, **kwargs):
    """Build a net inside `fast_init`; return it and the report."""
    with pt.fast_init(seed) as report:
        net = Net(*args, **kwargs)
    return net, report


def expected(name, shape, seed=5, **normal):
    """Return the normal samples of the stream of a name."""
    return torch.from_numpy(pyinit.Stream(seed).child(name).normal(shape, **normal))


def linear_bound(inputs):
    """Return the bound of the uniform weights of `nn.Linear`, computed as in torch."""
    return math.sqrt(3.0) * (nn.init.calculate_gain("leaky_relu", math.sqrt(5)) / math.sqrt(inputs))


def uniform(name, shape, bound):
    """Return the uniform samples of the stream of a name, within ±bound."""
    return pyinit.Stream(5).child(name).uniform(shape, low=-bound, high=bound)


def expected_linear(name):
    """Return the expected weight of an `nn.Linear(3, 2)`, by its name."""
    return torch.from_numpy(uniform(name, (2, 3), linear_bound(3)))
