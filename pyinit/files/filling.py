"""One tensor into one file, block by block."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyinit import __version__, _core, initializers, terminal
from pyinit.atomic import replacement, target
from pyinit.files.formats import DTYPES, dtype_name, little_endian, npy_header, safetensors_header
from pyinit.streams import Stream, integer

__all__ = ["Filled", "fill"]

CHUNK_BYTES = 1 << 26
"""What is held in memory at a time: enough that writing it takes much longer than starting to."""


@dataclass(frozen=True)
class Filled:
    """What a file was filled with, as plain values.

    Attributes
    ----------
    path : str
    shape : tuple of int
    dtype : str
    scheme : str
    seed : int
    generator : str
    child : str or None
    bytes : int
        The size of the file.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    scheme: str
    seed: int
    generator: str
    child: str | None
    bytes: int


def fill(
    path: str | os.PathLike[str],
    shape: SupportsIndex | Sequence[SupportsIndex],
    scheme: Any,
    seed: SupportsIndex | None = None,
    *,
    dtype: DTypeLike = np.float32,
    generator: str = "philox",
    child: str | None = None,
    name: str = "weights",
    overwrite: bool = False,
    num_threads: SupportsIndex | None = None,
    progress: bool = False,
    chunk_bytes: SupportsIndex = CHUNK_BYTES,
) -> Filled:
    """Write a tensor of initial weights to a file: the bits of ``scheme(out, Stream(seed))`` on one array of its shape.

    Parameters
    ----------
    path : str or path-like
        Ends in .npy or .safetensors, which chooses the format. The file appears there when it is whole.
    shape : int or sequence of int
    scheme : scheme, str or dict
        What `pyinit.initializers.scheme` takes, "xavier_normal" or "normal(std=0.02)" say.
    seed : int, optional
        In [0, 2**64). None: the operating system draws one, and what is returned tells it.
    dtype : float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2
        The last three for .safetensors alone.
    generator : {"philox", "ars5"}
    child : str, optional
        Fill from ``Stream(seed).child(child)``, as a parameter of that name is.
    name : str
        The tensor's name in a .safetensors file.
    overwrite : bool
        Whether a file that is there may be replaced.
    num_threads : int, optional
        As for `pyinit.Stream.fill_normal`.
    progress : bool
        Show a bar on standard error, if that is a terminal.
    chunk_bytes : int
        At most so much of the tensor is in memory at a time, one element at least; the file does not depend on it. A
        scheme that needs the whole tensor, such as an orthogonal one, has it.

    Returns
    -------
    Filled

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these, or the scheme does not suit the shape.
    OSError
        If the file exists, its folder does not, or the disk has no room; FileExistsError, FileNotFoundError among them.
    KeyboardInterrupt
        On Ctrl-C. As after every error, nothing has changed in the folder.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/weights.npy"
    >>> fill(path, (300, 200), "xavier_normal", seed=7).bytes
    240128
    >>> whole = initializers.xavier_normal()(np.empty((300, 200), np.float32), Stream(7))
    >>> bool((np.load(path) == whole).all())
    True
    """
    made, sizes, kind = initializers.scheme(scheme), dimensions(shape), dtype_name(dtype)
    stream = Stream(seed, generator)
    told = {"scheme": scheme if isinstance(scheme, str) else repr(made), "seed": str(stream.seed)}
    told |= {"generator": generator, "pyinit": __version__}
    if child is not None:
        stream, told = stream.child(child), told | {"child": child}
    header = head(path, name, kind, sizes, told)
    size = math.prod(sizes) * DTYPES[kind].itemsize
    _core.check_threads(num_threads)
    most = integer("chunk_bytes", chunk_bytes)
    if most < 1:
        raise ValueError(f"chunk_bytes must be at least 1; got {most}")
    elements = max(1, most // DTYPES[kind].itemsize)
    if isinstance(made, initializers.Scheme):
        made.resolve(sizes).check(DTYPES[kind], sizes)
    file = target(path, overwrite)
    require_room(file.parent, len(header) + size)
    with (
        terminal.progress(size, f"filling {file.name}", progress, unit="bytes") as advance,
        replacement(file, overwrite) as out,
    ):
        out.write(header)
        for block in filled_blocks(made, stream, sizes, DTYPES[kind], elements, num_threads):
            out.write(little_endian(block).data)
            advance(block.nbytes)
    return Filled(os.fspath(path), sizes, kind, told["scheme"], stream.seed, generator, child, len(header) + size)


def require_room(folder: Path, size: int) -> None:
    """Raise OSError if a folder's disk has fewer than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"{size:,} bytes are needed, and the disk of {folder} has {free:,} left")


def dimensions(shape: Any) -> tuple[int, ...]:
    """Give a shape as a tuple, or raise."""
    sizes = tuple(integer("a dimension", n) for n in (shape if isinstance(shape, Iterable) else (shape,)))
    if any(n < 0 for n in sizes):
        raise ValueError(f"shape must not be negative; got {sizes}")
    return sizes


def head(
    path: str | os.PathLike[str], name: str, dtype: str, shape: Sequence[int], metadata: Mapping[str, str]
) -> bytes:
    """Write what stands in the file ahead of the tensor, in the format that the path's suffix chooses."""
    suffix = Path(path).suffix
    if suffix == ".npy":
        return npy_header(dtype, shape)
    if suffix == ".safetensors":
        return safetensors_header(name, dtype, shape, metadata)
    raise ValueError(f"path must end in .npy or .safetensors; got {os.fspath(path)!r}")


def filled_blocks(
    scheme: Any, stream: Stream, shape: tuple[int, ...], dtype: np.dtype[Any], elements: int, num_threads: Any
) -> Iterator[NDArray[Any]]:
    """Give a tensor block by block, each in the memory of the one before it."""
    size = math.prod(shape)
    if isinstance(scheme, initializers.Scheme):
        scheme = scheme.resolve(shape)  # with the fans of the whole
        elements = elements if scheme.splittable else size
    memory = np.empty(min(elements, size), dtype)
    for offset, extent in blocks(shape, elements):
        block = memory[: math.prod(extent)].reshape(extent)
        scheme(block, stream.copy(), global_shape=shape, offset=offset, num_threads=num_threads)
        yield block


def blocks(shape: Sequence[int], elements: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cut a tensor into blocks that follow each other in row-major order.

    Parameters
    ----------
    shape : sequence of int
    elements : int
        At most so many in a block, at least 1.

    Yields
    ------
    offset, shape : tuple of int
        Where a block begins, and its shape: one index of each leading dimension, some of the next, all of the rest.

    Examples
    --------
    >>> list(blocks((2, 3, 4), elements=8))
    [((0, 0, 0), (1, 2, 4)), ((0, 2, 0), (1, 1, 4)), ((1, 0, 0), (1, 2, 4)), ((1, 2, 0), (1, 1, 4))]
    """
    if not math.prod(shape):
        return
    if not shape:
        yield (), ()
        return
    axis = next(k for k in range(len(shape)) if math.prod(shape[k + 1 :]) <= elements)
    rest = tuple(shape[axis + 1 :])
    rows = elements // math.prod(rest)
    for outer in np.ndindex(*shape[:axis]):
        for first in range(0, shape[axis], rows):
            yield (*outer, first, *(0 for _ in rest)), (*(1 for _ in outer), min(rows, shape[axis] - first), *rest)
