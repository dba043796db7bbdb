"""Read the tensors of a distributed checkpoint of PyTorch (DCP) one stored chunk at a time, without a process group."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.windows import Region

__all__ = ["Stored", "stored"]


class Chunk(NamedTuple):
    """A block of a tensor that is stored in one piece: where it begins, its shape, and where in the folder it lies."""

    offset: tuple[int, ...]
    shape: tuple[int, ...]
    info: Any


class Stored(NamedTuple):
    """A tensor in a checkpoint.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : torch.dtype
    chunks : list of Chunk
    folder : Path
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    chunks: list[Chunk]
    folder: Path

    @property
    def problem(self) -> str | None:
        """Why it cannot be compared; None if it can."""
        found = sum(math.prod(chunk.shape) for chunk in self.chunks if chunk.info is not None)
        size = math.prod(self.shape)
        return None if found == size else f"not compared: {found} of its {size} elements are in the checkpoint"

    def read(self) -> Iterator[tuple[Region, torch.Tensor]]:
        """Yield each chunk and which part of the tensor it is; raise ValueError if it cannot be read."""
        for offset, shape, info in self.chunks:
            try:
                with open(self.folder / info.relative_path, "rb") as file:
                    file.seek(info.offset)
                    raw = file.read(info.length)
                values = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
            except Exception as error:
                raise ValueError(f"{self.name!r}: {info.relative_path} cannot be read: {error}") from error
            if (tuple(values.shape), values.dtype) != (shape, self.dtype):
                raise ValueError(
                    f"{self.name!r}: {info.relative_path} must have a chunk of shape {shape} and {self.dtype}; got "
                    f"{tuple(values.shape)} and {values.dtype}"
                )
            yield tuple(slice(o, o + n) for o, n in zip(offset, shape)), values


def stored(folder: str | Path, trust_pickle: bool) -> list[Stored]:
    """Return the tensors of a checkpoint.

    Raises
    ------
    ValueError
        If the folder holds no checkpoint, or the pickle in it is not to be trusted.
    """
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.metadata import MetadataIndex, TensorStorageMetadata

    folder = Path(folder)
    if not (folder / ".metadata").is_file():
        raise ValueError(f"{folder} must be a distributed checkpoint of PyTorch; it has no file .metadata")
    if not trust_pickle:
        raise ValueError(
            f"the metadata of {folder} is a pickle, which can run any code when it is read; pass trust_pickle=True if "
            "you trust where it comes from"
        )
    metadata = FileSystemReader(folder).read_metadata()
    places = metadata.storage_data

    def chunks(name: str, entry: TensorStorageMetadata) -> list[Chunk]:
        found = [(chunk, places.get(MetadataIndex(name, chunk.offsets))) for chunk in entry.chunks]
        return [Chunk(tuple(chunk.offsets), tuple(chunk.sizes), info) for chunk, info in found]

    return [
        Stored(name, tuple(entry.size), entry.properties.dtype, chunks(name, entry), folder)
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    ]
