"""Zarr arrays, version 3 with shards: arrays too large for one machine; any process can write any part."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit import _core, terminal
from pyinit.atomic import check_folder, put_in_place, replacement, sync_folder
from pyinit.files import disk
from pyinit.models.tensors import Tensor, in_memory

__all__ = ["Grid", "fill"]

SHARD_BYTES = 1 << 25
CHUNKS = 8  # per shard
DESCRIPTION = "zarr.json"
TEMPORARY = re.compile(r"\.pyinit-\w+\.tmp")


class Grid(NamedTuple):
    """How an array is cut: the shape of a chunk, the unit of reading, and of a shard of chunks, which is one file."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype[Any], chunks: Any, shards: Any) -> Grid:
        """Choose the shapes that are not given; raise TypeError or ValueError for wrong ones."""
        if chunks is None and shards is None:
            chunks = rows(shape, SHARD_BYTES // CHUNKS // dtype.itemsize)
            axis = next((i for i, n in enumerate(chunks) if n > 1), 0)
            most = max(1, math.ceil(shape[axis] / chunks[axis])) if shape else 1
            shards = tuple(n * min(CHUNKS, most) if i == axis else n for i, n in enumerate(chunks))
        chunks = checked("chunks", shards if chunks is None else chunks, len(shape))
        shards = checked("shards", chunks if shards is None else shards, len(shape))
        if any(s % c for s, c in zip(shards, chunks)):
            raise ValueError(f"shards must be a multiple of chunks; got {shards} and {chunks}")
        return cls(chunks, shards)

    def counts(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of shards along each dimension of an array."""
        return tuple(-(-size // n) for size, n in zip(shape, self.shards))

    def region(self, shape: tuple[int, ...], number: int) -> tuple[slice, ...]:
        """Return the part of an array in a shard; shards are numbered in row-major order."""
        found: list[slice] = []
        for size, n, count in zip(shape[::-1], self.shards[::-1], self.counts(shape)[::-1]):
            number, index = divmod(number, count)
            found.insert(0, slice(index * n, min((index + 1) * n, size)))
        return tuple(found)


def checked(what: str, sizes: Any, dimensions: int) -> tuple[int, ...]:
    """Return the shape of a chunk or a shard; raise TypeError or ValueError for a wrong one."""
    found = _core.index_tuple(what, sizes)
    if len(found) != dimensions or min(found, default=1) < 1:
        raise ValueError(f"{what} must have {dimensions} sizes of at least 1; got {found}")
    return found


def rows(shape: tuple[int, ...], elements: int) -> tuple[int, ...]:
    """Return the shape of a block of at most `elements` elements that are consecutive in row-major order."""
    found: list[int] = []
    for size in reversed(shape):
        room = max(1, elements // math.prod(found))
        found.insert(0, max(1, min(size, room)))
    return tuple(found)


def fill(
    path: str | os.PathLike[str],
    tensor: Tensor,
    grid: Grid,
    attributes: Mapping[str, str],
    part: tuple[int, int],
    overwrite: bool,
    num_threads: int | None,
    progress: bool,
) -> int:
    """Write a tensor, or a part of its shards; return the number of bytes of the values."""
    if tensor.dtype.isbuiltin != 1:
        name = _core.dtype_row(tensor.dtype)
        raise TypeError(
            f"a .zarr array of {name.name if name else tensor.dtype} cannot be written; name it .safetensors"
        )
    number, count = part
    folder = Path(os.path.abspath(path))
    alone = count == 1
    check_folder(folder, overwrite or not alone)
    numbers = range(number, math.prod(grid.counts(tensor.shape)), count)
    most = min(tensor.size, len(numbers) * math.prod(grid.shards)) * tensor.dtype.itemsize
    disk.require_room(folder.parent, most)
    encoder = Encoder(tensor, grid, attributes)
    there = folder.with_name(f".pyinit-{secrets.token_hex(8)}.tmp") if alone else folder
    size = 0
    if not tensor.splittable:
        tensor = in_memory(tensor, num_threads)
    try:
        there.mkdir(exist_ok=not alone)
        describe(there, encoder.description)
        with terminal.progress(most, f"filling {folder.name}", progress, unit="bytes") as advance:
            for region in (grid.region(tensor.shape, shard) for shard in numbers):
                values = np.empty(tuple(s.stop - s.start for s in region), tensor.dtype)
                tensor.make_block(values, tuple(s.start for s in region), num_threads)
                put(there, encoder.files(region, values))
                advance(values.nbytes)
                size += values.nbytes
        sync_folder(there.parent)
        if alone:
            put_in_place(there, folder, overwrite)
    except BaseException:
        if alone:
            shutil.rmtree(there, ignore_errors=True)
        raise
    return size


class Encoder:
    """Zarr's encoder for an array. It writes to memory, because Zarr's own files would not survive a power cut.

    Attributes
    ----------
    description : bytes
        The contents of zarr.json.
    """

    def __init__(self, tensor: Tensor, grid: Grid, attributes: Mapping[str, str]) -> None:
        try:
            import zarr
        except ImportError:
            raise ImportError(
                "to write .zarr pyinit needs Zarr 3: pip install zarr, or pip install 'pyinit-weights[files]'"
            ) from None
        self.store: dict[str, Any] = {}
        self.array = zarr.create_array(
            zarr.storage.MemoryStore(self.store),
            shape=tensor.shape,
            dtype=tensor.dtype,
            chunks=grid.chunks,
            shards=grid.shards or None,  # an array of no dimensions has none
            compressors=None,
            fill_value=math.nan,
            attributes=dict(attributes),
        )
        self.description: bytes = self.store.pop(DESCRIPTION).to_bytes()

    def files(self, region: tuple[slice, ...], values: NDArray[Any]) -> Iterator[tuple[str, Any]]:
        """Yield the names and bytes of the files for a part of the array."""
        self.array[region] = values
        while self.store:
            name, data = self.store.popitem()
            yield name, data.as_buffer_like()


def put(folder: Path, files: Iterable[tuple[str, Any]]) -> None:
    """Write the files of a part, each whole or not at all, and sync them and their folders to the disk."""
    for name, data in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacement(file) as out:
            out.write(data)
        for around in file.relative_to(folder).parents:
            sync_folder(folder / around)


def describe(folder: Path, description: bytes) -> None:
    """Write an array's description; raise FileExistsError if the folder holds another array, or something else."""
    file = folder / DESCRIPTION
    others = [name for name in os.listdir(folder) if not TEMPORARY.fullmatch(name)]
    if others and not file.exists():  # another process of this array would have written that file first
        raise FileExistsError(f"{folder} exists already, and is no Zarr array: it holds {others[0]}")
    try:
        with replacement(file, overwrite=False) as out:
            out.write(description)
    except FileExistsError:
        if described(file.read_bytes()) != described(description):
            raise FileExistsError(f"{folder} exists already, and is not the array of which this is a part") from None


def described(text: bytes) -> Any:
    """Parse an array's description; None if it is not JSON."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return None
