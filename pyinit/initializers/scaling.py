"""Schemes whose spread follows from the shape: a scale divided by a fan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyinit._core import text_of
from pyinit.initializers.base import Scheme
from pyinit.initializers.distributions import Normal, TruncatedNormal, Uniform
from pyinit.initializers.fans import FanScheme

__all__ = ["InverseFanIn", "VarianceScaling", "inverse_fan_in", "variance_scaling"]

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Distribution = Literal["normal", "uniform", "truncated_normal"]

# The standard deviation of a standard normal truncated to [-2, 2]: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
TRUNCATED_STD = 0.87962566103423978


@dataclass(frozen=True, repr=False)
class VarianceScaling(FanScheme):
    """Fill from a centred distribution of variance ``scale / fan``.

    Parameters
    ----------
    scale : float
        The variance of a unit's output, for independent inputs of variance 1, if `mode` is ``"fan_in"``.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        The divisor: the inputs (keeps the spread going forward), the outputs (going backward), the mean of the two, or
        their geometric mean.
    distribution : {"normal", "uniform", "truncated_normal"}
        The truncated normal is cut at two standard deviations. Its normal is wider by 1 / 0.8796, so that the samples
        have the requested variance.
    layout, groups, transposed
        As for `fans`; keywords only.

    Raises
    ------
    ValueError
        If `scale` is negative or not finite, or another parameter is not one of its choices.

    Source
    ------
    The common form of Glorot and Bengio 2010, equation 12, and LeCun et al. 1998, equation 16.

    Examples
    --------
    >>> VarianceScaling(scale=1.0, mode="fan_in").std((3, 4))
    0.5
    >>> VarianceScaling(2.0, "fan_in", "uniform", layout="in_out")
    VarianceScaling(scale=2.0, mode='fan_in', distribution='uniform', layout='in_out')
    """

    scale: float
    mode: Mode
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ValueError(f"scale must be finite and not negative; got {self.scale!r}")
        if not isinstance(self.mode, str) or self.mode not in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
            raise ValueError(f"mode must be 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'; got {text_of(self.mode)}")
        if self.distribution not in ("normal", "uniform", "truncated_normal"):
            raise ValueError(
                f"distribution must be 'normal', 'uniform' or 'truncated_normal'; got {text_of(self.distribution)}"
            )

    def variance(self, shape: Sequence[int]) -> float:
        """Give the variance of the samples for a tensor of this shape."""
        fan_in, fan_out = self.fans(shape)
        fan = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }[self.mode]
        # An empty array may have a fan of 0; there is nothing to fill, so any divisor will do.
        return self.scale / (fan or 1)

    def std(self, shape: Sequence[int]) -> float:
        """Give the standard deviation of the samples for a tensor of this shape."""
        return math.sqrt(self.variance(shape))

    def resolve(self, shape: tuple[int, ...]) -> Scheme:
        if self.distribution == "normal":
            return Normal(0.0, self.std(shape))
        if self.distribution == "truncated_normal":
            return TruncatedNormal(0.0, self.std(shape) / TRUNCATED_STD, -2.0, 2.0)
        bound = math.sqrt(3 * self.variance(shape))
        return Uniform(-bound, bound)


@dataclass(frozen=True, repr=False)
class InverseFanIn(FanScheme):
    """Fill from the centred normal distribution of standard deviation ``scale / fan_in``.

    See `inverse_fan_in` and `mup_output`.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ValueError(f"scale must be finite and not negative; got {self.scale!r}")

    def std(self, shape: Sequence[int]) -> float:
        """Give the standard deviation of the samples for a tensor of this shape."""
        fan_in, _ = self.fans(shape)
        return self.scale / (fan_in or 1)

    def resolve(self, shape: tuple[int, ...]) -> Scheme:
        return Normal(0.0, self.std(shape))


def variance_scaling(
    scale: float,
    mode: Mode,
    distribution: Distribution = "normal",
    **fan_options: Any,
) -> VarianceScaling:
    """Make a `VarianceScaling`; it takes the same parameters.

    Examples
    --------
    >>> variance_scaling(2.0, "fan_in")
    VarianceScaling(scale=2.0, mode='fan_in')
    """
    return VarianceScaling(scale, mode, distribution, **fan_options)


def inverse_fan_in(**fan_options: Any) -> InverseFanIn:
    """Fill from the normal distribution of standard deviation 1 / fan_in.

    The variance is 1 / fan_in², but a layer needs 1 / fan_in to keep its input's spread: here the signal shrinks by
    sqrt(fan_in) at every layer. In a network of one or two layers this does no harm.

    Parameters
    ----------
    **fan_options
        `layout`, `groups` and `transposed` of `fans`.

    Returns
    -------
    InverseFanIn

    Source
    ------
    The last form in Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.

    Examples
    --------
    >>> inverse_fan_in().std((6, 4))
    0.25
    """
    return InverseFanIn(1.0, **fan_options)
