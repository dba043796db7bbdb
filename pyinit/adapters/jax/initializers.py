"""The functions of `jax.nn.initializers`, with the same names and arguments, drawing pyinit's random numbers.

Each returns an initializer, a function of ``(key, shape, dtype=None, out_sharding=None)``. Use it in Flax's modules,
Haiku's, and your own code, with or without `jax.jit`, `jax.vmap` and shardings. Keys may be typed or raw, and the key's
words are the seed: with ``jax.random.key(7)``, an initializer gives the array of ``pyinit.Stream(7)``. Distributions
are JAX's. `constant`, `ones` and `zeros` are JAX's own functions.
"""

from __future__ import annotations

from typing import Any, Literal

from jax.nn.initializers import constant, ones, zeros

from pyinit import initializers
from pyinit.adapters.jax.kinds import Axes, ColumnInitializer, FanInitializer, Initializer, axes
from pyinit.initializers import VarianceScaling

__all__ = [
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def __dir__() -> list[str]:
    return __all__


Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Distribution = Literal["truncated_normal", "normal", "uniform"]


def normal(stddev: float = 1e-2, dtype: Any = None) -> Initializer:
    """Return an initializer of normal samples.

    Parameters
    ----------
    stddev : float
        At least 0.
    dtype : dtype, optional
        The default dtype of a call; None: JAX's default.

    Returns
    -------
    callable
        A function of ``(key, shape, dtype=None, out_sharding=None)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number or out of range.

    Examples
    --------
    >>> import jax
    >>> weights = normal(1.0)(jax.random.key(7), (3, 4))
    >>> bool((weights == pyinit.Stream(7).normal((3, 4))).all())
    True
    """
    return Initializer(initializers.normal(0.0, stddev), dtype)


def uniform(scale: float = 1e-2, dtype: Any = None) -> Initializer:
    """Return an initializer of uniform samples in [0, scale); the rest is as for `normal`.

    Examples
    --------
    >>> import jax
    >>> bool(uniform(2.0)(jax.random.key(0), (1000,)).max() < 2)
    True
    """
    return Initializer(initializers.uniform(0.0, scale), dtype)


def truncated_normal(stddev: float = 1e-2, dtype: Any = None, lower: float = -2.0, upper: float = 2.0) -> Initializer:
    """Return an initializer of normal samples between two bounds; the rest is as for `normal`.

    Parameters
    ----------
    stddev : float
        The standard deviation before truncation; that of the samples is smaller.
    dtype : dtype, optional
    lower, upper : float
        The bounds, in standard deviations.

    Examples
    --------
    >>> import jax
    >>> bool(abs(truncated_normal(0.5)(jax.random.key(0), (1000,))).max() <= 1)
    True
    """
    return Initializer(initializers.truncated_normal(0.0, stddev, lower, upper), dtype)


def variance_scaling(
    scale: float,
    mode: Mode,
    distribution: Distribution,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Return an initializer of samples with variance ``scale / fan``.

    Parameters
    ----------
    scale : float
        At least 0.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        The fan: the inputs of a unit, the outputs that an input reaches, or one of their means.
    distribution : {"truncated_normal", "normal", "uniform"}
        "truncated_normal" is truncated at two standard deviations, and widened to keep the variance.
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes of inputs, of outputs, and of independent arrays side by side. All others belong to a kernel.
    dtype : dtype, optional

    Returns
    -------
    callable
        As for `normal`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range. The initializer raises ValueError if a shape lacks one of
        the axes.

    Examples
    --------
    >>> import jax
    >>> init = variance_scaling(2.0, "fan_in", "normal")
    >>> init(jax.random.key(0), (800, 100)).std().round(3).item()
    0.05000000074505806
    """
    scheme = VarianceScaling(scale, mode, distribution, layout="in_out")
    given = {"in_axis": in_axis, "out_axis": out_axis, "batch_axis": batch_axis}
    return FanInitializer(scheme, dtype, **{name: axes(name, value) for name, value in given.items()})


def glorot_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(1.0, "fan_avg", "uniform")`` with such axes."""
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(1.0, "fan_avg", "truncated_normal")`` with such axes."""
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(1.0, "fan_in", "uniform")`` with such axes."""
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(1.0, "fan_in", "truncated_normal")`` with such axes."""
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(2.0, "fan_in", "uniform")`` with such axes."""
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Return ``variance_scaling(2.0, "fan_in", "truncated_normal")`` with such axes."""
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Return an initializer of random orthogonal matrices, uniformly distributed.

    Parameters
    ----------
    scale : float
        A factor on the matrix.
    column_axis : int
        The axis of the columns, the last or the first; all others together are the rows.
    dtype : dtype, optional

    Returns
    -------
    callable
        As for `normal`. NumPy computes the decomposition; inside `jax.jit` it runs in a callback on the host.

    Examples
    --------
    >>> import jax
    >>> w = orthogonal()(jax.random.key(0), (8, 3))
    >>> bool(abs(w.T @ w - jax.numpy.eye(3)).max() < 1e-5)
    True
    """
    return ColumnInitializer(initializers.orthogonal(scale, "out_in"), dtype, column_axis)


def delta_orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Return an initializer for convolution kernels: zeros, with an orthogonal matrix at the centre.

    Parameters
    ----------
    scale : float
        A factor on the matrix.
    column_axis : int
        Either axis of the matrix; the distribution does not depend on it.
    dtype : dtype, optional

    Returns
    -------
    callable
        As for `normal`, for shapes ``(*kernel, in, out)`` with 1 to 3 kernel axes and `in` at most `out`.

    Examples
    --------
    >>> import jax
    >>> w = delta_orthogonal()(jax.random.key(0), (3, 2, 4))
    >>> bool(abs(w[1] @ w[1].T - jax.numpy.eye(2)).max() < 1e-5), w[0].any().item()
    (True, False)
    """
    return Initializer(initializers.delta_orthogonal(scale, "in_out"), dtype)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
