"""New tensors of Keras's backend, filled by a scheme."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from pyinit.initializers import Scheme

__all__ = ["tensor"]


def tensor(scheme: Scheme, draw: Callable[[], Any], shape: tuple[int, ...], dtype: str, layout: Any) -> Any:
    """Return a new tensor that a scheme fills from the stream that `draw` gives."""
    backend = keras.config.backend()
    if backend == "torch":
        out = keras.ops.empty(shape, dtype=dtype)
        return out if out.is_meta else scheme(out, draw())  # meta: Keras asks for the shape alone
    if backend == "jax" and layout is not None:
        return distributed(scheme, draw(), shape, dtype, layout)
    made = keras.ops.convert_to_tensor(scheme(np.empty(shape, dtype), draw()), dtype)
    return made if layout is None else keras.distribution.distribute_tensor(made, layout)


def distributed(scheme: Scheme, stream: Any, shape: tuple[int, ...], dtype: str, layout: Any) -> Any:
    """Return a JAX array of which each part is made by itself, once for all devices that hold it."""
    jax = sys.modules["jax"]  # which Keras has imported
    sharding = getattr(layout, "backend_layout", layout)
    if isinstance(getattr(sharding, "mesh", None), jax.sharding.AbstractMesh):  # Keras's, inside `jax.set_mesh`
        sharding = jax.sharding.NamedSharding(jax.sharding.get_mesh(), sharding.spec)

    @functools.cache
    def part(place: tuple[tuple[int, int], ...]) -> Any:
        out = np.empty([stop - start for start, stop in place], dtype)
        offset = [start for start, _ in place]
        return scheme(out, stream and stream.copy(), global_shape=shape, offset=offset)

    def place(index: tuple[slice, ...]) -> tuple[tuple[int, int], ...]:
        return tuple(each.indices(length)[:2] for each, length in zip(index, shape))

    return jax.make_array_from_callback(shape, sharding, lambda index: part(place(index)))
