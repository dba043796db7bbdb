"""The base class of all schemes: called with an array and a stream, a scheme checks, then fills."""

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
    """A way to fill an array in place: a small value that prints as a call, compares, hashes and pickles.

    To write a scheme, derive a frozen dataclass with a method `fill`, and `check` if some dtypes or shapes do not fit.

    Examples
    --------
    >>> scheme = pyinit.initializers.normal(std=0.02)
    >>> scheme
    Normal(std=0.02)
    >>> scheme(np.empty((2, 3), np.float32), pyinit.Stream(0)).shape
    (2, 3)
    """

    needs_stream: ClassVar[bool] = True  # False: any stream will do, even None
    splittable: ClassVar[bool] = False  # whether a window costs only its share of the whole

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "float":
                object.__setattr__(self, field.name, real(field.name, getattr(self, field.name)))

    def __repr__(self) -> str:
        # The fields of a base class are keywords, and come last.
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
            Any that `Stream.fill` takes.
        stream : Stream
            The source of the random numbers.
        global_shape : sequence of int, optional
            `out` is a window of a tensor of this shape, and gets that part of the whole tensor's values; fans follow
            this shape, and the stream moves past the whole tensor. None: `out` is the whole tensor.
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
            If the scheme does not fit the shape or the dtype, if `out` is read-only, overlaps itself or is not inside
            the tensor, or if the stream has too few words left. An error in the arguments leaves `out` untouched.
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
        """Give the equivalent scheme for a tensor of this shape, one that does not depend on fans."""
        return self

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raise if the scheme does not fit this dtype and shape: here TypeError, unless the fills take the dtype."""
        _core.check_dtype(ANY, dtype)

    def distribution_in(self, dtype: np.dtype[Any]) -> _core.Distribution | None:
        """Give the one distribution of all elements in this dtype, or None."""
        return None

    @abstractmethod
    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        """Write the window; it has been checked."""


ANY = _core.uniform()  # every float dtype can hold it


def real(name: str, value: Any) -> float:
    """Give `value` as a float; raise a TypeError or ValueError that names it."""
    if not hasattr(type(value), "__float__") or isinstance(value, np.complexfloating | np.character):
        raise TypeError(f"{name} must be a real number; got {_core.text_of(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold; got a larger one") from None
    except (RuntimeError, TypeError, ValueError) as error:  # such as an array of several numbers
        raise TypeError(f"{name} must be a real number; got {type(value).__name__}: {error}") from error


def literal(value: Any) -> str:
    """Give `value` as text that Python and `scheme` read. Infinity has no literal, so it is a number that overflows."""
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)
