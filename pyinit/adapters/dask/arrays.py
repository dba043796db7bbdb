"""Dask arrays of random samples, one task a block: `from_scheme`, `normal`, `uniform` and `truncated_normal`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, SupportsIndex

import dask.array
import numpy as np
from dask.array.core import normalize_chunks
from dask.base import tokenize
from numpy.typing import NDArray

from pyinit import _core, initializers
from pyinit.arrays import dtype_of
from pyinit.initializers import Scheme
from pyinit.streams import Stream

__all__ = ["from_scheme", "normal", "truncated_normal", "uniform"]

Shape = SupportsIndex | Sequence[SupportsIndex]


def from_scheme(
    scheme: Any,
    shape: Shape,
    seed: int | Stream,
    *,
    name: str | None = None,
    dtype: Any = np.float32,
    chunks: Any = "auto",
    num_threads: int | None = 1,
) -> dask.array.Array:
    """Return a lazy array that a scheme fills, with the same bits for every chunking, scheduler and cluster.

    Parameters
    ----------
    scheme : scheme, str or mapping
        A scheme of `pyinit.initializers`, or what `initializers.scheme` makes one of. Fans follow from the shape of
        the whole array. A scheme that needs the whole array for each block (`orthogonal`, `delta_orthogonal`,
        `sparse`) takes only arrays of one chunk.
    shape : int or sequence of int
    seed : int or Stream
        In [0, 2**64). A Stream, unless `name` is given, is drawn from: it moves past the array now, as in a fill.
    name : str, optional
        Draw from ``Stream(seed).child(name)``, as `pyinit.initialize` does for a parameter of this name. (The name of
        the array in Dask's graph follows from the arguments: equal ones give equal names.)
    dtype : dtype or str
        Of `Stream.fill`. "bfloat16" and the float8 types are records of one field; ``ml_dtypes.bfloat16`` gives an
        array that computes.
    chunks : int, tuple, or str
        As for `dask.array.ones`. It does not change the samples.
    num_threads : int, optional
        Threads of each task. The default is 1, for Dask runs a task on each processor already. None: as
        `Stream.fill`.

    Returns
    -------
    dask.array.Array

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value, the scheme does not suit the shape or dtype, or it cannot be split.
        The stream has not moved.

    Examples
    --------
    >>> shape, chunks = (60_000, 40_000), (8000, 8000)
    >>> kernel = from_scheme("xavier_uniform", shape, 0, name="fc.weight", chunks=chunks)
    >>> kernel[30_000:30_003, 7].compute().shape
    (3,)
    >>> whole = pyinit.initializers.normal()(np.empty((4, 5), np.float32), pyinit.Stream(0))
    >>> bool((from_scheme("normal", (4, 5), 0, chunks=(3, 2)).compute() == whole).all())
    True
    """
    if seed is None:
        raise TypeError("seed must be an int or a Stream, so that tasks can make the array again; got None")
    size, number = _core.index_tuple("shape", shape), dtype_of(dtype)
    num_threads = _core.check_threads(num_threads) or None
    blocks = normalize_chunks(chunks, size, dtype=number)
    resolved = resolve(scheme, size, blocks)
    stream = seed if isinstance(seed, Stream) else Stream(seed)
    stream = stream if name is None else stream.child(name)
    begin, nothing = stream.copy(), np.empty((0,) * len(size), number)
    # A window without elements: checks all arguments, and moves the stream past the whole array.
    resolved(nothing, stream, global_shape=size, offset=(0,) * len(size), num_threads=num_threads)
    return dask.array.map_blocks(
        partial(block, resolved, begin, size, number, num_threads),
        name=f"{type(resolved).__name__.lower()}-{tokenize(resolved, begin.state, size, number, blocks, num_threads)}",
        chunks=blocks,
        dtype=number,
        meta=nothing,
    )


def resolve(scheme: Any, shape: tuple[Any, ...], blocks: tuple[tuple[int, ...], ...]) -> Scheme:
    """Return a specification's scheme for a shape, or raise TypeError or ValueError if it cannot fill such blocks."""
    made = initializers.scheme(scheme)
    if not isinstance(made, Scheme):
        raise TypeError(f"scheme must be one of pyinit.initializers; got {_core.text_of(made)}")
    resolved = made.resolve(shape)
    if not resolved.splittable and any(len(sizes) > 1 for sizes in blocks):
        raise ValueError(f"{resolved!r} needs the whole array for each block: give it one chunk, chunks=-1")
    return resolved


def block(
    scheme: Scheme,
    stream: Stream,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    num_threads: int | None,
    block_info: Any = None,
) -> NDArray[Any]:
    """Return the samples of one block."""
    place = block_info[None]["array-location"]
    out = np.empty([stop - start for start, stop in place], dtype)
    offset = [start for start, _ in place]
    # Tasks of one process share the stream, so each draws from a copy.
    return scheme(out, stream.copy(), global_shape=shape, offset=offset, num_threads=num_threads)


def normal(
    shape: Shape, seed: int | Stream, *, mean: float = 0.0, std: float = 1.0, **options: Any
) -> dask.array.Array:
    """Return an array of normal samples; `options` are the keywords of `from_scheme`.

    Examples
    --------
    >>> noise = normal((10**6, 10**6), seed=0, std=0.02, chunks=(10_000, 10_000))
    >>> noise[:2, -2:].compute().dtype
    dtype('float32')
    """
    return from_scheme(initializers.normal(mean, std), shape, seed, **options)


def uniform(
    shape: Shape, seed: int | Stream, *, low: float = 0.0, high: float = 1.0, **options: Any
) -> dask.array.Array:
    """Return an array of uniform samples in [low, high); `options` are the keywords of `from_scheme`.

    Examples
    --------
    >>> bool((uniform(1000, seed=0, low=-1.0, chunks=300) < 1).all().compute())
    True
    """
    return from_scheme(initializers.uniform(low, high), shape, seed, **options)


def truncated_normal(
    shape: Shape,
    seed: int | Stream,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
    **options: Any,
) -> dask.array.Array:
    """Return an array of normal samples between two bounds, in standard deviations from the mean.

    The other keywords, `options`, are those of `from_scheme`.

    Examples
    --------
    >>> samples = truncated_normal(1000, seed=0, std=0.5, chunks=300)
    >>> float(abs(samples).max().compute()) <= 1.0
    True
    """
    return from_scheme(initializers.truncated_normal(mean, std, lower, upper), shape, seed, **options)
