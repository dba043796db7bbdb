"""Schemes that depend on a network's depth, or that make training the same at every width."""

from __future__ import annotations

import math
from typing import Any

from pyinit.initializers.base import real
from pyinit.initializers.distributions import Normal
from pyinit.initializers.scaling import InverseFanIn, VarianceScaling
from pyinit.streams import integer

__all__ = ["gpt2_residual", "mup_hidden", "mup_input", "mup_output"]


def gpt2_residual(layers: int, std: float = 0.02) -> Normal:
    """Fill the projections onto a residual path: std / sqrt(2 layers), so its variance does not grow with depth.

    Each layer of a transformer adds to the path twice, after the attention and after the dense layers, so the path ends
    as a sum of ``2 * layers`` independent terms. GPT-2's other weights are normal with std 0.02.

    Parameters
    ----------
    layers : int, at least 1
        The number of layers of the transformer.
    std : float, at least 0
        The standard deviation of the other weights.

    Returns
    -------
    Normal

    Raises
    ------
    TypeError
        If `layers` is not an integer.
    ValueError
        If `layers` is below 1.

    Source
    ------
    Radford, Wu, Child, Luan, Amodei and Sutskever, "Language Models are Unsupervised Multitask Learners", 2019,
    section 2.3: weights of residual layers are scaled by 1 / sqrt(N), for N residual layers.

    Examples
    --------
    >>> gpt2_residual(layers=50)
    Normal(std=0.002)
    """
    if integer("layers", layers) < 1:
        raise ValueError(f"layers must be at least 1; got {layers!r}")
    return Normal(0.0, real("std", std) / math.sqrt(2 * real("layers", layers)))


def mup_input(scale: float = 1.0, **fan_options: Any) -> VarianceScaling:
    """Fill the input weights of a network in the maximal update parametrisation: variance scale / fan_in.

    Parameters
    ----------
    scale : float, at least 0
    **fan_options
        `layout`, `groups` and `transposed` of `fans`.

    Returns
    -------
    VarianceScaling

    Source
    ------
    Yang et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer", 2022,
    table 3. Set its learning rates in the optimiser.

    Examples
    --------
    >>> mup_input(2.0)
    VarianceScaling(scale=2.0, mode='fan_in')
    """
    return VarianceScaling(scale, "fan_in", **fan_options)


def mup_hidden(scale: float = 1.0, **fan_options: Any) -> VarianceScaling:
    """Fill the hidden weights in the maximal update parametrisation: variance scale / fan_in, as `mup_input` does.

    Examples
    --------
    >>> mup_hidden()
    VarianceScaling(scale=1.0, mode='fan_in')
    """
    return VarianceScaling(scale, "fan_in", **fan_options)


def mup_output(base_width: int = 1, scale: float = 1.0, **fan_options: Any) -> InverseFanIn:
    """Fill the output weights in the maximal update parametrisation: variance scale base_width / fan_in².

    This variance shrinks faster with the width than scale / fan_in. As networks get wider, their outputs then start
    ever closer to 0, yet a training step still moves them as much. At the base width the two variances are equal. Table
    8 of the paper multiplies the output by base_width / fan_in instead: the weights then start with variance
    scale / base_width at every width.

    Parameters
    ----------
    base_width : int, at least 1
        The layer's fan_in in the small network whose hyperparameters are reused.

    Raises
    ------
    ValueError
        If `base_width` is below 1 or `scale` negative.

    Examples
    --------
    >>> mup_output(base_width=64).std((10, 64)) == mup_hidden().std((10, 64))
    True
    >>> mup_output(base_width=64).std((10, 256))
    0.03125
    """
    width, factor = real("base_width", base_width), real("scale", scale)
    if width < 1 or factor < 0:
        raise ValueError(f"base_width must be at least 1 and scale not negative; got {base_width!r} and {scale!r}")
    return InverseFanIn(math.sqrt(factor * width), **fan_options)
