"""Write checkpoints of initial weights: `write`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from pyinit import _core, terminal
from pyinit.atomic import check_folder, path_text, put_in_place, replacement, sole, sync_folder, target
from pyinit.checkpoint import folders
from pyinit.checkpoint.sources import source_of
from pyinit.files import disk
from pyinit.files.formats import safetensors_header
from pyinit.files.images import Image
from pyinit.models.tensors import Tensor
from pyinit.streams import Stream, integer

__all__ = ["Written", "write"]

SHARD_BYTES = 5 * 10**9
OURS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|\.pyinit-\w+\.tmp")


@dataclass(frozen=True)
class Written:
    """A summary of a written checkpoint, as plain values.

    Attributes
    ----------
    path : str
    files, tensors, bytes : int
        Their numbers; the bytes count the .safetensors files.
    kept : int
        The number of complete files that an earlier, stopped call had left.
    seed : int
    generator : str
    """

    path: str
    files: int
    tensors: int
    bytes: int
    kept: int
    seed: int
    generator: str


def write(
    source: Any,
    folder: str | os.PathLike[str],
    seed: SupportsIndex | None = None,
    *,
    plan: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    dtype: Any = None,
    shard_bytes: SupportsIndex = SHARD_BYTES,
    names: str = "disk",
    generator: str = "philox",
    overwrite: bool = False,
    num_threads: SupportsIndex | None = None,
    progress: bool = False,
) -> Written:
    """Write a checkpoint of initial weights; it may be larger than memory, and has the same bytes on every machine.

    Parameters
    ----------
    source : mapping, path, Module, Recipes or Report
        The tensors to write:

        - names to ``{"shape": [...], "scheme": ..., "dtype": ...}``, or a .json, .toml or .yaml file of these. With
          `plan`, names to shapes.
        - another checkpoint, a folder or a .safetensors file: the new one has its names, shapes, dtypes and
          configuration. Floats are drawn by `plan`. Matrices of integers of at most 32 bits, in which quantisers pack
          weights, get random bits; other tensors, such as tables of positions, are copied.
        - a model that `pyinit.adapters.torch.deferred` built, its recipes, or the report of `fast_init`. For a Hugging
          Face model, its configuration is written too.
    folder : str or path-like
        A folder, with Hugging Face's file names: ``model.safetensors``, or several such files and their index. Or the
        name of one .safetensors file. It appears only when it is complete.
    seed : int, optional
        In [0, 2**64). Without a seed the operating system picks one; the result has it.
    plan : mapping of str to scheme, or path, optional
        Name patterns to schemes, as for `pyinit.initialize`, or a file of these. Default for another checkpoint: ones
        for norms, zeros for biases, otherwise ``normal(std=0.02)``.
    dtype : dtype, optional
        The dtype of all floats: float64, float32, float16, bfloat16, float8_e4m3fn or float8_e5m2. None: the source's.
    shard_bytes : int
        The largest size of one file's tensors, unless a single tensor is larger.
    names : {"disk", "memory"}
        Tensor names for a Hugging Face model: "disk" for those of its checkpoints, which may be parts of a parameter
        (such as single experts), or "memory" for those of its parameters.
    generator : {"philox", "ars5", "ars7"}
    overwrite : bool
        Whether to replace an existing checkpoint. A folder that holds anything else is never replaced.
    num_threads, progress
        As for `pyinit.files.fill`.

    Returns
    -------
    Written

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, a scheme does not suit its tensor, or the plan does not match the names.
    OSError
        If the folder exists, or the disk has no room; this includes FileExistsError and FileNotFoundError.
    KeyboardInterrupt
        On Ctrl-C.

    Notes
    -----
    An unfinished checkpoint is called ``FOLDER.partial``. It remains after an error, Ctrl-C or a power cut. The next
    call checks its files, and writes only what is missing.

    If a scheme needs the whole tensor, such as an orthogonal one, the tensor is made in memory.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/tiny"
    >>> plan = {"fc.weight": {"shape": [300, 200], "scheme": "xavier_normal"}}
    >>> pyinit.checkpoint.write(plan, folder, 7).bytes
    240280
    >>> print(pyinit.checkpoint.verify(folder))
    name       verdict  first  share  largest
    fc.weight  equal
    """
    stream = Stream(seed, generator)
    folder, threads = path_text("folder", folder), _core.check_threads(num_threads) or None
    most = integer("shard_bytes", shard_bytes)
    if most < 1:
        raise ValueError(f"shard_bytes must be at least 1; got {_core.text_of(most)}")
    found = source_of(source, stream, plan, dtype, names)
    if not found.tensors:
        raise ValueError("source has no tensors")
    path = Path(os.path.abspath(folder))
    single = path.suffix == ".safetensors"
    groups = folders.split(found.tensors, sum(t.nbytes for t in found.tensors) if single else most)
    images = [Image(head(group, stream), group, threads) for group in groups]
    size = sum(image.size for image in images)
    with terminal.progress(size, f"writing {path.name}", progress, unit="bytes") as advance:
        if single:
            file = target(path, overwrite)
            disk.require_room(file.parent, size)
            write_image(images[0], file, overwrite, advance)
            kept = 0
        else:
            kept = write_folder(images, found.beside, path, overwrite, advance)
    return Written(folder, len(images), len(found.tensors), size, kept, stream.seed, generator)


def head(tensors: Sequence[Tensor], stream: Stream) -> bytes:
    """Make a file's header, with the metadata needed to make the tensors again."""
    schemes = {tensor.name: tensor.scheme for tensor in tensors if tensor.scheme is not None}
    metadata = {
        "format": "pt",  # transformers requires it
        "pyinit": f"contract {_core.CONTRACT_VERSION}",
        "seed": str(stream.seed),
        "generator": stream.generator,
        "schemes": json.dumps(schemes, separators=(",", ":")),
        "shapes": json.dumps({t.name: ",".join(map(str, t.shape)) for t in tensors}, separators=(",", ":")),
    }
    entries = [(t.name, dtype_text(t.dtype), t.shape) for t in tensors]
    return safetensors_header(entries, metadata)


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name."""
    row = _core.dtype_row(dtype)
    return str(dtype) if row is None else str(row.name)


def write_folder(
    images: Sequence[Image],
    beside: Mapping[str, bytes | Path],
    folder: Path,
    overwrite: bool,
    advance: Callable[[int], object],
) -> int:
    """Write a checkpoint's files to a partial folder, then rename it; return how many files were there already."""
    check_folder(folder, overwrite, lambda file: file.is_file() and is_part(file.name, beside))
    partial = folder.with_name(folder.name + ".partial")
    files = dict(zip(folders.file_names(len(images)), images))
    index = folders.index({name: image.tensors for name, image in files.items()}) if len(files) > 1 else None
    with sole(partial):
        clean(partial, {*files, *beside})
        kept = {name for name, image in files.items() if is_written(image, partial / name, advance)}
        disk.require_room(folder.parent, sum(image.size for name, image in files.items() if name not in kept))
        for name, image in files.items():
            if name not in kept:
                write_image(image, partial / name, True, advance)
        for name, content in beside.items():
            with replacement(partial / name) as out:
                out.write(content if isinstance(content, bytes) else content.read_bytes())
        if index is not None:
            with replacement(partial / folders.INDEX) as out:
                out.write(index)
        sync_folder(partial)
        put_in_place(partial, folder, overwrite)
    return len(kept)


