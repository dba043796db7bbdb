"""Samplers for torch's random operations: schemes for normal and uniform ones, NumPy's generator for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from pyinit import initializers
from pyinit.bit_generator import BitGenerator
from pyinit.initializers import Scheme
from pyinit.initializers.base import real
from pyinit.streams import Stream

__all__ = ["SAMPLERS", "Sampler", "truncated"]


def truncated(mean: float, std: float, a: float, b: float, dtype: torch.dtype = torch.float64) -> Scheme:
    """Return the scheme of torch's ``trunc_normal_(mean, std, a, b)``, whose bounds are values.

    Parameters
    ----------
    mean, std : float
        `std` must be at least 0. With std=0 the scheme is a constant: the mean, clipped to the bounds.
    a, b : float
        The bounds. No sample is outside them, if the dtype has a number between them.
    dtype : torch.dtype
        The dtype of the tensor to fill. For all dtypes but float64, the core computes in float32, and rounds `mean` and
        `std` to it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number or out of range, or `b` is not above `a`.

    Examples
    --------
    >>> truncated(0.0, 0.02, -2.0, 2.0)
    TruncatedNormal(std=0.02, lower=-100.0, upper=100.0)
    """
    a, b = real("a", a), real("b", b)
    if not a < b:
        raise ValueError(f"a must be below b; got a={a!r} and b={b!r}")
    given = initializers.normal(mean, std)  # raises an error if these are wrong
    centre, scale = (x if dtype == torch.float64 else rounded(x) for x in (given.mean, given.std))
    nearest = initializers.constant(min(max(centre, a), b))
    if scale == 0:
        return nearest
    lower, upper = (a - centre) / scale, (b - centre) / scale
    while math.isfinite(lower) and bound(centre, scale, lower) < a:
        lower = math.nextafter(lower, math.inf)
    while math.isfinite(upper) and bound(centre, scale, upper) > b:
        upper = math.nextafter(upper, -math.inf)
    if not lower < upper:  # a and b are neighbouring numbers
        return nearest
    return initializers.truncated_normal(given.mean, given.std, lower, upper)


def bound(mean: float, std: float, z: float) -> float:
    """Return mean + z std as the core computes it, rounded once."""
    return float(Fraction(mean) + Fraction(std) * Fraction(z)) if mean else std * z


def rounded(x: float) -> float:
    """Round to float32; return a too large value unchanged, which is refused later."""
    return float(np.float32(x)) if abs(x) <= np.finfo(np.float32).max else x


@dataclass(frozen=True)
class Sampler:
    """A torch distribution without a pyinit kernel: NumPy's generator draws it from a stream's words.

    Parameters
    ----------
    name : str
        The name of an operation in `SAMPLERS`.
    arguments : tuple of numbers
        The operation's arguments.
    """

    name: str
    arguments: tuple[float, ...]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"

    def fill(self, out: torch.Tensor, stream: Stream) -> None:
        """Write samples into a tensor."""
        generator = np.random.Generator(BitGenerator(stream))
        values = SAMPLERS[self.name](generator, tuple(out.shape), *self.arguments)
        out.copy_(torch.from_numpy(np.asarray(values)))


# Functions of a generator, a shape and all arguments of the operation, defaults included.
SAMPLERS: dict[str, Callable[..., Any]] = {
    "randperm": lambda g, shape, n: g.permutation(n),
    "randint": lambda g, shape, low, high: g.integers(low, high, shape),
    "bernoulli_": lambda g, shape, p: g.random(shape) < p,
    "exponential_": lambda g, shape, rate: g.exponential(1 / rate, shape),
    "log_normal_": lambda g, shape, mean, std: g.lognormal(mean, std, shape),
    "cauchy_": lambda g, shape, median, sigma: median + sigma * g.standard_cauchy(shape),
    "geometric_": lambda g, shape, p: g.geometric(p, shape),
}
