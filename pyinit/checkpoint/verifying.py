"""Compare checkpoints with a seed's initial weights: `verify`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

from pyinit import _core, terminal
from pyinit.atomic import path_text
from pyinit.checkpoint import folders, plans
from pyinit.checkpoint.sources import adapter_of, source_of
from pyinit.files import disk
from pyinit.files.parsing import flat
from pyinit.files.reading import npy_file
from pyinit.initializers import Scheme
from pyinit.initializers.configuration import read_mapping
from pyinit.models.comparison import Held, Verification, Verified, Whole, compare, expected_by
from pyinit.models.tensors import Tensor, drawn_like
from pyinit.streams import Stream
from pyinit.untrusted import shown, wrong

__all__ = ["read", "verify"]

UNTOLD = "not compared: its scheme is not in the file; give a configuration"
MOST_SCHEME = 1000  # characters of a scheme's text in a file
MOST_WHOLE = 1 << 28  # bytes of a tensor that must be made as a whole, if only its file says so


def verify(
    path: str | os.PathLike[str],
    source: Any = None,
    seed: SupportsIndex | None = None,
    *,
    generator: str | None = None,
    child: str | None = None,
    trust_pickle: bool = False,
    progress: bool = False,
) -> Verification:
    """Compare a checkpoint with its initial values; these are made again in small blocks on all processors.

    Parameters
    ----------
    path : str or path-like
        A folder of .safetensors files, one such file, a .npy file, or the folder of a PyTorch distributed checkpoint
        (DCP).
    source : mapping, path, scheme, Module, Recipes or Report, optional
        The source of the weights: a plan (name patterns to schemes) or its file; the source given to `write`; or one
        scheme for a file with one tensor. None: the files' metadata, which pyinit writes.
    seed : int, optional
        None: the seed in the files.
    generator : {"philox", "ars5", "ars7"}, optional
        None: the generator in the files, otherwise "philox".
    child : str, optional
        The name of the child stream, for a file with one tensor. None: the name in the file, otherwise the root stream.
    trust_pickle : bool
        Whether to read a distributed checkpoint's metadata. It is a pickle, which can run any code.
    progress : bool
        Show a bar on standard error, if that is a terminal.

    Returns
    -------
    list of (name, verdict, first, share, largest)
        One row for each tensor. Prints as a table; its property `equal` is True if all have their initial values.
        Verdicts are "equal"; "equal in bfloat16" (rounded to another dtype); "scaled by 0.5"; "differs", with the index
        of the first different element, the share of different elements, and the largest difference; "missing" from
        the checkpoint; "unexpected" in it; or the reason why a tensor was not compared.

    Raises
    ------
    TypeError, ValueError
        If there is no seed or no source, or a file is damaged (`pyinit.untrusted.DamagedError`) or must not be read.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/weights.npy"
    >>> _ = pyinit.files.fill(path, (300, 200), "xavier_normal", seed=7)
    >>> pyinit.checkpoint.verify(path, "xavier_normal", seed=7).equal
    True
    """
    path = Path(path_text("path", path))
    held, metadata = read(path, trust_pickle)
    told = Told.of(path, metadata)
    child = told.child if child is None else child
    seed = told.seed if seed is None else seed
    if seed is None:
        raise TypeError(f"seed must be given: it is not in {path}")
    root = Stream(seed, generator or told.generator or "philox")
    expected, missing = expected_of(told if source is None else source, root, child, held)
    size = sum(nbytes(stored) for name, stored in held.items() if isinstance(expected.get(name), Tensor))
    with terminal.progress(size, f"verifying {path.name}", progress, unit="bytes") as advance:
        rows = list(compare(held, expected, advance))
    return Verification(Verified, [*rows, *(Verified(name, "missing") for name in missing)])


def read(path: Path, trust_pickle: bool = False) -> tuple[Mapping[str, Whole], list[dict[str, str]]]:
    """Find the tensors of a checkpoint of any kind, and its files' metadata.

    Raises
    ------
    ValueError
        If a file is damaged or must not be read.
    OSError
        If there is no file.
    """
    if (path / ".metadata").is_file():
        return distributed(path, trust_pickle), []
    is_npy = path.suffix == ".npy"
    found = folders.Checkpoint({path.stem: npy_file(path, path.stem)}, [{}]) if is_npy else folders.read(path)
    stays = disk.fits_memory(sum(tensor.nbytes for tensor in found.tensors.values()))
    return {name: tensor._replace(stays=stays) for name, tensor in found.tensors.items()}, found.metadata


def distributed(path: Path, trust_pickle: bool) -> Mapping[str, Whole]:
    """Find the tensors of a PyTorch distributed checkpoint."""
    from pyinit.adapters.torch import checkpoints

    return {stored.name: stored for stored in checkpoints.stored(path, trust_pickle)}


def nbytes(stored: Held) -> int:
    """Return the number of bytes of a tensor's values."""
    return 0 if stored.kind is None else math.prod(stored.shape) * stored.kind.itemsize


