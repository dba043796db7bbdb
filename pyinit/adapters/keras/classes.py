"""Keras's initializers: each is a function with Keras's name, arguments and distribution, which returns the scheme."""

from __future__ import annotations

from typing import Any

from pyinit import initializers
from pyinit._core import text_of
from pyinit.adapters.keras.initializer import constant, random
from pyinit.initializers import Scheme

__all__ = [
    "Constant",
    "FromScheme",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]

# Keras's names for the distributions of VarianceScaling, and pyinit's.
DISTRIBUTIONS = {
    "normal": "truncated_normal",
    "truncated_normal": "truncated_normal",
    "untruncated_normal": "normal",
    "uniform": "uniform",
}


@random
def FromScheme(scheme: Any) -> Scheme:
    """Any scheme of `pyinit.initializers`, or a string or mapping that `pyinit.initializers.scheme` takes.

    Fans are those of Keras's kernels, ``(*kernel, in, out)``, whatever the scheme's layout. A saved model keeps the
    scheme as text, so a model with your own scheme class cannot be loaded.

    Examples
    --------
    >>> from pyinit.adapters.keras import FromScheme
    >>> FromScheme("gpt2_residual(layers=12)", seed=0).scheme
    Normal(std=0.004082482904638631)
    """
    made = initializers.scheme(scheme)
    if not isinstance(made, Scheme):
        raise TypeError(f"scheme must be one of pyinit.initializers; got {made!r}")
    return made


@random
def RandomNormal(mean: float = 0.0, stddev: float = 0.05) -> Scheme:
    """Normal samples."""
    return initializers.normal(mean, stddev)


@random
def RandomUniform(minval: float = -0.05, maxval: float = 0.05) -> Scheme:
    """Uniform samples in [minval, maxval)."""
    return initializers.uniform(minval, maxval)


@random
def TruncatedNormal(mean: float = 0.0, stddev: float = 0.05) -> Scheme:
    """Normal samples, truncated at two standard deviations from the mean."""
    return initializers.truncated_normal(mean, stddev)


@random
def VarianceScaling(scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> Scheme:
    """Samples with variance ``scale / fan``.

    `mode` is "fan_in", "fan_out", "fan_avg" or "fan_geo_avg". `distribution` is "truncated_normal", which is truncated
    at two standard deviations and widened to keep the variance, "untruncated_normal" or "uniform".
    """
    name = distribution.lower() if isinstance(distribution, str) else distribution
    if not isinstance(name, str) or name not in DISTRIBUTIONS:
        raise ValueError(
            f"distribution must be one of {', '.join(map(repr, DISTRIBUTIONS))}; got {text_of(distribution)}"
        )
    kind: Any = DISTRIBUTIONS[name]
    fan: Any = mode
    return initializers.variance_scaling(scale, fan, kind)


@random
def GlorotNormal() -> Scheme:
    """Truncated normal samples with variance 2 / (fan_in + fan_out)."""
    return initializers.glorot_truncated_normal()


@random
def GlorotUniform() -> Scheme:
    """Uniform samples within ± sqrt(6 / (fan_in + fan_out))."""
    return initializers.glorot_uniform()


@random
def HeNormal() -> Scheme:
    """Truncated normal samples with variance 2 / fan_in."""
    return initializers.he_truncated_normal()


@random
def HeUniform() -> Scheme:
    """Uniform samples within ± sqrt(6 / fan_in)."""
    return initializers.he_uniform()


@random
def LecunNormal() -> Scheme:
    """Truncated normal samples with variance 1 / fan_in."""
    return initializers.lecun_truncated_normal()


@random
def LecunUniform() -> Scheme:
    """Uniform samples within ± sqrt(3 / fan_in)."""
    return initializers.lecun_uniform()


@random
def Orthogonal(gain: float = 1.0) -> Scheme:
    """A matrix with orthonormal rows or columns, whichever are fewer, times a gain; a kernel's inputs are rows."""
    return initializers.orthogonal(gain)


@constant
def Identity(gain: float = 1.0) -> Scheme:
    """A matrix with `gain` on its diagonal and zeros elsewhere."""
    return initializers.identity(gain)


@constant
def Zeros() -> Scheme:
    """Zeros."""
    return initializers.zeros()


@constant
def Ones() -> Scheme:
    """Ones."""
    return initializers.ones()


@constant
def Constant(value: float = 0.0) -> Scheme:
    """One value."""
    return initializers.constant(value)


OrthogonalInitializer, IdentityInitializer = Orthogonal, Identity  # Keras has both names
