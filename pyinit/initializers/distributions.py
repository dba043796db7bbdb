"""Schemes whose spread does not depend on the shape: one value, uniform and normal samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyinit.arrays import on_host

if TYPE_CHECKING:
    from pyinit.streams import Stream

__all__ = ["Constant", "Normal", "Uniform", "big", "constant", "normal", "small", "uniform", "zeros"]


@dataclass(frozen=True)
class Constant:
    """Fill with one value; the stream does not move. See `constant`."""

    value: float

    def __call__(self, out: Any, stream: Stream) -> Any:
        on_host(out)[...] = self.value
        return out


@dataclass(frozen=True)
class Uniform:
    """Fill from the uniform distribution on [low, high). See `uniform`."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.high - self.low) and self.low <= self.high):
            raise ValueError(f"low and high must be finite, and low not above high; got {self.low!r} and {self.high!r}")

    def __call__(self, out: Any, stream: Stream) -> Any:
        return stream.fill_uniform(out, low=self.low, high=self.high)


@dataclass(frozen=True)
class Normal:
    """Fill from the normal distribution of a given mean and standard deviation. See `normal`."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"mean and std must be finite, and std not negative; got {self.mean!r} and {self.std!r}")

    def __call__(self, out: Any, stream: Stream) -> Any:
        return stream.fill_normal(out, mean=self.mean, std=self.std)


def constant(value: float) -> Constant:
    """Fill with one value.

    Parameters
    ----------
    value : float
        What every element becomes, rounded to the array's dtype.

    Returns
    -------
    Constant
        A scheme that leaves the stream where it stands.

    Examples
    --------
    >>> import numpy as np
    >>> constant(0.5)(np.empty(3, np.float32), stream=None)
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    return Constant(value)


def zeros() -> Constant:
    """Fill with zeros: right for biases, and wrong for weights.

    All units of a layer then compute the same and receive the same gradient, so they never come to differ.

    Returns
    -------
    Constant
        A scheme that leaves the stream where it stands.

    Source
    ------
    The first experiment of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> zeros()
    Constant(value=0.0)
    """
    return Constant(0.0)


def uniform(low: float = 0.0, high: float = 1.0) -> Uniform:
    """Fill from the uniform distribution on [low, high).

    Parameters
    ----------
    low, high : float
        The interval; `high` itself is never drawn. The defaults are the article's first attempt, whose
        weights are all positive.

    Returns
    -------
    Uniform

    Source
    ------
    Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.

    Examples
    --------
    >>> uniform(-0.05, 0.05)
    Uniform(low=-0.05, high=0.05)
    """
    return Uniform(low, high)


def normal(mean: float = 0.0, std: float = 1.0) -> Normal:
    """Fill from the normal distribution, with a spread that does not depend on the shape.

    Parameters
    ----------
    mean : float
        The centre of the distribution.
    std : float, at least 0
        Its standard deviation. The default is the article's unscaled Gaussian.

    Returns
    -------
    Normal

    Source
    ------
    Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.

    Examples
    --------
    >>> normal(std=0.02)
    Normal(mean=0.0, std=0.02)
    """
    return Normal(mean, std)


def big() -> Normal:
    """Fill from the standard normal distribution, whatever the fans: wide layers saturate.

    Returns
    -------
    Normal

    Source
    ------
    "big" of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> big() == normal(mean=0.0, std=1.0)
    True
    """
    return Normal(0.0, 1.0)


def small() -> Normal:
    """Fill from the normal distribution of standard deviation 0.01: the signal dies out in a deep network.

    Returns
    -------
    Normal

    Source
    ------
    "small" of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> small()
    Normal(mean=0.0, std=0.01)
    """
    return Normal(0.0, 0.01)
