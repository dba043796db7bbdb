"""Tensors whose values are made block by block, to write them to a file or to compare them with stored ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.distributions import Constant, Normal
from pyinit.initializers.windows import decode, encode, raw_bits
from pyinit.models.differences import is_float
from pyinit.streams import Stream

__all__ = ["Make", "Tensor", "boxes", "convert", "drawn", "drawn_like", "in_memory", "kept"]

Make = Callable[[NDArray[Any], tuple[int, ...], "int | None"], object]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor, and a function that makes a block of it.

    Parameters
    ----------
    name : str
    shape : tuple of int
    dtype : dtype
        The dtype of the stored values.
    make : callable
        ``make(out, offset, num_threads)`` writes the block at `offset` with the shape of `out`. A float dtype of `out`
        may differ from `dtype`. Several threads may call it at the same time.
    splittable : bool
        Whether a block costs no more than its share of the whole. Otherwise only the whole is made.
    scheme : str or None
        The scheme as text for `pyinit.initializers.scheme`, if it and the child stream of the name make the tensor.
    native : dtype or None
        The dtype in which the values are made before rounding to `out`'s dtype; None: drawn in `out`'s dtype.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Make
    splittable: bool = True
    scheme: str | None = None
    native: np.dtype[Any] | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes in `dtype`."""
        return self.size * self.dtype.itemsize

    def fill(self, out: NDArray[Any], start: int, num_threads: int | None = None) -> None:
        """Write the elements from `start` on, in row-major order.

        Parameters
        ----------
        out : ndarray
            One-dimensional and contiguous.
        """
        done = 0
        for offset, shape in boxes(self.shape, start, start + out.size):
            size = math.prod(shape)
            self.make_block(out[done : done + size].reshape(shape), offset, num_threads)
            done += size

    def make_block(self, out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None = 1) -> None:
        """Write the block at `offset`."""
        if self.splittable or out.shape == self.shape:
            self.make(out, offset, num_threads)
        else:
            whole = np.empty(self.shape, out.dtype)
            self.make(whole, (0,) * whole.ndim, num_threads)
            raw_bits(out)[...] = raw_bits(whole)[tuple(slice(o, o + n) for o, n in zip(offset, out.shape))]


def drawn(
    name: str,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    specification: Any,
    stream: Stream,
    native: np.dtype[Any] | None = None,
) -> Tensor:
    """Return a tensor that a scheme draws from a stream.

    Parameters
    ----------
    name, shape, dtype, native
        As for `Tensor`.
    specification : scheme, str or dict
        Anything that `pyinit.initializers.scheme` takes.
    stream : Stream
        The root's ``child(name)``; `Tensor.scheme` assumes it.

    Raises
    ------
    TypeError, ValueError
        If there is no such scheme, or it does not suit the shape or the dtype.

    Examples
    --------
    >>> tensor = drawn("w", (2, 3), np.dtype("f4"), "normal", Stream(0).child("w"))
    >>> out = np.empty(4, np.float32)
    >>> tensor.fill(out, start=1)
    >>> bool((out == Stream(0).child("w").normal((2, 3)).reshape(-1)[1:5]).all())
    True
    """
    made, sizes = scheme(specification), tuple(shape)
    splittable, text, rounds = True, None, False
    if isinstance(made, Scheme):
        text = repr(made)
        made = made.resolve(sizes)  # with the whole tensor's fans
        made.check(dtype if native is None else native, sizes)
        splittable = made.splittable
        # Their narrow samples are the float32 ones, rounded. Bounded schemes differ: no sample may reach a bound.
        rounds = native == np.float32 and isinstance(made, (Normal, Constant))
        if not (native in (None, dtype) or (rounds and dtype.itemsize < 4)):
            text = None  # it would give other values in the file's dtype

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        direct = native is None or out.dtype == native or (rounds and out.itemsize < 4)
        values = out if direct else np.empty(out.shape, native)
        made(values, stream.copy(), global_shape=sizes, offset=offset, num_threads=num_threads)
        if not direct:
            convert(values, out)

    return Tensor(name, sizes, dtype, make, splittable, text, native)


def drawn_like(
    name: str, shape: Sequence[int], dtype: np.dtype[Any] | None, specification: Any, stream: Stream
) -> Tensor | str:
    """Return a tensor that a scheme draws, with a stored tensor's shape and dtype; or the reason why not."""
    if dtype is None or not is_float(dtype):
        return f"not compared: its dtype is {dtype or 'unknown'}"
    try:
        return drawn(name, shape, dtype, specification, stream)
    except (TypeError, ValueError) as error:
        return f"not compared: {error}"


def kept(name: str, values: NDArray[Any], dtype: np.dtype[Any] | None = None) -> Tensor:
    """Return a tensor with known values; only floats may get another dtype.

    Examples
    --------
    >>> out = np.empty(2, np.float16)
    >>> kept("table", np.array([[0.1, 0.2, 0.3]])).fill(out, start=1)
    >>> out
    array([0.2, 0.3], dtype=float16)
    """

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        part = values[tuple(slice(o, o + n) for o, n in zip(offset, out.shape))]
        if out.dtype == values.dtype:
            raw_bits(out)[...] = raw_bits(part)
        else:
            convert(part, out)

    return Tensor(name, values.shape, values.dtype if dtype is None else dtype, make, native=values.dtype)


def in_memory(tensor: Tensor, num_threads: int | None = None) -> Tensor:
    """Return a tensor with all values made, if any block would cost as much as the whole."""
    values = np.empty(tensor.shape, tensor.dtype)
    tensor.make_block(values, (0,) * values.ndim, num_threads)
    return kept(tensor.name, values)


def convert(values: NDArray[Any], out: NDArray[Any]) -> None:
    """Write floats to an array of another dtype, rounded to nearest even."""
    raw_bits(out)[...] = encode(decode(values), out.dtype)


def boxes(shape: Sequence[int], start: int, stop: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cut a run of a tensor's elements, in row-major order, into consecutive blocks.

    Parameters
    ----------
    shape : sequence of int
    start, stop : int
        The run [start, stop), within [0, the number of elements].

    Yields
    ------
    offset, shape : tuple of int
        A block's offset and shape.

    Examples
    --------
    >>> list(boxes((4, 3), 2, 11))
    [((0, 2), (1, 1)), ((1, 0), (2, 3)), ((3, 0), (1, 2))]
    """
    if start >= stop:
        return
    if not shape:
        yield (), ()
        return
    rest = tuple(shape[1:])
    row = math.prod(rest)
    (first, begin), (last, end) = divmod(start, row), divmod(stop, row)
    if first == last:
        yield from within(first, rest, begin, end)
        return
    if begin:
        yield from within(first, rest, begin, row)
        first += 1
    if first < last:
        yield (first, *(0 for _ in rest)), (last - first, *rest)
    yield from within(last, rest, 0, end)


def within(
    index: int, shape: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the blocks of a run within one index of the first dimension."""
    for offset, extent in boxes(shape, start, stop):
        yield (index, *offset), (1, *extent)
