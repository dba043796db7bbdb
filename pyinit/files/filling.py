"""One tensor into one file, or into a Zarr array: `fill`."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, SupportsIndex

import numpy as np

from pyinit import __version__, _core, initializers, terminal
from pyinit.atomic import path_text, replacement, target
from pyinit.files import disk, zarr
from pyinit.files.formats import DTYPES, dtype_name, npy_header, safetensors_header
from pyinit.files.images import Image
from pyinit.models.tensors import Tensor, drawn
from pyinit.streams import Stream, integer

__all__ = ["SUFFIXES", "Filled", "fill"]

CHUNK_BYTES = disk.BUFFERS * disk.BUFFER_BYTES

SUFFIXES = (".npy", ".npz", ".safetensors", ".zarr")


@dataclass(frozen=True)
class Filled:
    """A description of the file that `fill` wrote, in plain values.

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
    dtype: Any = np.float32,
    generator: str = "philox",
    child: str | None = None,
    name: str = "weights",
    overwrite: bool = False,
    num_threads: SupportsIndex | None = None,
    progress: bool = False,
    chunk_bytes: SupportsIndex = CHUNK_BYTES,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    part: tuple[int, int] | None = None,
) -> Filled:
    """Write a tensor of initial weights to a file, with the same bits as ``scheme(out, Stream(seed))`` on an array.

    Parameters
    ----------
    path : str or path-like
        Ends in .npy, .npz, .safetensors or .zarr, which selects the format. The file appears there when it is complete.
    shape : int or sequence of int
    scheme : scheme, str or dict
        Any that `pyinit.initializers.scheme` takes, such as "xavier_normal" or "normal(std=0.02)".
    seed : int, optional
        In [0, 2**64). None: the operating system picks one; the result holds it.
    dtype : float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2
        The last three only in .safetensors; .npy, .npz and .zarr hold NumPy's own dtypes.
    generator : {"philox", "ars5", "ars7"}
    child : str, optional
        Fill from ``Stream(seed).child(child)``, as for a model's parameter of that name.
    name : str
        The tensor's name in a .safetensors or .npz file.
    overwrite : bool
        Whether an existing file may be replaced.
    num_threads : int, optional
        As for `pyinit.Stream.fill_normal`.
    progress : bool
        Show a bar on standard error, if that is a terminal.
    chunk_bytes : int
        About how much of the tensor is in memory at a time; the file does not depend on it. A scheme that needs the
        whole tensor, such as an orthogonal one, holds all of it.
    chunks, shards : sequence of int, optional
        For a Zarr array: the shapes of a chunk, the unit of reading, and of a shard, which is one file; a shard's shape
        is a multiple of a chunk's. Default: shards of about 32 MB, of eight chunks each.
    part : (int, int), optional
        ``(i, n)``, for a Zarr array: write every n-th shard from the i-th on. So n processes, on any machines, can
        write one part each of the same array. Values that are not written yet are nan.

    Returns
    -------
    Filled

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the scheme does not fit the shape.
    OSError
        If the file exists (FileExistsError), its folder does not (FileNotFoundError), or the disk is too full.
    KeyboardInterrupt
        On Ctrl-C. As after any error, nothing has changed in the folder.

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
    path, sizes, kind = path_text("path", path), _core.index_tuple("shape", shape), dtype_name(dtype)
    stream, suffix = Stream(seed, generator), Path(path).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES)}; got {path!r}")
    text = scheme if isinstance(scheme, str) else repr(initializers.scheme(scheme))
    told = {"scheme": text, "seed": str(stream.seed), "generator": generator, "pyinit": __version__}
    if child is not None:
        stream, told = stream.child(child), told | {"child": child}
    tensor = drawn(name, sizes, DTYPES[kind], scheme, stream)
    threads = _core.check_threads(num_threads) or None
    most = integer("chunk_bytes", chunk_bytes)
    if most < 1:
        raise ValueError(f"chunk_bytes must be at least 1; got {_core.text_of(most)}")
    if suffix == ".zarr":
        which = checked_part(part)
        grid = zarr.Grid.of(sizes, DTYPES[kind], chunks, shards)
        size = zarr.fill(path, tensor, grid, told, which, overwrite, threads, progress)
    elif (chunks, shards, part) != (None, None, None):
        raise ValueError(f"chunks, shards and part are for .zarr; got {path!r}")
    else:
        size = fill_file(path, tensor, told, most, overwrite, threads, progress)
    return Filled(path, sizes, kind, text, int(told["seed"]), generator, child, size)


def fill_file(
    path: str | os.PathLike[str],
    tensor: Tensor,
    metadata: Mapping[str, str],
    most: int,
    overwrite: bool,
    num_threads: int | None,
    progress: bool,
) -> int:
    """Write a tensor to one file, with at most `most` bytes of it in memory; return the file's size."""
    kind, suffix = dtype_name(tensor.dtype), Path(path).suffix
    if suffix == ".safetensors":
        image = Image(safetensors_header([(tensor.name, kind, tensor.shape)], metadata), [tensor], num_threads)
    else:
        image = Image(npy_header(kind, tensor.shape), [tensor], num_threads)
    if suffix == ".npz" and not (isinstance(tensor.name, str) and tensor.name):
        raise ValueError(f"an array in a .npz file must have a name; got {_core.text_of(tensor.name)}")
    file = target(path, overwrite)
    disk.require_room(file.parent, image.size)
    buffer = disk.rounded(most // disk.BUFFERS)
    with (
        terminal.progress(image.size, f"filling {file.name}", progress, unit="bytes") as advance,
        replacement(file, overwrite) as out,
    ):
        if suffix == ".npz":
            write_zip(out, tensor.name, image, buffer, advance)
        else:
            disk.write(out, image.size, image.fill, advance, buffer)
        return out.seek(0, os.SEEK_END)


def write_zip(out: BinaryIO, name: str, image: Image, buffer_bytes: int, advance: Callable[[int], object]) -> None:
    """Write a .npy file into an archive, uncompressed, as `numpy.savez` does; a fixed date makes it reproducible."""
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    memory = np.empty(min(buffer_bytes, image.size), np.uint8)
    with zipfile.ZipFile(out, "w") as archive, archive.open(entry, "w", force_zip64=True) as member:
        for begin in range(0, image.size, buffer_bytes):
            part = memory[: min(buffer_bytes, image.size - begin)]
            image.fill(begin, part)
            member.write(part.data)
            advance(len(part))


def checked_part(part: Any) -> tuple[int, int]:
    """Return `part` as (i, n), by default (0, 1); raise ValueError for a wrong one."""
    if part is None:
        return 0, 1
    numbers = [integer("part", n) for n in itertools.islice(part, 3)] if isinstance(part, Sequence) else []
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1]:
        raise ValueError(f"part must be (i, n) with 0 <= i < n; got {_core.text_of(part)}")
    return numbers[0], numbers[1]
