"""Where an array lies in the tensor that it is a block of, and how it stores floats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyinit import _core
from pyinit.arrays import BFLOAT16, view
from pyinit.kernels.views import View

__all__ = ["Block", "encode", "is_bfloat16", "stored"]


class Block(NamedTuple):
    """An array, the shape of its tensor, and where in that it begins (None: it is the whole)."""

    part: NDArray[Any] | View
    shape: tuple[int, ...]
    offset: tuple[int, ...] | None

    @classmethod
    def of(cls, out: Any, global_shape: Iterable[int] | None = None, offset: Iterable[int] | None = None) -> Block:
        """View `out` as a block, or raise TypeError or ValueError.

        Examples
        --------
        >>> Block.of(np.zeros(2), global_shape=(5,), offset=(3,)).region
        (slice(3, 5, None),)
        """
        part = view(out)
        if global_shape is None and offset is None:
            return cls(part, part.shape, None)
        geometry = part if isinstance(part, np.ndarray) else part.geometry
        return cls(part, *_core.checked_window(geometry, global_shape, offset))

    @property
    def geometry(self) -> NDArray[Any]:
        """An array of the part's shape, strides, dtype and flags, whose elements may lie elsewhere."""
        return self.part if isinstance(self.part, np.ndarray) else self.part.geometry

    @property
    def window(self) -> dict[str, Any]:
        """The keywords that say so to a stream's fills."""
        return {} if self.offset is None else {"global_shape": self.shape, "offset": self.offset}

    @property
    def region(self) -> tuple[slice, ...]:
        """What of the tensor the block is."""
        starts = self.offset or (0,) * self.part.ndim
        return tuple(slice(o, o + n) for o, n in zip(starts, self.part.shape))

    def place(self, values: NDArray[Any]) -> None:
        """Write what `encode` gave, which broadcasts to the part."""
        if isinstance(self.part, np.ndarray):
            stored(self.part)[...] = values
        else:
            self.part.place(values)

    @contextmanager
    def on_host(self) -> Iterator[NDArray[Any]]:
        """Give the part to be written bit by bit; of one on a device an array of the host, copied there after."""
        if isinstance(self.part, np.ndarray):
            yield self.part
        else:
            values = np.empty(self.part.shape, self.part.dtype)
            yield values
            self.part.place(stored(values))

    def halves(self) -> tuple[Block, Block]:
        """Cut it in two, along its first axis that is longer than 1."""
        axis = next(i for i, n in enumerate(self.part.shape) if n > 1)
        middle = self.part.shape[axis] // 2
        before, start = (slice(None),) * axis, list(self.offset or (0,) * self.part.ndim)
        first = Block(self.part[(*before, slice(middle))], self.shape, tuple(start))
        start[axis] += middle
        return first, Block(self.part[(*before, slice(middle, None))], self.shape, tuple(start))


def stored(part: NDArray[Any]) -> NDArray[Any]:
    """View an array as what `encode` gives goes in: bfloat16, which NumPy does not have, as its 16 bits."""
    return part.view(np.uint16) if is_bfloat16(part.dtype) else part


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype is `BFLOAT16` or the type of ml_dtypes."""
    # The cheap questions first: a dtype's name takes microseconds.
    return dtype.itemsize == 2 and dtype != np.float16 and (dtype == BFLOAT16 or dtype.name == "bfloat16")


def encode(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Give floats in a dtype of the fills; the 16-bit ones by way of float32, rounded to nearest even.

    Parameters
    ----------
    values : array_like
        Real numbers, none of them nan.
    dtype : float32, float64, float16 or bfloat16

    Returns
    -------
    numpy.ndarray
        bfloat16 as its bits, uint16.

    Examples
    --------
    >>> encode([1.0, 1.00390625], pyinit.arrays.BFLOAT16)
    array([16256, 16256], dtype=uint16)
    """
    dtype = np.dtype(dtype)
    if dtype == np.float64:
        return np.asarray(values, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        single = np.asarray(values).astype(np.float32, copy=False)
        if not is_bfloat16(dtype):
            return single.astype(dtype, copy=False)
    bits = single.view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)
