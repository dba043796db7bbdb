"""Gains: the factors on weights that compensate for what a non-linearity takes from the signal."""

from __future__ import annotations

import math

from pyinit._core import text_of
from pyinit.initializers.base import real

__all__ = ["gain", "squared_gain"]

LINEAR = (
    "linear",
    "identity",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)

# The reciprocal of E f(z)^2 for a standard normal z. GELU, z Phi(z): 1/3 + 1 / (2 pi sqrt(3)), by Stein's identity.
# SiLU, z / (1 + exp(-z)): by numerical integration with 40 digits.
SQUARED_GAINS = {
    **dict.fromkeys(LINEAR, 1.0),
    "sigmoid": 1.0,
    "tanh": 25 / 9,
    "relu": 2.0,
    "selu": 9 / 16,
    "gelu": 1 / (1 / 3 + 1 / (2 * math.pi * math.sqrt(3))),
    "silu": 1 / 0.35577551981735216,
    "swish": 1 / 0.35577551981735216,
}


def gain(nonlinearity: str, param: float | None = None) -> float:
    """Give the factor on the weights' standard deviation for the non-linearity that follows them.

    Parameters
    ----------
    nonlinearity : str
        "linear" or "identity" (1; PyTorch's names of convolutions too), "sigmoid" (1), "tanh" (5/3), "relu"
        (sqrt(2)), "leaky_relu" (sqrt(2 / (1 + a²))), "selu" (3/4), "gelu" (1.5335), "silu" or "swish" (1.6765).
    param : float, optional
        The negative slope a of "leaky_relu", by default 0.01. The other non-linearities ignore it.

    Returns
    -------
    float
        For "relu", "leaky_relu", "gelu" and "silu" it is 1 / sqrt(E f(z)²) for a standard normal z, to the last digits
        of a double: the next layer's sums then have the same variance as this layer's. "gelu" is the exact GELU, with
        the normal distribution function; the gain of the tanh approximation differs by less than 1e-3. For "tanh" and
        "selu" it is PyTorch's number, found by experiment; the formula would give 1.5925 and 1.

    Raises
    ------
    TypeError
        If `param` is not a number.
    ValueError
        If there is no such non-linearity, or `param` is not finite.

    Source
    ------
    `torch.nn.init.calculate_gain`; He et al., "Delving Deep into Rectifiers", 2015, equations 10 and 15.

    Examples
    --------
    >>> gain("relu") == 2**0.5, round(gain("gelu"), 4)
    (True, 1.5335)
    """
    return math.sqrt(squared_gain(nonlinearity, param))


def squared_gain(nonlinearity: str, param: float | None = None) -> float:
    """Give the square of `gain`, the factor on the variance, without rounding a square root."""
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool):
            raise TypeError(f"param must be a real number, the negative slope of leaky_relu; got {param!r}")
        slope = 0.01 if param is None else real("param", param)
        if not math.isfinite(slope):
            raise ValueError(f"param must be finite, the negative slope of leaky_relu; got {param!r}")
        return 2.0 / (1.0 + slope * slope)
    if not isinstance(nonlinearity, str) or nonlinearity not in SQUARED_GAINS:
        known = ", ".join(sorted({*SQUARED_GAINS, "leaky_relu"}))
        raise ValueError(f"nonlinearity must be one of {known}; got {text_of(nonlinearity)}")
    return SQUARED_GAINS[nonlinearity]
