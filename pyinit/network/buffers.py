"""A layer's working arrays, made once and used for every batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["Buffers"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Buffers:
    """Arrays for the results of one layer's forward and backward pass; None means a new array each time.

    Attributes
    ----------
    z, a : array of shape (batch, out)
        Pre-activations and outputs.
    gradient, delta : array of shape (batch, out)
        The loss's gradient with respect to `a` and to `z`.
    weights : array of shape (out, in)
    bias : array of shape (out,)
        The loss's gradient with respect to each parameter.
    """

    z: Array | None = None
    a: Array | None = None
    gradient: Array | None = None
    delta: Array | None = None
    weights: Array | None = None
    bias: Array | None = None

    def rows(self, count: int) -> Buffers:
        """Return the same memory for a smaller batch."""

        def part(array: Array | None) -> Array | None:
            return None if array is None else array[:count]

        return Buffers(part(self.z), part(self.a), part(self.gradient), part(self.delta), self.weights, self.bias)
