"""Dask arrays of random samples, one task per block: `from_scheme`, `normal`, `uniform` and `truncated_normal`."""

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
        A scheme of `pyinit.initializers`, or anything that `initializers.scheme` takes. Fans depend on the whole
        array's shape. If each block needs the whole array (`orthogonal`, `delta_orthogonal`, `sparse`), the array must
        have one chunk.
    shape : int or sequence of int
    seed : int or Stream
        A seed in [0, 2**64), or a Stream. Without `name`, a Stream moves past the array now, as in a fill.
    name : str, optional
        Draw from ``Stream(seed).child(name)``, as `pyinit.initialize` does for a parameter of this name. (The array's
        name in Dask's graph depends only on the arguments: equal arguments give equal names.)
    dtype : dtype or str
        A dtype of `Stream.fill`. "bfloat16" and the float8 types are records of one field; with
        ``ml_dtypes.bfloat16`` you can compute.
    chunks : int, tuple, or str
        As for `dask.array.ones`. It does not change the samples.
    num_threads : int, optional
        Threads per task. The default is 1, because Dask already runs a task on each processor. None: as for
        `Stream.fill`.

    Returns
    -------
    dask.array.Array

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value, or the scheme does not suit the shape, the dtype or the chunks. The
        stream has not moved.

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
    # An empty window checks all arguments, and moves the stream past the whole array.
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
    # Tasks in one process share the stream, so each draws from a copy.
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
