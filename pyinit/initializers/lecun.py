"""LeCun schemes: with their variance a linear layer keeps the signal's spread."""

from __future__ import annotations

from typing import Any

from pyinit.initializers.scaling import VarianceScaling

__all__ = ["lecun_normal", "lecun_truncated_normal", "lecun_uniform"]


def lecun_normal(**fan_options: Any) -> VarianceScaling:
    """Fill from the normal distribution of standard deviation 1 / sqrt(fan_in), also the one for SELU.

    Parameters
    ----------
    **fan_options
        `layout`, `groups` and `transposed` of `fans`.

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
    return VarianceScaling(1.0, "fan_in", "normal", **fan_options)


def lecun_uniform(**fan_options: Any) -> VarianceScaling:
    """Fill uniformly within ± sqrt(3 / fan_in); the parameters are those of `lecun_normal`.

    Examples
    --------
    >>> lecun_uniform().resolve((6, 12))
    Uniform(low=-0.5, high=0.5)
    """
    return VarianceScaling(1.0, "fan_in", "uniform", **fan_options)


def lecun_truncated_normal(**fan_options: Any) -> VarianceScaling:
    """Fill as `lecun_normal`, but truncated at two standard deviations: Keras and JAX call this one lecun_normal.

    Examples
    --------
    >>> lecun_truncated_normal().std((6, 4))
    0.5
    """
    return VarianceScaling(1.0, "fan_in", "truncated_normal", **fan_options)
