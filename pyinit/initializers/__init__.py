"""Initialisation schemes: small frozen values that fill an array in place from a stream.

A scheme is called as ``scheme(out, stream)`` and returns ``out``. It says which distribution to ask the
stream for, and with which spread; the random numbers themselves are the stream's. Schemes print as what
they do, compare by value, and can be pickled.

The families are one-line specialisations of a few classes: `Constant`, `Uniform`, `Normal`, and
`VarianceScaling`, whose spread follows from the shape of the array.
"""

from pyinit.initializers.configuration import scheme
from pyinit.initializers.distributions import Constant, Normal, Uniform, big, constant, normal, small, uniform, zeros
from pyinit.initializers.fans import fans
from pyinit.initializers.variance_scaling import (
    InverseFanIn,
    VarianceScaling,
    glorot_normal,
    inverse_fan_in,
    lecun_normal,
    xavier_normal,
)

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
    "scheme",
    "small",
    "uniform",
    "xavier_normal",
    "zeros",
]
