"""The functions of torch.nn.init: their arguments and expected results."""

import numpy as np
import pytest
import scipy.stats
import torch

from pyinit import initializers
from pyinit.adapters.torch import init

theirs = torch.nn.init
NARROW = (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)
DTYPES = (torch.float32, torch.float64, *NARROW)
ALPHA = 1e-4  # the seeds are fixed, so a test that passes once always passes
SHAPE = (30, 20)
# Arguments of the random functions, and the equivalent scheme. The truncated normal's are exact in float32.
RANDOM = {
    "uniform_": ({"a": -0.3, "b": 0.7}, initializers.uniform(-0.3, 0.7)),
    "normal_": ({"mean": 0.3, "std": 1.7}, initializers.normal(0.3, 1.7)),
    "trunc_normal_": (
        {"mean": 0.25, "std": 0.5, "a": -0.75, "b": 1.0},
        initializers.truncated_normal(0.25, 0.5, -2.0, 1.5),
    ),
    "xavier_uniform_": ({"gain": 1.3}, initializers.xavier_uniform(1.3)),
    "xavier_normal_": ({"gain": 1.3}, initializers.xavier_normal(1.3)),
    "kaiming_uniform_": ({"a": 0.3, "mode": "fan_out"}, initializers.kaiming_uniform(0.3, "fan_out")),
    "kaiming_normal_": ({"nonlinearity": "tanh"}, initializers.kaiming_normal(nonlinearity="tanh")),
    "orthogonal_": ({"gain": 1.3}, initializers.orthogonal(1.3)),
    "sparse_": ({"sparsity": 0.3, "std": 0.7}, initializers.sparse(0.3, 0.7)),
}
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def fill(name, tensor, stream=None, **options):
    return getattr(init, name)(tensor, **RANDOM[name][0], stream=stream, **options)


def same(a, b):
    """Whether two tensors have the same bits."""
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.itemsize]
    a, b = (x.detach().contiguous().view(integers) for x in (a, b))
    return torch.equal(a, b)


def p_value(tensor, law):
    return scipy.stats.kstest(tensor.detach().double().flatten().numpy(), law.cdf).pvalue


def truncated(mean, std, a, b):
    return scipy.stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)


def numbers_between(low, high, dtype):
    """Return the least and the largest number of a dtype in [low, high]; None if there is none."""
    if dtype == torch.float64:
        return low, high
    if dtype == torch.float32:
        x = np.float32([low, high])
        x = np.where([x[0] < low, x[1] > high], np.nextafter(x, np.float32([np.inf, -np.inf])), x).astype(float)
        return tuple(x) if x[0] <= x[1] else None
    bits = torch.arange(256 if dtype.itemsize == 1 else 65536)
    x = bits.to(torch.uint8 if dtype.itemsize == 1 else torch.int16).view(dtype).double()
    x = x[(x >= low) & (x <= high)]
    return (x.min().item(), x.max().item()) if len(x) else None
