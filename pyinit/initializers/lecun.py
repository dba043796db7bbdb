"""LeCun's: the variance that keeps a linear layer's signal as it is."""

from __future__ import annotations

from typing import Any

from pyinit.initializers.scaling import VarianceScaling

__all__ = ["lecun_normal", "lecun_truncated_normal", "lecun_uniform"]


def lecun_normal(**fan_options: Any) -> VarianceScaling:
    """Fill from the normal distribution of standard deviation 1 / sqrt(fan_in).

    What self-normalising networks of SELU ask for, too.

    Parameters
    ----------
    **fan_options
        `layout`, `groups` and `transposed`, as for `fans`.

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
    """Fill from the uniform distribution of standard deviation 1 / sqrt(fan_in).

    Its bounds are ± sqrt(3 / fan_in).

    Parameters
    ----------
    **fan_options
        `layout`, `groups` and `transposed`, as for `fans`.

    Returns
    -------
    VarianceScaling

    Source
    ------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, equation 16.

    Examples
    --------
    >>> lecun_uniform()
    VarianceScaling(scale=1.0, mode='fan_in', distribution='uniform')
    >>> lecun_uniform().std((6, 4))
    0.5
    """
    return VarianceScaling(1.0, "fan_in", "uniform", **fan_options)


def lecun_truncated_normal(**fan_options: Any) -> VarianceScaling:
    """Fill from the truncated normal distribution of standard deviation 1 / sqrt(fan_in).

    What Keras and JAX call lecun_normal.

    Parameters
    ----------
    **fan_options
        `layout`, `groups` and `transposed`, as for `fans`.

    Returns
    -------
    VarianceScaling

    Source
    ------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, equation 16, with the normal
    distribution cut at two of its standard deviations.

    Examples
    --------
    >>> lecun_truncated_normal()
    VarianceScaling(scale=1.0, mode='fan_in', distribution='truncated_normal')
    >>> lecun_truncated_normal().std((6, 4))
    0.5
    """
    return VarianceScaling(1.0, "fan_in", "truncated_normal", **fan_options)
