"""The blocks of a tensor that one process holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pyinit import _core
from pyinit.streams import integer

__all__ = ["Cut", "Shard", "blocks", "pieces_of", "read", "shards", "windows"]


class Shard(NamedTuple):
    """A block of a tensor that an array, or a part of one, holds.

    Parameters
    ----------
    global_shape : sequence of int
        The shape of the tensor.
    offset : sequence of int
        The block's offset in the tensor.
    where : slice or tuple of slice
        The part of the array that holds the block. Default: the whole array.
    """

    global_shape: Sequence[int]
    offset: Sequence[int]
    where: slice | tuple[slice, ...] = ()


class Cut(NamedTuple):
    """One piece of a dimension that is cut into equal pieces; if the size is not divisible, the last ones are smaller.

    Parameters
    ----------
    dim : int
        The dimension to cut.
    pieces : int
        The number of pieces, at least 1.
    piece : int
        The index of the held piece, in [0, pieces).
    stride : int
        The dimension is first split into `stride` parts, and a piece of each part is held. This is Megatron's
        ``partition_stride``, and the ``split_factor`` of PyTorch's ``_StridedShard``.
    """

    dim: int
    pieces: int
    piece: int
    stride: int = 1


def shards(global_shape: Sequence[int], cuts: Iterable[Cut | tuple[int, ...]]) -> list[Shard]:
    """Return the blocks of a tensor that one process holds after a series of cuts.

    Parameters
    ----------
    global_shape : sequence of int
        The shape of the tensor.
    cuts : iterable of Cut, or of tuple of int
        Made one after another; each cuts the piece that the previous one left.

    Returns
    -------
    list of Shard
        The blocks of an array that holds them side by side, in the tensor's order. Empty if the process holds
        nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer or out of range.

    Examples
    --------
    The second of four ranks, for a layer with gate and up projection in one weight:

    >>> for shard in shards((16, 5), [Cut(dim=0, pieces=4, piece=1, stride=2)]):
    ...     print(shard.offset, shard.where)
    (2, 0) (slice(0, 2, None), slice(0, 5, None))
    (10, 0) (slice(2, 4, None), slice(0, 5, None))
    """
    shape = _core.index_tuple("global_shape", global_shape)
    return blocks(shape, pieces_of(shape, cuts))


def pieces_of(shape: tuple[int, ...], cuts: Iterable[Cut | tuple[int, ...]]) -> list[list[range]]:
    """Return the held ranges of indices of each dimension after some cuts, in order."""
    held = [[range(n)] if n else [] for n in shape]
    for cut in cuts:
        dim, pieces, piece, stride = checked(Cut(*itertools.islice(cut, 5)), len(shape))
        parts = [taken(held[dim], stride, part) for part in range(stride)]
        held[dim] = joined(run for part in parts for run in taken(part, pieces, piece))
    return held


def checked(cut: Cut, ndim: int) -> Cut:
    """Return a cut with plain integers and dim in [0, ndim), or raise TypeError or ValueError."""
    dim, pieces, piece, stride = map(integer, Cut._fields, cut)
    if not -ndim <= dim < ndim:
        raise ValueError(f"dim must be in [{-ndim}, {ndim}); got {_core.text_of(dim)}")
    if stride < 1 or not 0 <= piece < pieces:
        raise ValueError(f"pieces and stride must be at least 1, and piece in [0, pieces); got {_core.text_of(cut)}")
    return Cut(dim % ndim, pieces, piece, stride)


def taken(runs: list[range], pieces: int, piece: int) -> list[range]:
    """Return a piece of some ranges as if they were joined; all pieces but the last have the same size."""
    size = -(-sum(map(len, runs)) // pieces)
    low, high = piece * size, (piece + 1) * size
    found, begin = [], 0
    for run in runs:
        found.append(run[max(low - begin, 0) : max(high - begin, 0)])
        begin += len(run)
    return [run for run in found if run]


def joined(runs: Iterable[range]) -> list[range]:
    """Return ranges with neighbours joined."""
    found: list[range] = []
    for run in runs:
        if found and found[-1].stop == run.start:
            run = range(found.pop().start, run.stop)
        found.append(run)
    return found


def blocks(shape: tuple[int, ...], held: list[list[range]]) -> list[Shard]:
    """Return the blocks that the ranges of all dimensions make together."""
    axes: list[list[tuple[int, slice]]] = []
    for runs in held:
        ends = itertools.accumulate(map(len, runs))
        axes.append([(run.start, slice(end - len(run), end)) for run, end in zip(runs, ends)])
    return [
        Shard(shape, tuple(start for start, _ in block), tuple(where for _, where in block))
        for block in itertools.product(*axes)
    ]


def read(name: str, given: Any) -> list[Shard]:
    """Return a user's description of an array's shards as a list, or raise TypeError."""
    listed = given if isinstance(given, list) else [given]
    for shard in listed:
        if not isinstance(shard, tuple) or len(shard) not in (2, 3) or shard[0] is None or shard[1] is None:
            raise TypeError(
                f"{name!r}: a shard must be (global_shape, offset) or Shard(global_shape, offset, where), or a list of "
                f"these; got {_core.text_of(shard)}"
            )
    found = [Shard(*shard) for shard in listed]
    for shard in found:  # other indices may copy
        if not all(isinstance(s, slice) for s in (shard.where if isinstance(shard.where, tuple) else (shard.where,))):
            raise TypeError(f"{name!r}: where must be a slice or a tuple of slices; got {_core.text_of(shard.where)}")
    return found


def windows(name: str, array: Any, given: list[Shard]) -> list[tuple[Any, Any, Any]]:
    """Return each shard's part of an array, with its global_shape and offset.

    Raises
    ------
    ValueError
        If the parts do not make up the whole array.
    """
    parts = [array if shard.where == () else array[shard.where] for shard in given]
    if [shard.where for shard in given] != [()]:  # a single shard may be an array with only an interface, and no shape
        size, whole = sum(math.prod(part.shape) for part in parts), math.prod(array.shape)
        if size != whole:
            raise ValueError(
                f"{name!r}: its shards must cover the array; they have {size} elements, and it has {whole}"
            )
    return [(part, shard.global_shape, shard.offset) for part, shard in zip(parts, given)]
