"""What all schemes share: called with an array and a stream they check, then fill; they print as what makes them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from pyinit import _core
from pyinit.arrays import mark_modified
from pyinit.hints import explained, of_framework
from pyinit.initializers.windows import Window
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

    needs_stream: ClassVar[bool] = True  # False: any stream will do, None as well
    splittable: ClassVar[bool] = False  # whether a window costs no more than its share of the whole

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "float":
                object.__setattr__(self, field.name, real(field.name, getattr(self, field.name)))

    def __repr__(self) -> str:
        # What a base class brings is a keyword, and comes last.
        ordered = sorted(fields(self), key=lambda f: bool(f.kw_only))
        pairs = ((f, getattr(self, f.name)) for f in ordered)
        shown = ", ".join(f"{f.name}={literal(value)}" for f, value in pairs if value != f.default)
        return f"{type(self).__name__}({shown})"

    @explained(of_framework)
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
        out : array
            What `Stream.fill` takes.
        stream : Stream
            Where the random numbers come from.
        global_shape : sequence of int, optional
            `out` is a window of a tensor of this shape, and gets what that part of the whole tensor would get; fans
            follow this shape. The stream then stands behind the whole. None: `out` is the whole.
        offset, num_threads
            As for `Stream.fill`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError
            If `out` is not a fillable array, or `stream` is not a Stream.
        ValueError
            If the scheme does not suit the shape or the dtype, `out` is read-only, overlapping or not inside the
            tensor, or the stream would end. Whatever is raised for the arguments, `out` has not been touched.
        """
        if self.needs_stream and not isinstance(stream, Stream):
            raise TypeError(f"stream must be a pyinit.Stream; got {type(stream).__name__}")
        num_threads = _core.check_threads(num_threads) or None
        window = Window.of(out, global_shape, offset)
        scheme = self.resolve(window.shape)
        scheme.check(window.array.dtype, window.shape)
        _core.check_memory(window.geometry)
        scheme.fill(window, stream, num_threads)
        mark_modified(out)
        return out

    def resolve(self, shape: tuple[int, ...]) -> Scheme:
        """Give the scheme that this one is for a tensor of this shape, without fans to count."""
        return self

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raise what does not suit a tensor of this dtype and shape: here TypeError for no dtype of the fills."""
        _core.check_dtype(ANY, dtype)

    def distribution_in(self, dtype: np.dtype[Any]) -> _core.Distribution | None:
        """Give the distribution that every element of an array of this dtype is drawn from, if there is one."""
        return None

    @abstractmethod
    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        """Write the window, which has been checked."""


ANY = _core.uniform()  # which every dtype of floats can hold


def real(name: str, value: Any) -> float:
    """Give `value` as a float, or raise TypeError or ValueError that names it."""
    if not hasattr(type(value), "__float__") or isinstance(value, np.complexfloating | np.character):
        raise TypeError(f"{name} must be a real number; got {_core.text_of(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold; got a larger one") from None
    except (RuntimeError, TypeError, ValueError) as error:  # an array or a tensor of several numbers, say
        raise TypeError(f"{name} must be a real number; got {type(value).__name__}: {error}") from error


def literal(value: Any) -> str:
    """Give `value` as text that Python and `scheme` read: infinity, which has no literal, as one that overflows."""
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)
