"""New tensors of Keras's backend, filled by a scheme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from pyinit.initializers import Scheme
from pyinit.models import fill

__all__ = ["tensor"]


def tensor(scheme: Scheme, draw: Callable[[], Any], shape: tuple[int, ...], dtype: str, layout: Any) -> Any:
    """Return a new tensor, which a scheme fills from the stream that `draw` returns."""
    backend = keras.config.backend()
    if backend == "torch":
        out = keras.ops.empty(shape, dtype=dtype)
        return out if out.is_meta else scheme(out, draw())  # meta: Keras wants only the shape
    if backend == "jax":  # 0.9 or newer
        from pyinit.adapters.jax.arrays import NewArray

        new = NewArray(shape, np.dtype(dtype), getattr(layout, "backend_layout", layout))
        fill(new.parameters(None, scheme), draw() or 0)  # 0 if the scheme draws nothing
        return new.array()
    made = keras.ops.convert_to_tensor(scheme(np.empty(shape, dtype), draw()), dtype)
    return made if layout is None else keras.distribution.distribute_tensor(made, layout)
