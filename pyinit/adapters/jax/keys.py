"""Turns a PRNG key into a stream: the key's words are the seed."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from pyinit.streams import Stream

__all__ = ["key_words", "stream_of"]

IMPLEMENTATIONS = {2: "threefry2x32", 4: "rbg"}  # of a raw key, by its number of words


def key_words(key: Any) -> jax.Array:
    """Return one key's words, 2 or 4 uint32; inside `jax.jit` they are always a traced array.

    Raises
    ------
    TypeError, ValueError
        If `key` is neither a typed key nor a raw one.
    """
    dtype = getattr(key, "dtype", None)
    if dtype is None:
        raise TypeError(f"key must be a PRNG key, such as jax.random.key(0); got {type(key).__name__}")
    if not jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        if dtype != np.uint32 or np.ndim(key) == 0 or key.shape[-1] not in IMPLEMENTATIONS:
            raise TypeError(f"key must be a PRNG key; got an array of {dtype} and shape {np.shape(key)}")
        key = jax.random.wrap_key_data(key, impl=IMPLEMENTATIONS[key.shape[-1]])
    if key.shape != ():
        raise ValueError(f"key must be one key; got an array of keys of shape {key.shape}: use jax.vmap")
    words: jax.Array = jax.random.key_data(key)
    if words.shape[0] not in IMPLEMENTATIONS:
        raise TypeError(f"key must have 2 or 4 words; got one of {jax.random.key_impl(key)} with {words.shape[0]}")
    return words


def stream_of(words: NDArray[np.uint32], generator: str = "philox") -> Stream:
    """Return the stream of a key's words, at position 0.

    Parameters
    ----------
    words : numpy.ndarray of uint32, shape (2,) or (4,)
        The first two are the seed. Two more give the id: 0 if they repeat the seed, as in a new key.
    generator : {"philox", "ars5", "ars7"}

    Returns
    -------
    Stream

    Examples
    --------
    >>> stream_of(np.asarray(jax.random.key_data(jax.random.key(7))))
    Stream(seed=7, generator='philox', position=0)
    """
    first, *rest = (int(high) << 32 | int(low) for high, low in words.reshape(-1, 2))
    return Stream(first, generator, id=rest[0] ^ first if rest else 0)
