"""Compare two checkpoints: which tensors moved, and by how much?"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit import terminal
from pyinit.atomic import path_text
from pyinit.checkpoint.verifying import nbytes, read
from pyinit.models.comparison import BLOCK_BYTES, Block, Whole
from pyinit.models.differences import wide
from pyinit.parallel import Scratch, parallel
from pyinit.terminal import Table

__all__ = ["Moved", "against"]


class Moved(NamedTuple):
    """A row of the result of `against`: one tensor.

    Attributes
    ----------
    name : str
    verdict : str
        "same"; "moved"; "only here"; "only there"; or why it could not be compared.
    mean : float or None
        The mean absolute difference.
    relative : float or None
        `mean` divided by the mean absolute value in the other checkpoint.
    share : float or None
        The fraction of elements that differ.
    largest : float or None
        The largest absolute difference.
    """

    name: str
    verdict: str
    mean: float | None = None
    relative: float | None = None
    share: float | None = None
    largest: float | None = None

    @property
    def equal(self) -> bool:
        """Whether both checkpoints have the same values."""
        return self.verdict == "same"


def against(
    path: str | os.PathLike[str],
    other: str | os.PathLike[str],
    *,
    trust_pickle: bool = False,
    progress: bool = False,
) -> Table[Moved]:
    """Compare a checkpoint with another, such as an earlier one: did all layers train?

    Parameters
    ----------
    path, other : str or path-like
        Checkpoints of any kind that `verify` takes; their kinds and dtypes may differ.
    trust_pickle, progress
        As for `verify`.

    Returns
    -------
    list of (name, verdict, mean, relative, share, largest)
        One row for each tensor of either checkpoint. Prints as a table.

    Raises
    ------
    ValueError
        If a file is damaged (`pyinit.untrusted.DamagedError`) or must not be read.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for seed, name in enumerate(("before.npy", "after.npy")):
    ...     _ = pyinit.files.fill(f"{folder}/{name}", (300, 200), "normal", seed)
    >>> [row.verdict for row in against(f"{folder}/after.npy", f"{folder}/after.npy")]
    ['same']
    """
    paths = Path(path_text("path", path)), Path(path_text("other", other))
    here, there = (dict(read(p, trust_pickle)[0]) for p in paths)
    if len(here) == len(there) == 1 and all(p.suffix == ".npy" for p in paths):
        there = dict(zip(here, there.values()))  # these names are just the files' names
    verdicts = {name: why_not(here.get(name), there.get(name)) for name in here | there}

    def work() -> Iterator[tuple[str, Block]]:
        for name, verdict in verdicts.items():
            if verdict is None:
                yield from ((name, block) for block in here[name].blocks(BLOCK_BYTES))

    scratch = Scratch(), Scratch()

    def done(item: tuple[str, Block]) -> tuple[str, Distance]:
        name, block = item
        return name, distance(block.read(scratch[0]), there[name].box(block.offset, block.shape, scratch[1]))

    found = {name: Distance() for name, verdict in verdicts.items() if verdict is None}
    size = sum(nbytes(here[name]) for name in found)
    with terminal.progress(size, f"comparing {paths[0].name}", progress, unit="bytes") as advance:
        for name, part in parallel(done, work()):
            found[name] = found[name].joined(part)
            advance(part.compared * (nbytes(here[name]) // max(1, math.prod(here[name].shape))))
    rows = (Moved(name, verdict) if verdict else found[name].row(name) for name, verdict in verdicts.items())
    return Table(Moved, rows)


def why_not(here: Whole | None, there: Whole | None) -> str | None:
    """Return why a tensor of two checkpoints cannot be compared; None if it can."""
    if here is None or there is None:
        return "only here" if there is None else "only there"
    if here.shape != there.shape:
        return f"shape {here.shape}, there {there.shape}"
    return here.problem or there.problem


class Distance(NamedTuple):
    """Differences of some elements: sums of absolute values, and the largest; joined in a fixed order."""

    compared: int = 0
    different: int = 0
    sum: float = 0.0
    magnitude: float = 0.0
    largest: float = 0.0

    def joined(self, other: Distance) -> Distance:
        """Return the differences of these elements and others together."""
        worst = math.nan if math.isnan(other.largest) else max(self.largest, other.largest)
        return Distance(
            self.compared + other.compared,
            self.different + other.different,
            self.sum + other.sum,
            self.magnitude + other.magnitude,
            worst,
        )

    def row(self, name: str) -> Moved:
        """Return a tensor's row."""
        if not self.different:
            return Moved(name, "same")
        relative = self.sum / self.magnitude if self.magnitude else math.inf
        return Moved(name, "moved", self.sum / self.compared, relative, self.different / self.compared, self.largest)


def distance(a: NDArray[Any] | None, b: NDArray[Any]) -> Distance:
    """Compare one block in two tensors."""
    assert a is not None
    is_same = a.dtype == b.dtype
    with np.errstate(invalid="ignore", over="ignore"):  # even a cast warns of a signalling nan
        if is_same and np.array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}")):
            return Distance(a.size, magnitude=float(np.abs(wide(b)).sum(dtype=np.float64)))
        unequal = a != b if is_same and a.dtype.kind in "iu" else None  # some integers are equal as float64
        a, b = wide(a), wide(b)
        unequal = (a != b) & ~(np.isnan(a) & np.isnan(b)) if unequal is None else unequal
        apart = np.where(unequal, np.abs(a - b), 0)  # the difference of equal infinities is nan
        total, magnitude = (float(x.sum(dtype=np.float64)) for x in (apart, np.abs(b)))
    return Distance(a.size, int(np.count_nonzero(unequal)), total, magnitude, float(apart.max()))
