"""Kaiming schemes, also called He schemes: for rectifiers, scaled by the fan of one direction."""

from __future__ import annotations

from typing import Any

from pyinit.initializers.gains import squared_gain
from pyinit.initializers.scaling import Mode, VarianceScaling

__all__ = [
    "he_normal",
    "he_truncated_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_truncated_normal",
    "kaiming_uniform",
]


def kaiming_normal(
    a: float = 0.0, mode: Mode = "fan_in", nonlinearity: str = "leaky_relu", **fan_options: Any
) -> VarianceScaling:
    """Fill from the normal distribution of variance gain² / fan: 2 / fan for rectifiers.

    A rectifier passes half of the signal's power; the 2 compensates for that.

    Parameters
    ----------
    a : float
        The negative slope of "leaky_relu"; the default, 0, makes it "relu". Other nonlinearities ignore it.
    mode : {"fan_in", "fan_out"}
        Whether to keep the spread of the activations going forward, or of the gradients going backward.
    nonlinearity : str
        One that `initializers.gain` knows.
    **fan_options
        `layout`, `groups` and `transposed` of `fans`.

    Returns
    -------
    VarianceScaling

    Source
    ------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015, equations 10 and 14.

    Examples
    --------
    >>> kaiming_normal(mode="fan_out")
    VarianceScaling(scale=2.0, mode='fan_out')
    """
    return VarianceScaling(squared_gain(nonlinearity, a), mode, "normal", **fan_options)


def kaiming_uniform(
    a: float = 0.0, mode: Mode = "fan_in", nonlinearity: str = "leaky_relu", **fan_options: Any
) -> VarianceScaling:
    """Fill uniformly within ± gain sqrt(3 / fan); the parameters are those of `kaiming_normal`.

    PyTorch's own layers use a = sqrt(5), which gives ± 1 / sqrt(fan_in).

    Examples
    --------
    >>> kaiming_uniform().resolve((6, 24))
    Uniform(low=-0.5, high=0.5)
    """
    return VarianceScaling(squared_gain(nonlinearity, a), mode, "uniform", **fan_options)


def kaiming_truncated_normal(
    a: float = 0.0, mode: Mode = "fan_in", nonlinearity: str = "leaky_relu", **fan_options: Any
) -> VarianceScaling:
    """Fill as `kaiming_normal`, but truncated at two standard deviations: Keras and JAX call this one he_normal.

    Examples
    --------
    >>> kaiming_truncated_normal(nonlinearity="tanh")
    VarianceScaling(scale=2.7777777777777777, mode='fan_in', distribution='truncated_normal')
    """
    return VarianceScaling(squared_gain(nonlinearity, a), mode, "truncated_normal", **fan_options)


he_normal, he_uniform, he_truncated_normal = kaiming_normal, kaiming_uniform, kaiming_truncated_normal
