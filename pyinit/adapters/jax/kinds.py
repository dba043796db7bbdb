"""Initializers as values: frozen dataclasses, to call with a key and a shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax

from pyinit import _core, initializers
from pyinit.adapters.jax.drawing import draw
from pyinit.initializers import Orthogonal, Scheme
from pyinit.streams import integer

__all__ = ["Axes", "ColumnInitializer", "FanInitializer", "Initializer", "axes"]

Axes = int | Sequence[int]
MOST = 64  # axes of an array


@dataclass(frozen=True)
class Initializer:
    """A function of a key and a shape. It compares and hashes by value, prints and pickles.

    Parameters
    ----------
    scheme : Scheme
    dtype : dtype, optional
        The default dtype of a call; None: JAX's default.
    """

    scheme: Scheme
    dtype: Any = None

    def __call__(self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> jax.Array:
        """Return a new array.

        Parameters
        ----------
        key : key
            A typed key, such as ``jax.random.key(0)``, or a raw one.
        shape : sequence of int
        dtype : dtype, optional
            float32, bfloat16, float16, float8_e4m3fn or float8_e5m2; float64 if JAX's 64-bit types are enabled; complex
            for normal samples.
        out_sharding : Sharding or PartitionSpec, optional
            Each device makes its own part, with the same bits.

        Returns
        -------
        jax.Array

        Raises
        ------
        TypeError, ValueError
            If an argument has a wrong type or value, or the initializer does not suit the shape.
        """
        shape = _core.index_tuple("shape", shape)
        return draw(self.of(shape), key, shape, self.dtype if dtype is None else dtype, out_sharding=out_sharding)

    def of(self, shape: tuple[int, ...]) -> Scheme:
        """Return the scheme for a shape."""
        return self.scheme


@dataclass(frozen=True)
class FanInitializer(Initializer):
    """An initializer whose variance depends on the fans; `in_axis`, `out_axis` and `batch_axis` determine these."""

    in_axis: tuple[int, ...] = (-2,)
    out_axis: tuple[int, ...] = (-1,)
    batch_axis: tuple[int, ...] = ()

    def of(self, shape: tuple[int, ...]) -> Scheme:
        # A matrix of this shape has the same fans.
        return self.scheme.resolve(self.fans(shape))

    def fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return fan_in and fan_out of a shape."""
        for axis in (*self.in_axis, *self.out_axis, *self.batch_axis):
            if not -len(shape) <= axis < len(shape):
                raise ValueError(
                    "in_axis, out_axis and batch_axis must be axes of the array; got "
                    f"{_core.text_of(axis)} for shape {shape}"
                )
        if not (all_ := math.prod(shape)):
            return 1, 1
        ins, outs, batch = (
            math.prod(shape[i] for i in axes) for axes in (self.in_axis, self.out_axis, self.batch_axis)
        )
        if all_ % (outs * batch) or all_ % (ins * batch):
            raise ValueError("batch_axis must not be one of in_axis and out_axis")
        return all_ // (outs * batch), all_ // (ins * batch)


@dataclass(frozen=True)
class ColumnInitializer(Initializer):
    """An orthogonal initializer, whose columns are along the last axis or the first."""

    scheme: Orthogonal
    column_axis: int = -1

    def of(self, shape: tuple[int, ...]) -> Scheme:
        if self.column_axis in (-1, len(shape) - 1):
            return initializers.orthogonal(self.scheme.gain, "in_out")
        if self.column_axis in (0, -len(shape)):
            return self.scheme
        raise ValueError(
            f"column_axis must be the last axis or the first; got {_core.text_of(self.column_axis)} for shape {shape}"
        )


def axes(name: str, value: Axes) -> tuple[int, ...]:
    """Return axes as a tuple, at most as many as an array can have, because an iterable may never end."""
    return tuple(integer(name, n) for n in (islice(value, MOST) if isinstance(value, Iterable) else (value,)))
