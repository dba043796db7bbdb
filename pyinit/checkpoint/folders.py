"""Folders of weights in Hugging Face's layout: .safetensors files, and an index if there are several."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pyinit.files.formats import MOST_HEADER
from pyinit.files.reading import Stored, safetensors_file
from pyinit.models.tensors import Tensor
from pyinit.untrusted import contents, json_of, shown, wrong

__all__ = ["INDEX", "Checkpoint", "file_names", "index", "is_beside", "read", "split"]

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
OF_SEVERAL = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")
MOST_INDEX = 1 << 26  # bytes; a model with 140,000 tensors needs 12 million
MOST_OBJECTS = 1000  # in an index: it needs two, and its metadata may have a few more

BESIDE = re.compile(
    r"""
    (\w+_)?config\.json | tokenizer[.\w]* | vocab\.(json|txt) | merges\.txt | (spiece|sentencepiece[.\w]*)\.model
    | (special_tokens_map|added_tokens)\.json | chat_template\.(jinja|json)
    """,
    re.VERBOSE,
)
"""The small files of a checkpoint: its configuration and its tokenizer's files."""

Sized = TypeVar("Sized", bound=Tensor)


class Checkpoint(NamedTuple):
    """The tensors of a checkpoint, and its files' metadata.

    Attributes
    ----------
    tensors : dict of str to Stored
    metadata : list of dict of str to str
        One for each file.
    """

    tensors: dict[str, Stored]
    metadata: list[dict[str, str]]


def split(tensors: Iterable[Sized], most: int) -> list[list[Sized]]:
    """Divide tensors among files, in order, with at most `most` bytes each; a larger tensor has its own file.

    In a file, tensors with larger elements come first, so that all are aligned.
    """
    files: list[list[Sized]] = [[]]
    size = head = 0
    for tensor in tensors:
        told = 3 * len(json.dumps(tensor.name)) + len(tensor.scheme or "") + 12 * len(tensor.shape) + 150
        if files[-1] and (size + tensor.nbytes > most or head + told > MOST_HEADER):
            files.append([])
            size = head = 0
        files[-1].append(tensor)
        size, head = size + tensor.nbytes, head + told
    return [sorted(file, key=lambda tensor: -tensor.dtype.itemsize) for file in files]


def is_beside(name: str) -> bool:
    """Whether a file is one of the small files beside a checkpoint's weights.

    Examples
    --------
    >>> is_beside("generation_config.json"), is_beside("notes.txt")
    (True, False)
    """
    return BESIDE.fullmatch(name) is not None


def file_names(count: int) -> list[str]:
    """Name the files of a checkpoint as Hugging Face does.

    Examples
    --------
    >>> file_names(1), file_names(2)[1]
    (['model.safetensors'], 'model-00002-of-00002.safetensors')
    """
    if count == 1:
        return [WHOLE]
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def index(files: Mapping[str, Sequence[Tensor]]) -> bytes:
    """Make a checkpoint's index, the file of each tensor; raise ValueError if it is longer than `read` accepts."""
    where = {tensor.name: name for name, tensors in files.items() for tensor in tensors}
    size = sum(tensor.nbytes for tensors in files.values() for tensor in tensors)
    text = json.dumps({"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}, indent=2)
    if len(text) >= MOST_INDEX:
        raise ValueError(f"the index of {len(where):,} tensors would be longer than readers accept")
    return (text + "\n").encode()


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Find the tensors of a .safetensors file, or of a folder of such files.

    Raises
    ------
    DamagedError
        If a file or the index is damaged, or leads out of the folder.
    OSError
        If there is no file, or it cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        found = safetensors_file(path)
        return Checkpoint({tensor.name: tensor for tensor in found.tensors}, [found.metadata])
    if (path / WHOLE).exists():
        names: list[str] = [WHOLE]
        where = None
    elif (path / INDEX).exists():
        where = weight_map(path / INDEX)
        names = sorted(set(where.values()))
    else:
        names, where = sorted(file.name for file in path.glob("*.safetensors")), None
        if not names:
            raise FileNotFoundError(f"{path} has no .safetensors files")
        counts = [int(match[1]) for match in map(OF_SEVERAL.fullmatch, names) if match]
        if counts and len(counts) < max(counts):
            raise wrong(path, f"it has {len(counts)} of {max(counts)} files, and no {INDEX}")
    tensors: dict[str, Stored] = {}
    metadata: list[dict[str, str]] = []
    told = 0
    for name in names:
        found = safetensors_file(inside(path, name))
        metadata.append(found.metadata)
        told += sum(map(len, found.metadata.values()))
        if told > MOST_HEADER:  # a thousand links to one file would need a thousand times its memory
            raise wrong(path, f"the metadata of its files have more than {MOST_HEADER:,} characters")
        for tensor in found.tensors:
            if tensor.name in tensors:
                raise wrong(path, f"{shown(tensor.name)} is in {tensors[tensor.name].path.name} and in {name}")
            if where is not None and where.get(tensor.name) != name:
                raise wrong(path, f"{shown(tensor.name)} is in {name}, but {INDEX} does not say so")
            tensors[tensor.name] = tensor
    lost = [name for name in where or () if name not in tensors]
    if lost:
        raise wrong(path, f"{INDEX} says that {shown(lost[0])} is in {(where or {})[lost[0]]}, but it is not")
    return Checkpoint(tensors, metadata)


def weight_map(path: Path) -> dict[str, str]:
    """Read an index: the file of each tensor."""
    data = contents(inside(path.parent, path.name), MOST_INDEX)
    if data.count(b"{") > MOST_OBJECTS or data.count(b"[") > MOST_OBJECTS:
        raise wrong(path, "it has more objects and lists than an index")  # a million empty lists would take gigabytes
    index = json_of(data, path)
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict) or not found or not all(isinstance(name, str) for name in found.values()):
        raise wrong(path, "it is not a checkpoint's index: a JSON object with names and files in weight_map")
    return found


def inside(folder: Path, name: str) -> Path:
    """Return a file of a folder; raise DamagedError if the name, or a link, leads out of it.

    In huggingface_hub's cache, a snapshot's files are links to the same repository's blobs: these are allowed.
    """
    if not name.isprintable() or name in ("", "..") or len(name) > 255 or "\\" in name or Path(name).name != name:
        raise wrong(folder, f"{shown(name)} is not the name of a file in it")
    home = Path(os.path.realpath(folder))
    real = Path(os.path.realpath(home / name))  # Path.resolve would raise RuntimeError for links in a circle
    blobs = [snapshots.parent / "blobs" for snapshots in home.parents if snapshots.name == "snapshots"]
    if not any(map(real.is_relative_to, [home, *blobs])):
        raise wrong(folder, f"{shown(name)} is a link that leads out of it, to {shown(str(real))}")
    return folder / name
