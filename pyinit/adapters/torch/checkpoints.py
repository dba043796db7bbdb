"""Read the tensors of a distributed checkpoint of PyTorch (DCP) one stored chunk at a time, without a process group."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.windows import Region

__all__ = ["Stored", "stored"]


class Stored(NamedTuple):
    """A tensor in a checkpoint.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : torch.dtype
    chunks : list of (tuple of int, storage information)
        Where in the tensor each stored chunk begins, and where in the folder it lies.
    folder : Path
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    chunks: list[tuple[tuple[int, ...], Any]]
    folder: Path

    def read(self) -> Iterator[tuple[Region, torch.Tensor]]:
        """Yield each chunk and which part of the tensor it is; raise ValueError if it cannot be read."""
        for offset, info in self.chunks:
            with open(self.folder / info.relative_path, "rb") as file:
                file.seek(info.offset)
                raw = file.read(info.length)
            try:
                values = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
            except Exception as error:
                raise ValueError(f"{self.name!r}: {info.relative_path} cannot be read: {error}") from error
            yield tuple(slice(o, o + n) for o, n in zip(offset, values.shape)), values


def stored(folder: str | Path, trust_pickle: bool) -> list[Stored]:
    """Return the tensors of a checkpoint.

    Raises
    ------
    ValueError
        If the folder holds no checkpoint, or the pickle in it is not to be trusted.
    """
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    folder = Path(folder)
    if not (folder / ".metadata").is_file():
        raise ValueError(f"{folder} must be a distributed checkpoint of PyTorch; it has no file .metadata")
    if not trust_pickle:
        raise ValueError(
            f"the metadata of {folder} is a pickle, which can run any code when it is read; pass trust_pickle=True if "
            "you trust where it comes from"
        )
    metadata = FileSystemReader(folder).read_metadata()
    chunks: dict[str, list[tuple[tuple[int, ...], Any]]] = {}
    for key, info in metadata.storage_data.items():
        chunks.setdefault(key.fqn, []).append((tuple(key.offset or ()), info))
    return [
        Stored(name, tuple(entry.size), entry.properties.dtype, chunks.get(name, []), folder)
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    ]
