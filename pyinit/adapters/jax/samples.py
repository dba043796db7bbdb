"""Random arrays from a key: `normal`, `uniform` and `truncated_normal`."""

from __future__ import annotations

from typing import Any

import jax

from pyinit import initializers
from pyinit.adapters.jax.drawing import draw
from pyinit.hints import explained, right_call

__all__ = ["normal", "truncated_normal", "uniform"]


@explained(right_call)
def normal(
    key: Any, shape: Any = (), dtype: Any = None, mean: float = 0.0, std: float = 1.0, **placement: Any
) -> jax.Array:
    """Return an array of normal samples.

    Parameters
    ----------
    key : key
        A typed key, such as ``jax.random.key(0)``, or a raw one. Its words are the seed.
    shape : int or sequence of int
    dtype : dtype, optional
        float32, bfloat16, float16, float8_e4m3fn, float8_e5m2, or float64 if JAX's 64-bit types are enabled. Complex
        too, if the mean is 0: the real and imaginary parts then have half the variance each. None: JAX's default.
    mean, std : float
        `std` must be at least 0.
    out_sharding : Sharding or PartitionSpec, optional
        The array's sharding; a PartitionSpec refers to the mesh that `jax.set_mesh` set.
    global_shape : sequence of int, optional
        Make a block of a tensor with this shape, with the same bits as that part of it. None: the array is the whole.
    offset : sequence of int, or array of integers, optional
        The block's offset in the tensor, for example in `jax.shard_map`; it may be traced. None: zeros.
    generator : {"philox", "ars5", "ars7"}
        As for `pyinit.Stream`.

    Returns
    -------
    jax.Array

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value.

    Examples
    --------
    >>> whole = normal(jax.random.key(7), (4, 6))
    >>> block = normal(jax.random.key(7), (4, 2), global_shape=(4, 6), offset=(0, 3))
    >>> same = whole == pyinit.Stream(7).normal((4, 6))
    >>> bool((block == whole[:, 3:5]).all()), bool(same.all())
    (True, True)
    """
    return draw(initializers.normal(mean, std), key, shape, dtype, **placement)


@explained(right_call)
def uniform(
    key: Any, shape: Any = (), dtype: Any = None, low: float = 0.0, high: float = 1.0, **placement: Any
) -> jax.Array:
    """Return an array of uniform samples in [low, high); the other arguments are those of `normal`.

    Examples
    --------
    >>> uniform(jax.random.key(0), 2, low=-1.0).shape
    (2,)
    """
    return draw(initializers.uniform(low, high), key, shape, dtype, **placement)


@explained(right_call)
def truncated_normal(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    mean: float = 0.0,
    std: float = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
    **placement: Any,
) -> jax.Array:
    """Return an array of normal samples between two bounds; the other arguments are those of `normal`.

    Parameters
    ----------
    mean, std : float
        The mean and std before truncation.
    lower, upper : float
        The bounds, in standard deviations from the mean.

    Examples
    --------
    >>> bool(abs(truncated_normal(jax.random.key(0), 1000, std=3.0)).max() <= 6)
    True
    """
    return draw(initializers.truncated_normal(mean, std, lower, upper), key, shape, dtype, **placement)
