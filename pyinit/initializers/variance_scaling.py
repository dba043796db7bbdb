"""Schemes whose spread follows from the shape: Xavier, LeCun and their kin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyinit.arrays import on_host
from pyinit.initializers.fans import fans

if TYPE_CHECKING:
    from pyinit.streams import Stream

__all__ = ["InverseFanIn", "VarianceScaling", "glorot_normal", "inverse_fan_in", "lecun_normal", "xavier_normal"]

Mode = Literal["fan_in", "fan_out", "fan_avg"]


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
