"""Make one array from one key: now, or in the program that is being traced."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pyinit import _core
from pyinit.adapters.jax.arrays import NewArray
from pyinit.adapters.jax.keys import key_words, stream_of
from pyinit.adapters.jax.programs import Fill, program
from pyinit.arrays import dtype_of
from pyinit.initializers import Normal, Scheme
from pyinit.models import fill

__all__ = ["draw"]

DTYPES = tuple(name for name in _core.DTYPES if name != "uint32")


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
        The shape of the tensor that contains the block. None: the array is the whole.
    offset : sequence of int or array of integers, optional
        The block's offset in the tensor; may be traced. None: zeros.

    Returns
    -------
    jax.Array
    """
    shape = _core.index_tuple("shape", shape)
    dtype = canonical(dtype)
    whole = shape if global_shape is None else _core.index_tuple("global_shape", global_shape)
    if dtype.kind == "c" and type(scheme) is Normal and not scheme.mean and global_shape is None:
        parts = Normal(0.0, scheme.std * math.sqrt(0.5))
        pairs = draw(parts, key, (*shape, 2), f"f{dtype.itemsize // 2}", generator=generator, out_sharding=out_sharding)
        return jax.lax.complex(pairs[..., 0], pairs[..., 1])
    if dtype.name not in DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(DTYPES)}, or complex for normal; got {dtype.name}")
    if len(whole) != len(shape) or any(n > m for n, m in zip(shape, whole)):
        raise ValueError(f"global_shape must contain the shape {shape}; got {whole}")
    if not isinstance(generator, str) or generator not in _core.GENERATORS:
        raise ValueError(f"generator must be one of {', '.join(_core.GENERATORS)}; got {_core.text_of(generator)}")
    scheme = scheme.resolve(whole)
    scheme.check(dtype, whole)
    words = key_words(key)
    if isinstance(words, jax.core.Tracer) or isinstance(offset, jax.core.Tracer):
        return constrained(traced(Fill(scheme, generator, dtype, shape, whole), words, offset), out_sharding)
    origin = (0,) * len(shape) if offset is None else _core.index_tuple("offset", offset)
    check_offset((len(origin),), shape)
    new = NewArray(shape, dtype, out_sharding)
    fill(new.parameters(None, scheme, whole, origin), stream_of(np.asarray(words), generator))
    return new.array()


def canonical(dtype: Any) -> np.dtype[Any]:
    """Return JAX's dtype for a dtype or a name; for None, JAX's default."""
    if dtype is not None:
        dtype = dtype_of(dtype)
        row = _core.dtype_row(dtype)
        dtype = dtype if row is None else row.name
    return jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)


def traced(fill: Fill, words: jax.Array, offset: Any) -> jax.Array:
    """Make the array in the program that is being traced."""
    if not fill.shape:  # XLA has no empty attribute
        vector = Fill(fill.scheme, fill.generator, fill.dtype, (1,), (1,))
        return program(vector)(words, jnp.zeros(1, jnp.uint32)).reshape(())
    if max(fill.global_shape) >= 1 << 32:
        raise ValueError(f"in a program, an axis must have fewer than 2**32 elements; got {fill.global_shape}")
    start = jnp.zeros(len(fill.shape), jnp.uint32) if offset is None else jnp.asarray(offset).astype(jnp.uint32)
    check_offset(start.shape, fill.shape)
    return program(fill)(words, start)


def check_offset(lengths: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise ValueError if an offset does not have one number for each dimension of a shape."""
    if lengths != (len(shape),):
        raise ValueError(f"offset must have one number for each dimension of {shape}; got shape {lengths}")


def constrained(array: jax.Array, out_sharding: Any) -> jax.Array:
    """Give an array a sharding in the program that is being traced."""
    if out_sharding is None:
        return array
    mesh = out_sharding.mesh if hasattr(out_sharding, "mesh") else jax.sharding.get_abstract_mesh()
    if jax.sharding.AxisType.Explicit in mesh.axis_types:
        return jax.sharding.reshard(array, out_sharding)
    return jax.lax.with_sharding_constraint(array, out_sharding)
