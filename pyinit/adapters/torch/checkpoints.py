"""Read the tensors of a PyTorch distributed checkpoint (DCP), one stored chunk at a time, without a process group."""

from __future__ import annotations

import functools
import io
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyinit.adapters.torch.windows import regions
from pyinit.arrays import dtype_of, dtype_of_torch, on_host
from pyinit.models.comparison import Block, Empty
from pyinit.untrusted import shown, wrong

__all__ = ["Stored", "numpy_dtype", "stored"]

INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}

KEPT = 2  # chunks; blocks are read in order, but by several threads


class Chunk(NamedTuple):
    """A block of a tensor that is stored in one piece: its offset, its shape, and its place in the folder."""

    offset: tuple[int, ...]
    shape: tuple[int, ...]
    info: Any


class Chunks:
    """Reads the chunks of a folder; it keeps the last ones, because their blocks are read one by one.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.load = functools.lru_cache(KEPT)(self.load_one)

    def values(self, chunk: Chunk) -> torch.Tensor:
        """Return a chunk; raise ValueError if it cannot be read."""
        with self.lock:
            return self.load(chunk.info.relative_path, chunk.info.offset, chunk.info.length)

    def load_one(self, file_name: str, begin: int, length: int) -> torch.Tensor:
        """Read a chunk from a file."""
        try:
            with open(self.folder / file_name, "rb") as file:
                file.seek(begin)
                raw = file.read(length)
            values = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
        except Exception as error:
            raise wrong(self.folder / file_name, f"it cannot be read: {shown(str(error))}") from None
        if not (isinstance(values, torch.Tensor) and values.layout is torch.strided and values.is_cpu):
            raise wrong(self.folder / file_name, f"a chunk must be a tensor in memory; got {type(values).__name__}")
        return values


class Stored(NamedTuple):
    """A tensor in a checkpoint.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : torch.dtype
    chunks : list of Chunk
    folder : Chunks
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    chunks: list[Chunk]
    folder: Chunks

    @property
    def kind(self) -> np.dtype[Any] | None:
        """Its dtype; None if NumPy and pyinit have no such type."""
        return numpy_dtype(self.dtype)

    @property
    def problem(self) -> str | None:
        """Why it cannot be compared; None if it can."""
        if self.kind is None:
            return f"not compared: its dtype is {str(self.dtype).removeprefix('torch.')}"
        found = sum(math.prod(chunk.shape) for chunk in self.chunks if chunk.info is not None)
        size = math.prod(self.shape)
        return None if found == size else f"not compared: {found} of its {size} elements are in the checkpoint"

    def blocks(self, nbytes: int) -> Iterator[Block]:
        """Yield blocks of at most `nbytes` bytes, chunk by chunk."""
        for chunk in self.chunks:
            for region in regions(chunk.shape, max(1, nbytes // self.dtype.itemsize)):
                offset = tuple(o + s.start for o, s in zip(chunk.offset, region))
                shape = tuple(s.stop - s.start for s in region)
                yield Block(offset, shape, functools.partial(self.read, chunk, region))

    def box(self, offset: tuple[int, ...], shape: tuple[int, ...], empty: Empty = np.empty) -> NDArray[Any]:
        """Return any block, assembled from the chunks that it overlaps."""
        assert self.kind is not None
        out = empty(shape, self.kind)
        for chunk in self.chunks:
            low = tuple(map(max, chunk.offset, offset))
            high = tuple(min(o + n, p + m) for o, n, p, m in zip(chunk.offset, chunk.shape, offset, shape))
            if all(a < b for a, b in zip(low, high)):
                here = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, chunk.offset))
                there = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, offset))
                out[there] = self.read(chunk, here)
        return out

    def read(self, chunk: Chunk, region: tuple[slice, ...], empty: Empty = np.empty) -> NDArray[Any]:
        """Return a part of a chunk; raise ValueError if it cannot be read. A chunk has its own memory."""
        values = self.folder.values(chunk)
        if (tuple(values.shape), values.dtype) != (chunk.shape, self.dtype):
            raise wrong(
                self.folder.folder / chunk.info.relative_path,
                f"{shown(self.name)} must have a chunk of shape {chunk.shape} and {self.dtype}; got "
                f"{tuple(values.shape)} and {values.dtype}",
            )
        return on_host(values[region])


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any] | None:
    """Return NumPy's dtype, or pyinit's record, for a real torch dtype; None if there is none."""
    name = str(dtype).removeprefix("torch.")
    return dtype_of(name) if name in INTEGERS else dtype_of_torch(dtype)


def stored(folder: str | Path, trust_pickle: bool) -> list[Stored]:
    """Return the tensors of a checkpoint.

    Raises
    ------
    ValueError
        If the folder holds no checkpoint, it cannot be read, or `trust_pickle` is False.
    """
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.metadata import MetadataIndex, TensorStorageMetadata

    folder = Path(folder)
    if not (folder / ".metadata").is_file():
        raise ValueError(f"{folder} must be a PyTorch distributed checkpoint; it has no .metadata file")
    if not trust_pickle:
        raise ValueError(
            f"the metadata of {folder} is a pickle, which can run any code when it is read; pass trust_pickle=True, or "
            "--trust-pickle, if you trust its source"
        )
    try:
        metadata = FileSystemReader(folder).read_metadata()
    except Exception as error:  # a pickle can raise anything
        raise wrong(folder / ".metadata", f"it cannot be read: {shown(repr(error))}") from None
    places = metadata.storage_data

    def chunks(name: str, entry: TensorStorageMetadata) -> list[Chunk]:
        found = [(chunk, places.get(MetadataIndex(name, chunk.offsets))) for chunk in entry.chunks]
        return [Chunk(tuple(chunk.offsets), tuple(chunk.sizes), info) for chunk, info in found]

    files = Chunks(folder)
    return [
        Stored(name, tuple(entry.size), entry.properties.dtype, chunks(name, entry), files)
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    ]
