"""Xavier schemes, also called Glorot schemes: scaled by the mean of both fans."""

from __future__ import annotations

from typing import Any

from pyinit.initializers.base import real
from pyinit.initializers.scaling import VarianceScaling

__all__ = [
    "glorot_normal",
    "glorot_truncated_normal",
    "glorot_uniform",
    "xavier_normal",
    "xavier_truncated_normal",
    "xavier_uniform",
]


def xavier_normal(gain: float = 1.0, **fan_options: Any) -> VarianceScaling:
    """Fill from the normal distribution of variance gain² 2 / (fan_in + fan_out).

    This is a compromise between keeping the spread of the activations going forward (1 / fan_in) and that of the
    gradients going backward (1 / fan_out), for units that are linear around 0, such as tanh.

    Parameters
    ----------
    gain : float
        A factor on the standard deviation, for the nonlinearity after the weights: see `initializers.gain`.
    **fan_options
        `layout`, `groups` and `transposed` of `fans`.

    Returns
    -------
    VarianceScaling

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equations 12 and 16; the Xavier initialisation of Djuric's article.

    Examples
    --------
    >>> xavier_normal()
    VarianceScaling(scale=1.0, mode='fan_avg')
    >>> xavier_normal().std((6, 2))
    0.5
    """
    return VarianceScaling(squared(gain), "fan_avg", "normal", **fan_options)


def xavier_uniform(gain: float = 1.0, **fan_options: Any) -> VarianceScaling:
    """Fill uniformly within ± gain sqrt(6 / (fan_in + fan_out)); the parameters are those of `xavier_normal`.

    Examples
    --------
    >>> xavier_uniform().resolve((20, 4))
    Uniform(low=-0.5, high=0.5)
    """
    return VarianceScaling(squared(gain), "fan_avg", "uniform", **fan_options)


def xavier_truncated_normal(gain: float = 1.0, **fan_options: Any) -> VarianceScaling:
    """Fill as `xavier_normal`, but truncated at two standard deviations: Keras and JAX call this one glorot_normal.

    Examples
    --------
    >>> xavier_truncated_normal(5 / 3).std((6, 2))
    0.8333333333333334
    """
    return VarianceScaling(squared(gain), "fan_avg", "truncated_normal", **fan_options)


def squared(gain: float) -> float:
    """Give the factor on the variance; infinity, which is refused as a scale, if a float cannot hold it."""
    factor = real("gain", gain)
    return factor * factor


glorot_normal, glorot_uniform, glorot_truncated_normal = xavier_normal, xavier_uniform, xavier_truncated_normal
