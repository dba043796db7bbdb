"""Sources of checkpoints, to write or compare: a plan with shapes, another checkpoint, or a PyTorch model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit._core import text_of
from pyinit.arrays import dtype_of
from pyinit.checkpoint import folders, plans
from pyinit.files.formats import DTYPES, SAFETENSORS, dtype_name
from pyinit.files.reading import Stored
from pyinit.initializers.windows import raw_bits
from pyinit.models.plan import matched, named
from pyinit.models.tensors import Tensor, drawn
from pyinit.streams import Stream
from pyinit.untrusted import contents, json_of

__all__ = ["DUMMY", "Source", "source_of"]

DUMMY: Mapping[str, Any] = {
    "*norm*.bias": "zeros",
    "*norm*": "ones",
    "*ln_*.weight": "ones",
    "*.bias": "zeros",
    "*": "normal(std=0.02)",
}
"""The plan for a checkpoint whose values do not matter, such as one to test a server."""

PACKED = ("int8", "uint8", "int16", "uint16", "int32", "uint32")

MOST_BESIDE = 1 << 28  # bytes of one such file
MOST_CONFIG = 1 << 24


class Source(NamedTuple):
    """The tensors of a checkpoint and the small files beside them.

    Attributes
    ----------
    tensors : list of Tensor
        With their names on disk, each tensor once.
    beside : dict of str to bytes or Path
        File names to contents, or to the file to copy.
    aliases : dict of str to set of str
        The other names of tied tensors.
    """

    tensors: list[Tensor]
    beside: Mapping[str, bytes | Path] = {}
    aliases: Mapping[str, set[str]] = {}


def source_of(
    source: Any,
    root: Stream,
    plan: Mapping[str, Any] | str | os.PathLike[str] | None,
    dtype: Any,
    names: str,
) -> Source:
    """Read the source of `write`, or raise TypeError or ValueError."""
    kind = None if dtype is None else dtype_name(dtype)
    if names not in ("disk", "memory"):
        raise ValueError(f"names must be 'disk' or 'memory'; got {text_of(names)}")
    if isinstance(plan, (str, os.PathLike)):
        plan = plans.load(plan)
    if not isinstance(plan, (Mapping, type(None))):
        raise TypeError(f"plan must be a mapping of patterns to schemes, or its file; got {type(plan).__name__}")
    adapter = adapter_of(source)
    if adapter is not None:
        if plan is not None:
            raise TypeError("a model brings its own recipes: plan must be None")
        return Source(*adapter.tensors_of(source, root, kind, names))
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix.lower() not in plans.SUFFIXES:
            return of_checkpoint(path, root, DUMMY if plan is None else plan, kind)
        source = plans.load(path)
    if not isinstance(source, Mapping):
        raise TypeError(
            "source must be a mapping of names to shape and scheme, the path of one or of a checkpoint, or a model or "
            f"recipes of pyinit.adapters.torch.deferred; got {type(source).__name__}"
        )
    source = named("source", source)
    if plan is not None:
        shapes = plans.shapes(source)
        return Source(by_plan(shapes, plan, root, dict.fromkeys(shapes, kind or "float32")))
    if "model_type" in source:
        raise ValueError(
            "source is a model's configuration: build the model with pyinit.adapters.torch.hugging_face.from_config "
            "and pass that, or use --config"
        )
    shapes, schemes, dtypes = plans.planned(source)
    kinds = {name: kind or dtype_name(dtypes.get(name, "float32")) for name in shapes}
    return Source([tensor(name, shape, kinds[name], schemes[name], root) for name, shape in shapes.items()])


def adapter_of(source: Any) -> Any:
    """Return the adapter for a model, its recipes or its report; None for another source."""
    adapter = sys.modules.get("pyinit.adapters.torch")
    return adapter if adapter is not None and adapter.is_model(source) else None


def by_plan(
    shapes: Mapping[str, Sequence[int]],
    plan: Mapping[str, Any],
    root: Stream,
    dtypes: Mapping[str, str],
) -> list[Tensor]:
    """Return tensors, each with the scheme of the first pattern that matches its name."""
    schemes = matched(shapes, plan, is_part=plan is DUMMY)
    return [tensor(name, shape, dtypes[name], scheme, root) for (name, shape), scheme in zip(shapes.items(), schemes)]


def tensor(name: str, shape: Sequence[int], dtype: str, scheme: Any, root: Stream) -> Tensor:
    """Return a tensor that a scheme draws from the stream of its name; an error mentions the name."""
    try:
        return drawn(name, shape, DTYPES[dtype], scheme, root.child(name))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError  # UnicodeEncodeError takes no text
        raise kind(f"{name!r}: {error}") from None


def of_checkpoint(path: Path, root: Stream, plan: Mapping[str, Any], dtype: str | None) -> Source:
    """Take names, shapes and dtypes from a checkpoint.

    Floats are drawn by the plan. Matrices of integers of at most 32 bits hold packed weights: they get random bits.
    Other tensors, such as a table of positions, are copied.
    """
    found = folders.read(path).tensors
    floats = {name: stored for name, stored in found.items() if stored.dtype in DTYPES}
    made = by_plan(
        {name: stored.shape for name, stored in floats.items()},
        plan,
        root,
        {name: dtype or stored.dtype for name, stored in floats.items()},
    )
    ready = {tensor.name: tensor for tensor in made}
    ready |= {name: packed(stored, root.child(name)) for name, stored in found.items() if is_packed(stored)}
    tensors = [ready.get(name) or copied(stored) for name, stored in found.items()]
    return Source(tensors, with_dtype(beside(path), dtype))


def is_packed(stored: Stored) -> bool:
    """Whether a tensor has the shape and dtype of packed, quantised weights."""
    return stored.dtype in PACKED and len(stored.shape) > 1


def packed(stored: Stored, stream: Stream) -> Tensor:
    """Return a tensor of random bits, with the shape and dtype of a stored tensor of integers."""
    kind = dtype_of(stored.dtype)
    words = (-(-stored.nbytes // 4),)

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        start = int(np.ravel_multi_index(offset, stored.shape)) * kind.itemsize
        first, end = start // 4, -(-(start + out.nbytes) // 4)
        bits = np.empty(end - first, np.uint32)
        stream.copy().fill_bits(bits, global_shape=words, offset=(first,), num_threads=num_threads)
        part = bits.astype("<u4", copy=False).view(np.uint8)[start - 4 * first :][: out.nbytes]
        out[...] = part.view(kind.newbyteorder("<")).reshape(out.shape)  # blocks are always contiguous runs

    return Tensor(stored.name, stored.shape, kind, make, native=kind)


def copied(stored: Stored) -> Tensor:
    """Return a tensor with the values in a file, read when needed."""
    if stored.dtype not in SAFETENSORS:
        raise ValueError(f"{stored.path}: {stored.name!r} has dtype {stored.dtype}, which cannot be written")

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        start = int(np.ravel_multi_index(offset, stored.shape)) if offset else 0
        raw_bits(out)[...] = raw_bits(stored.read(start, out.shape))  # blocks are always contiguous runs

    kind = dtype_of(stored.dtype)
    return Tensor(stored.name, stored.shape, kind, make, native=kind)


def with_dtype(files: dict[str, bytes | Path], dtype: str | None) -> dict[str, bytes | Path]:
    """Return the files with another dtype in the configuration, if a model can compute in it."""
    file = files.get("config.json")
    if dtype is None or dtype.startswith("float8") or not isinstance(file, Path):
        return files
    config = json_of(contents(file, MOST_CONFIG), file)
    if not isinstance(config, dict):
        return files
    keys = [key for key in ("dtype", "torch_dtype") if key in config] or ["dtype"]
    text = json.dumps(config | dict.fromkeys(keys, dtype), indent=2)
    return files | {"config.json": f"{text}\n".encode()}


def beside(path: Path) -> dict[str, bytes | Path]:
    """Find the small files to copy from a checkpoint's folder."""
    if not path.is_dir():
        return {}
    found: dict[str, bytes | Path] = {}
    for file in sorted(path.iterdir()):
        if folders.is_beside(file.name) and file.is_file():
            inside = folders.inside(path, file.name)
            if inside.stat().st_size <= MOST_BESIDE:
                found[file.name] = inside
    return found
