"""One array of one key: made at once, or by the program that is being traced."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pyinit import _core
from pyinit.adapters.jax.arrays import NewArray
from pyinit.adapters.jax.keys import key_words, stream_of
from pyinit.adapters.jax.programs import Fill, program
from pyinit.initializers import Normal, Scheme
from pyinit.models import fill

__all__ = ["draw"]

DTYPES = tuple(name for name in _core.DTYPES if name != "uint32")


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple of int, or raise TypeError or ValueError."""
    try:
        axes = tuple(operator.index(n) for n in (shape if isinstance(shape, Sequence) else (shape,)))
    except TypeError:
        raise TypeError(f"shape must be an int or a sequence of int; got {shape!r}") from None
    if min(axes, default=0) < 0:
        raise ValueError(f"shape must not be negative; got {axes}")
    return axes


def draw(
    scheme: Scheme,
    key: Any,
    shape: Any,
    dtype: Any = None,
    *,
    generator: str = "philox",
    out_sharding: Any = None,
    global_shape: Any = None,
    offset: Any = None,
) -> jax.Array:
    """Make an array, or a block of one, by a scheme and a key.

    Parameters
    ----------
    scheme : Scheme
    key : key
        Typed or raw.
    shape : sequence of int
    dtype : dtype, optional
    generator : {"philox", "ars5", "ars7"}
    out_sharding : Sharding or PartitionSpec, optional
    global_shape : sequence of int, optional
        Of the tensor that the array is a block of. None: the array is the whole.
    offset : sequence of int or array of integers, optional
        Where in the tensor the block begins; may be traced. None: at its first element.

    Returns
    -------
    jax.Array
    """
    shape, dtype = checked_shape(shape), jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
    whole = shape if global_shape is None else checked_shape(global_shape)
    if dtype.kind == "c" and type(scheme) is Normal and not scheme.mean and global_shape is None:
        parts = Normal(0.0, scheme.std * math.sqrt(0.5))
        pairs = draw(parts, key, (*shape, 2), f"f{dtype.itemsize // 2}", generator=generator, out_sharding=out_sharding)
        return jax.lax.complex(pairs[..., 0], pairs[..., 1])
    if dtype.name not in DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(DTYPES)}, or complex for normal; got {dtype.name}")
    if len(whole) != len(shape) or any(n > m for n, m in zip(shape, whole)):
        raise ValueError(f"global_shape must contain the shape {shape}; got {whole}")
    if generator not in _core.GENERATORS:
        raise ValueError(f"generator must be one of {', '.join(_core.GENERATORS)}; got {generator!r}")
    scheme = scheme.resolve(whole)
    scheme.check(dtype, whole)
    words = key_words(key)
    if isinstance(words, jax.core.Tracer) or isinstance(offset, jax.core.Tracer):
        return constrained(traced(Fill(scheme, generator, dtype, shape, whole), words, offset), out_sharding)
    origin = (0,) * len(shape) if offset is None else tuple(check_offset(np.asarray(offset), shape).tolist())
    new = NewArray(shape, dtype, out_sharding)
    fill(new.parameters(None, scheme, whole, origin), stream_of(np.asarray(words), generator))
    return new.array()


def traced(fill: Fill, words: jax.Array, offset: Any) -> jax.Array:
    """Make the array in the program that is being traced."""
    if not fill.shape:  # XLA has no empty attribute
        vector = Fill(fill.scheme, fill.generator, fill.dtype, (1,), (1,))
        return program(vector)(words, jnp.zeros(1, jnp.uint32)).reshape(())
    if max(fill.global_shape) >= 1 << 32:
        raise ValueError(f"in a program, an axis must have fewer than 2**32 elements; got {fill.global_shape}")
    start = jnp.zeros(len(fill.shape), jnp.uint32) if offset is None else jnp.asarray(offset).astype(jnp.uint32)
    return program(fill)(words, check_offset(start, fill.shape))


def check_offset(offset: Any, shape: tuple[int, ...]) -> Any:
    """Return an offset, or raise ValueError if it does not have a number for each dimension."""
    if offset.shape != (len(shape),):
        raise ValueError(f"offset must have one number for each dimension of {shape}; got shape {offset.shape}")
    return offset


def constrained(array: jax.Array, out_sharding: Any) -> jax.Array:
    """Ask for a sharding of an array in the program that is being traced."""
    if out_sharding is None:
        return array
    mesh = out_sharding.mesh if hasattr(out_sharding, "mesh") else jax.sharding.get_abstract_mesh()
    if jax.sharding.AxisType.Explicit in mesh.axis_types:
        return jax.sharding.reshard(array, out_sharding)
    return jax.lax.with_sharding_constraint(array, out_sharding)
