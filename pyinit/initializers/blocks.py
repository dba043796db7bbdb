"""Where an array lies in the tensor that it is a block of, and how it stores floats."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyinit.arrays import BFLOAT16, on_host

__all__ = ["Block", "encode", "is_bfloat16"]


class Block(NamedTuple):
    """An array on the host, the shape of its tensor, and where in that it begins (None: it is the whole)."""

    part: NDArray[Any]
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
        part = on_host(out)
        if global_shape is None:
            if offset is not None:
                raise ValueError("offset needs global_shape, the shape of the tensor that it is an offset in")
            return cls(part, part.shape, None)
        shape = lengths("global_shape", global_shape)
        where = (0,) * part.ndim if offset is None else lengths("offset", offset)
        for name, value in (("global_shape", shape), ("offset", where)):
            if len(value) != part.ndim:
                raise ValueError(f"{name} must have the {part.ndim} dimensions of out; got {value}")
        if any(o + n > g for o, n, g in zip(where, part.shape, shape)):
            raise ValueError(f"out must lie inside the tensor; got shape {part.shape} at offset {where} in {shape}")
        if math.prod(shape) >= 1 << 63:
            raise ValueError(f"global_shape must hold less than 2**63 elements; got {shape}")
        return cls(part, shape, where)

    @property
    def window(self) -> dict[str, Any]:
        """The keywords that say so to a stream's fills."""
        return {} if self.offset is None else {"global_shape": self.shape, "offset": self.offset}

    @property
    def region(self) -> tuple[slice, ...]:
        """What of the tensor the block is."""
        starts = self.offset or (0,) * self.part.ndim
        return tuple(slice(o, o + n) for o, n in zip(starts, self.part.shape))

    @property
    def stored(self) -> NDArray[Any]:
        """The part as what `encode` gives goes in: bfloat16, which NumPy does not have, as its 16 bits."""
        return self.part.view(np.uint16) if is_bfloat16(self.part.dtype) else self.part

    def halves(self) -> tuple[Block, Block]:
        """Cut it in two, along its first axis that is longer than 1."""
        axis = next(i for i, n in enumerate(self.part.shape) if n > 1)
        middle = self.part.shape[axis] // 2
        before, start = (slice(None),) * axis, list(self.offset or (0,) * self.part.ndim)
        first = Block(self.part[(*before, slice(middle))], self.shape, tuple(start))
        start[axis] += middle
        return first, Block(self.part[(*before, slice(middle, None))], self.shape, tuple(start))

    def check_memory(self) -> None:
        """Raise ValueError if the part is read-only, or two of its elements lie in one place."""
        if not self.part.flags.writeable:
            raise ValueError("out must be writable; got a read-only array")
        if not self.part.flags.forc and overlaps(self.part):
            raise ValueError(
                f"out must have no two elements in one place; got shape {self.part.shape} "
                f"with strides {self.part.strides}"
            )


def lengths(name: str, value: Any) -> tuple[int, ...]:
    """Give an int or a sequence of int as a tuple, or raise."""
    try:
        numbers = tuple(map(operator.index, value if isinstance(value, Iterable) else (value,)))
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of int; got {value!r}") from None
    if any(n < 0 or n >= 1 << 63 for n in numbers):
        raise ValueError(f"{name} must not be negative, nor 2**63 or above; got {value!r}")
    return numbers


def overlaps(array: NDArray[Any]) -> bool:
    """Tell whether two elements of an array share memory.

    Examples
    --------
    >>> overlaps(np.lib.stride_tricks.as_strided(np.zeros(4), (3, 2), (8, 8))), overlaps(np.zeros((4, 6))[::2, ::-1])
    (True, False)
    """
    extent = array.itemsize
    # Not where each axis, from the smallest stride on, steps over all that the smaller ones reach.
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1):
        if stride < extent:
            break
        extent += stride * (n - 1)
    else:
        return False
    # Exactly: two elements whose indices differ first on this axis, moved to where the first has index 0.
    for _ in range(array.ndim):
        if np.shares_memory(array[:1], array[1:]):
            return True
        array = array[0]
    return False


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