def is_part(name: str, beside: Mapping[str, object]) -> bool:
    """Whether a file's name belongs to a checkpoint."""
    return bool(OURS.fullmatch(name)) or name in beside or folders.is_beside(name)


def clean(partial: Path, names: set[str]) -> None:
    """Remove an earlier call's files that this one does not need; raise FileExistsError if a file is not ours."""
    there = list(partial.iterdir())
    for file in there:
        if file.is_symlink() or not file.is_file() or not (file.name in names or OURS.fullmatch(file.name)):
            raise FileExistsError(f"remove {file.name} from {partial}, where the checkpoint is written")
    for file in there:
        if file.name not in names:
            file.unlink()


def is_written(image: Image, file: Path, advance: Callable[[int], object]) -> bool:
    """Whether a file holds the whole image, byte for byte; if so, sync it to the disk."""
    if not file.exists() or not disk.matches(file, image.size, Image(image.head, image.tensors, 1).fill):
        return False
    with file.open("r+b") as whole:  # Windows cannot sync a file opened for reading
        os.fsync(whole.fileno())  # a user may have copied it here
    advance(image.size)
    return True


def write_image(image: Image, file: Path, overwrite: bool, advance: Callable[[int], object]) -> None:
    """Write one file; it gets its name when it is complete and on the disk."""
    with replacement(file, overwrite) as out:
        disk.write(out, image.size, image.fill, advance)