class Told(NamedTuple):
    """The metadata in the files of a checkpoint that pyinit has written.

    Attributes
    ----------
    schemes : dict of str to str
    shapes : dict of str to str
        Numbers separated by commas.
    seed : int or None
    generator : str or None
    child : str or None
        The stream of a file with one tensor.
    single : str or None
        The scheme of a file with one tensor.
    """

    schemes: dict[str, str]
    shapes: dict[str, str]
    seed: int | None
    generator: str | None
    child: str | None
    single: str | None

    @classmethod
    def of(cls, path: Path, metadata: Sequence[Mapping[str, str]]) -> Told:
        """Read the metadata, or raise DamagedError."""
        schemes: dict[str, str] = {}
        shapes: dict[str, str] = {}
        for each in metadata:
            schemes |= flat(each.get("schemes", "{}"), path)
            shapes |= flat(each.get("shapes", "{}"), path)
        seed, generator = (one_of(key, path, metadata) for key in ("seed", "generator"))
        if seed is not None and not (seed.isascii() and seed.isdigit() and len(seed) <= 20 and int(seed) < 2**64):
            raise wrong(path, f"its metadata has an invalid seed: {shown(seed)}")
        if generator is not None and generator not in _core.GENERATORS:
            raise wrong(path, f"its metadata has an unknown generator: {shown(generator)}")
        first = metadata[0] if len(metadata) == 1 else {}
        number = None if seed is None else int(seed)
        return cls(schemes, shapes, number, generator, first.get("child"), first.get("scheme"))


def one_of(key: str, path: Path, metadata: Sequence[Mapping[str, str]]) -> str | None:
    """Return the value of a metadata entry in all files that have it; raise DamagedError if they differ."""
    found = {each[key] for each in metadata if key in each}
    if len(found) > 1:
        raise wrong(path, f"its files have different {key}s")
    return next(iter(found), None)


def expected_of(
    source: Any, root: Stream, child: str | None, held: Mapping[str, Held]
) -> tuple[dict[str, Tensor | str], list[str]]:
    """Return the expected tensors of a checkpoint, and the names that it lacks.

    Raises
    ------
    TypeError, ValueError
        If the source is invalid.
    """
    if isinstance(source, Told):
        told = (
            one(source.single, root, child, held) if source.single and len(held) == 1 else of_told(source, root, held)
        )
        missing = [name for name in source.shapes if name not in held]
        return {name: if_small(tensor) for name, tensor in told.items()}, missing
    if isinstance(source, (str, os.PathLike)) and Path(source).suffix.lower() in plans.SUFFIXES:
        source = plans.load(source)
    if isinstance(source, Mapping) and adapter_of(source) is None:
        source = read_mapping("source", source)
    is_scheme = isinstance(source, Mapping) and "name" in source and len(held) == 1 and "name" not in held
    if isinstance(source, str) and Path(source).exists():
        source = Path(source)
    if isinstance(source, Mapping) and not is_scheme and is_plan(source):
        return expected_by(source, held, root)
    if isinstance(source, (str, Scheme)) or is_scheme:
        return one(source, root, child, held), []
    return of_source(source, root, held)


