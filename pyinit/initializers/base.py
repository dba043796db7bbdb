"""What all schemes share: called with an array and a stream they check, then fill; they print as what makes them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from pyinit import _core
from pyinit.arrays import written
from pyinit.initializers.blocks import Block
from pyinit.streams import Stream

__all__ = ["Scheme"]

Array = TypeVar("Array")


@dataclass(frozen=True, repr=False)
class Scheme(ABC):
    """A way to fill an array in place: a small value that prints as what makes it, compares, hashes and pickles.

    A scheme of one's own is a frozen dataclass that has `fill`, and `check` where a dtype or a shape may not suit it.

    Examples
    --------
    >>> scheme = pyinit.initializers.normal(std=0.02)
    >>> scheme
    Normal(std=0.02)
    >>> scheme(np.empty((2, 3), np.float32), pyinit.Stream(0)).shape
    (2, 3)
    """

    draws: ClassVar[bool] = True  # from the stream; False: any stream will do, None as well
    divisible: ClassVar[bool] = False  # whether a block costs no more than its share of the whole

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "float":
                object.__setattr__(self, field.name, real(field.name, getattr(self, field.name)))

    def __repr__(self) -> str:
        ordered = sorted(
            fields(self), key=lambda f: bool(f.kw_only)
        )  # what a base class brings is a keyword, and comes last
        pairs = ((f, getattr(self, f.name)) for f in ordered)
        shown = ", ".join(f"{f.name}={literal(value)}" for f, value in pairs if value != f.default)
        return f"{type(self).__name__}({shown})"

    def __call__(
        self,
        out: Array,
        stream: Stream,
        *,
        global_shape: Sequence[int] | None = None,
        offset: Sequence[int] | None = None,
        num_threads: int | None = None,
    ) -> Array:
        """Fill an array in place.

        Parameters
        ----------
        out : array, float32, float64, float16 or bfloat16
            Of any shape and strides, writable, no two elements in one place: what `Stream.fill_normal` takes, an
            array on a GPU too.
        stream : Stream
            Where the random numbers come from.
        global_shape : sequence of int, optional
            `out` is a block of a tensor of this shape, and gets what that block of the whole tensor would get; fans
            follow this shape. The stream then stands behind the whole. None: `out` is the whole.
        offset : sequence of int, optional
            Where in the tensor `out` begins. None: at its first element.
        num_threads : int, optional
            As for `pyinit.Stream.fill_normal`. The values do not depend on it.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError
            If `out` or `stream` is none, or has another dtype.
        ValueError
            If the scheme does not suit the shape or the dtype, or `out` is read-only, overlapping or not inside the
            tensor. Whatever is raised for the arguments, `out` has not been touched.
        ImportError, RuntimeError, MemoryError
            If the package, the driver or the memory is missing that an array on a GPU needs.
        """
        if self.draws and not isinstance(stream, Stream):
            raise TypeError(f"stream must be a pyinit.Stream; got {type(stream).__name__}")
        block = Block.of(out, global_shape, offset)
        scheme = self.at(block.shape)
        scheme.check(block.part.dtype, block.shape)
        _core.check_memory(block.geometry)
        scheme.fill(block, stream, num_threads)
        return written(out)

    def at(self, shape: tuple[int, ...]) -> Scheme:
        """Give the scheme that this one is for a tensor of this shape, without fans to count."""
        return self

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raise what does not suit a tensor of this dtype and shape: here TypeError for no dtype of the fills."""
        Stream(0).fill_uniform(np.empty(0, dtype))

    @abstractmethod
    def fill(self, block: Block, stream: Stream, num_threads: int | None) -> None:
        """Write the block, which has been checked."""


def real(name: str, value: Any) -> float:
    """Give `value` as a float, or raise TypeError or ValueError that names it."""
    if not hasattr(type(value), "__float__") or isinstance(value, np.complexfloating | np.character):
        raise TypeError(f"{name} must be a real number; got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold; got a larger one") from None


def literal(value: Any) -> str:
    """Give `value` as text that Python and `scheme` read: infinity, which has no literal, as one that overflows."""
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)
