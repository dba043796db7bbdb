"""Initialisation schemes: small frozen values that fill an array in place from a stream.

A scheme is called as ``scheme(out, stream)`` and returns ``out``. It says which distribution to ask the
stream for, and with which spread; the random numbers themselves are the stream's. Schemes print as what
they do, compare by value, and can be pickled.

The families are one-line specialisations of a few classes: `Constant`, `Uniform`, `Normal`, and
`VarianceScaling`, whose spread follows from the shape of the array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyinit.arrays import on_host

if TYPE_CHECKING:
    from pyinit.streams import Stream

__all__ = [
    "Constant",
    "InverseFanIn",
    "Normal",
    "Uniform",
    "VarianceScaling",
    "big",
    "constant",
    "fans",
    "glorot_normal",
    "inverse_fan_in",
    "lecun_normal",
    "normal",
    "small",
    "uniform",
    "xavier_normal",
    "zeros",
]

Mode = Literal["fan_in", "fan_out", "fan_avg"]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Count the inputs that one unit of a weight array sees, and the outputs that one input reaches.

    Parameters
    ----------
    shape : sequence of int
        ``(fan_out, fan_in)``, or ``(out, in, *kernel)`` for a convolution, as in PyTorch.

    Returns
    -------
    fan_in, fan_out : int
        Each multiplied by the size of the receptive field, the product of the kernel's dimensions.

    Raises
    ------
    ValueError
        If the shape has fewer than two dimensions: a vector has no fans.

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    section 4.2.1; for kernels, He et al., "Delving Deep into Rectifiers", 2015, section 2.2.

    Examples
    --------
    >>> fans((4, 2)), fans((64, 3, 7, 7))
    ((2, 4), (147, 3136))
    """
    if len(shape) < 2:
        raise ValueError(f"fans need an array of at least 2 dimensions, (out, in, ...); got shape {tuple(shape)}")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field


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


@dataclass(frozen=True)
class VarianceScaling:
    """Fill from the centred normal distribution of variance ``scale / fan``.

    Parameters
    ----------
    scale : float
        The variance of a unit's output, for independent inputs of variance 1, when `mode` is ``"fan_in"``.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Which fan divides: the inputs (keeps the spread going forward), the outputs (going backward), or
        the mean of the two.

    Source
    ------
    The common form of Glorot and Bengio 2010, equation 12, and LeCun et al. 1998, equation 16.

    Examples
    --------
    >>> VarianceScaling(scale=1.0, mode="fan_in").std((3, 4))
    0.5
    """

    scale: float
    mode: Mode

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ValueError(f"scale must be finite and not negative; got {self.scale!r}")
        if self.mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg'; got {self.mode!r}")

    def std(self, shape: Sequence[int]) -> float:
        """Give the standard deviation for an array of this shape, ``(fan_out, fan_in)`` or a kernel's."""
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        # An array without elements may have a fan of 0; there is nothing to fill, so any std will do.
        return math.sqrt(self.scale / (fan or 1))

    def __call__(self, out: Any, stream: Stream) -> Any:
        return stream.fill_normal(out, mean=0.0, std=self.std(on_host(out).shape))


@dataclass(frozen=True)
class InverseFanIn:
    """Fill from the centred normal distribution of standard deviation 1/fan_in. See `inverse_fan_in`."""

    def std(self, shape: Sequence[int]) -> float:
        """Give the standard deviation for an array of this shape, ``(fan_out, fan_in)`` or a kernel's."""
        fan_in, _ = fans(shape)
        return 1 / (fan_in or 1)

    def __call__(self, out: Any, stream: Stream) -> Any:
        return stream.fill_normal(out, mean=0.0, std=self.std(on_host(out).shape))


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


def xavier_normal() -> VarianceScaling:
    """Fill from the normal distribution of variance 2 / (fan_in + fan_out).

    A compromise between keeping the spread of the activations going forward (1 / fan_in) and that of the
    gradients going backward (1 / fan_out), for units that are linear around 0, such as tanh.

    Returns
    -------
    VarianceScaling

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 12; the Xavier initialisation of Djuric's article.

    Examples
    --------
    >>> xavier_normal()
    VarianceScaling(scale=1.0, mode='fan_avg')
    >>> xavier_normal().std((6, 2))
    0.5
    """
    return VarianceScaling(1.0, "fan_avg")


glorot_normal = xavier_normal


def lecun_normal() -> VarianceScaling:
    """Fill from the normal distribution of standard deviation 1 / sqrt(fan_in).

    Returns
    -------
    VarianceScaling

    Source
    ------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, equation 16. The notebook page on weight
    initialisation and activations calls it Xavier.

    Examples
    --------
    >>> lecun_normal()
    VarianceScaling(scale=1.0, mode='fan_in')
    >>> lecun_normal().std((6, 4))
    0.5
    """
    return VarianceScaling(1.0, "fan_in")


def inverse_fan_in() -> InverseFanIn:
    """Fill from the normal distribution of standard deviation 1 / fan_in.

    The variance is 1 / fan_in², where a layer that keeps its input's spread needs 1 / fan_in: the signal
    shrinks by sqrt(fan_in) at every layer. A network of one or two layers does not mind.

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
    return InverseFanIn()