def of_told(told: Told, root: Stream, held: Mapping[str, Held]) -> dict[str, Tensor | str]:
    """Return the expected tensors by the files' metadata; raise ValueError if there is none."""
    if not told.schemes and not told.shapes:
        raise ValueError("the files do not say how they were made: give a plan, a scheme or a configuration")
    expected: dict[str, Tensor | str] = {}
    for name, stored in held.items():
        text, shape = told.schemes.get(name), told.shapes.get(name)
        expected[name] = drawn_as(name, stored, text, root.child(name)) if text else UNTOLD
        if shape is not None and shape != ",".join(map(str, stored.shape)):
            expected[name] = f"shape {stored.shape}, made with ({shown(shape)[1:-1]})"
    return expected


def is_plan(source: Mapping[str, Any]) -> bool:
    """Whether a mapping has patterns and schemes, rather than names and shapes, or recipes."""
    values = list(source.values())
    return not any(isinstance(v, Mapping) and "shape" in v for v in values) and all(
        isinstance(v, (str, Mapping, Scheme)) or callable(v) for v in values
    )


def one(scheme: Any, root: Stream, child: str | None, held: Mapping[str, Held]) -> dict[str, Tensor | str]:
    """Return the expected tensor of a file with one tensor: a scheme's, from the root stream or its child."""
    if len(held) != 1:
        raise ValueError(f"a single scheme is for a single tensor; this checkpoint has {len(held)}: give a plan")
    [(name, stored)] = held.items()
    stream = root if child is None else root.child(child)
    return {name: drawn_as(name, stored, scheme, stream)}


def if_small(tensor: Tensor | str) -> Tensor | str:
    """Return a tensor that only a file asks for, or the reason why not, if it would take much memory."""
    if isinstance(tensor, str) or tensor.splittable or tensor.nbytes <= MOST_WHOLE:
        return tensor
    return f"not compared: its {tensor.nbytes:,} bytes must be made at once, and only its file says so; give a plan"


def drawn_as(name: str, stored: Held, scheme: Any, stream: Stream) -> Tensor | str:
    """Return a tensor with a stored tensor's shape and dtype, or the reason why there is none."""
    if isinstance(scheme, str) and len(scheme) > MOST_SCHEME:
        return f"not compared: its scheme has more than {MOST_SCHEME:,} characters"
    return drawn_like(name, stored.shape, stored.kind, scheme, stream)


def of_source(source: Any, root: Stream, held: Mapping[str, Held]) -> tuple[dict[str, Tensor | str], list[str]]:
    """Return the expected tensors of a checkpoint written from a source, whichever names it uses.

    Names may have a prefix: in a distributed checkpoint of ``{"model": model.state_dict()}`` they begin with "model.".
    """
    best: tuple[dict[str, Tensor | str], list[str]] | None = None
    for names in ("disk", "memory"):
        found = source_of(source, root, None, None, names)
        aliases = found.aliases
        known: dict[str, Tensor | str] = {tensor.name: tensor for tensor in found.tensors}
        known |= {other: known[name] for name, others in aliases.items() for other in others}
        prefix = prefix_of(known, held)
        same = {tensor.name: {tensor.name, *aliases.get(tensor.name, ())} for tensor in found.tensors}
        missing = [prefix + name for name, all_of_it in same.items() if not any(prefix + n in held for n in all_of_it)]
        if best is None or len(missing) < len(best[1]):
            best = {prefix + name: tensor for name, tensor in known.items()}, missing
        if not missing:
            break
    assert best is not None
    return best


def prefix_of(names: Collection[str], held: Mapping[str, Held]) -> str:
    """Return the prefix of most of a source's names in a checkpoint: "" or a text that ends with a dot.

    Examples
    --------
    >>> there = ["model.a.w", "model.a.b", "optimizer.state.a.w.step"]
    >>> prefix_of(["a.w", "a.b"], dict.fromkeys(there))
    'model.'
    """
    counts = Counter({"": sum(name in held for name in names)})
    for name in held:
        head, dot, tail = name.partition(".")
        while dot:
            counts[head + dot] += tail in names
            more, dot, tail = tail.partition(".")
            head += "." + more
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))
