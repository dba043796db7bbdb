"""Compare stored values with the initial ones, block by block: equal, rounded, scaled, or something else?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.arrays import dtype_of
from pyinit.models.differences import FLOATS, SAMPLE, Difference, difference, integers, is_float
from pyinit.models.plan import first_matches
from pyinit.models.tensors import Tensor, convert, drawn_like
from pyinit.parallel import Scratch, parallel
from pyinit.streams import Stream
from pyinit.terminal import Table

__all__ = [
    "BLOCK_BYTES",
    "Block",
    "Comparison",
    "Empty",
    "Held",
    "Verification",
    "Verified",
    "Whole",
    "compare",
    "expected_by",
]

BLOCK_BYTES = 1 << 21  # one processor compares this much at a time: the read and the made values fit the cache
MOST_BYTES = 1 << 62


Empty = Callable[[tuple[int, ...], "np.dtype[Any]"], NDArray[Any]]  # numpy.empty, or a function that reuses memory


class Block(NamedTuple):
    """A block of a stored tensor: its offset, its shape, and a function that reads it.

    `read` gets a function that allocates memory, if needed. It may return None for a block that is known to be equal.
    """

    offset: tuple[int, ...]
    shape: tuple[int, ...]
    read: Callable[[Empty], NDArray[Any] | None]


class Held(Protocol):
    """A stored tensor, on disk or in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The whole tensor's shape."""

    @property
    def kind(self) -> np.dtype[Any] | None:
        """Its dtype; None if NumPy and pyinit have no such type."""

    @property
    def problem(self) -> str | None:
        """Why its values cannot be read; None if they can."""

    def blocks(self, nbytes: int) -> Iterator[Block]:
        """Yield the local blocks, of about `nbytes` bytes each."""


class Whole(Held, Protocol):
    """A stored tensor that can read any block."""

    def box(self, offset: tuple[int, ...], shape: tuple[int, ...], empty: Empty = np.empty) -> NDArray[Any]:
        """Return any block."""


class Verified(NamedTuple):
    """A row of the result of `verify`: one tensor.

    Attributes
    ----------
    name : str
    verdict : str
        "equal"; "equal in bfloat16", or another dtype to which the initial values were rounded; "scaled by 0.5", or
        another factor; "differs"; "missing", "unexpected", or another reason why it could not be compared.
    first : tuple of int or None
        The index of the first element that differs.
    share : float or None
        The fraction of elements that differ.
    largest : float or None
        The largest absolute difference.
    """

    name: str
    verdict: str
    first: tuple[int, ...] | None = None
    share: float | None = None
    largest: float | None = None

    @property
    def equal(self) -> bool:
        """Whether the values are the initial ones, perhaps rounded to another dtype."""
        return self.verdict == "equal" or self.verdict.startswith("equal in ")


class Verification(Table[Verified]):
    """The result of `verify`: a list with one row for each tensor. Prints as a table."""

    @property
    def equal(self) -> bool:
        """Whether every tensor has its initial values, perhaps rounded to another dtype."""
        return all(row.equal for row in self)


def compare(
    held: Mapping[str, Held],
    expected: Mapping[str, Tensor | str],
    advance: Callable[[int], object] = lambda n: None,
    num_threads: int | None = None,
) -> Iterator[Verified]:
    """Compare stored tensors with initial ones on all processors; yield one row for each stored tensor, in order.

    Parameters
    ----------
    held : mapping of str to Held
    expected : mapping of str to Tensor, or str
        A str says why there is no tensor.
    advance : callable
        Called with the number of bytes compared since the last call.
    num_threads : int, optional
        The number of blocks to compare at a time; None: a number that suits the machine.
    """
    comparisons: dict[str, Comparison] = {}
    verdicts: dict[str, str] = {}
    for name, stored in held.items():
        tensor = expected.get(name, "unexpected")
        verdict = tensor if isinstance(tensor, str) else why_not(stored, tensor)
        if verdict:
            verdicts[name] = verdict
        elif isinstance(tensor, Tensor) and stored.kind is not None:
            comparisons[name] = Comparison(tensor, stored.kind)

    def work() -> Iterator[tuple[str, Block]]:
        for name, comparison in comparisons.items():
            if comparison.tensor.splittable:
                yield from ((name, block) for block in held[name].blocks(BLOCK_BYTES))

    there, made = Scratch(), Scratch()

    def done(item: tuple[str, Block]) -> tuple[str, Difference]:
        name, block = item
        values = block.read(there)
        if values is None:
            return name, Difference(math.prod(block.shape), low=1.0, high=1.0)
        return name, comparisons[name].block(values, block.offset, made)

    found = {name: Difference() for name in comparisons}
    whole = [name for name, comparison in comparisons.items() if not comparison.tensor.splittable]
    alone = (done((name, block)) for name in whole for block in held[name].blocks(MOST_BYTES))  # each may be large
    for name, part in itertools.chain(parallel(done, work(), num_threads), alone):
        found[name].add(part)
        advance(part.compared * comparisons[name].dtype.itemsize)
    for name in held:
        if name in verdicts:
            yield Verified(name, verdicts[name])
            continue
        if found[name].dtypes:  # equal blocks have not been checked in these dtypes yet
            found[name].dtypes = common_dtypes(comparisons[name], held[name], found[name].dtypes or set(), there)
        yield row_of(name, found[name], comparisons[name].verdict)


def common_dtypes(comparison: Comparison, held: Held, dtypes: set[str], empty: Empty) -> set[str]:
    """Return the given dtypes in which all blocks of a tensor have the initial values."""
    for block in held.blocks(BLOCK_BYTES if comparison.tensor.splittable else MOST_BYTES):
        values = block.read(empty)
        if values is None:  # equal, but still on a device: its values may not fit another dtype
            return set()
        dtypes = {dtype for dtype in dtypes if comparison.is_equal_in(dtype, values, block.offset)}
        if not dtypes:
            break
    return dtypes


def row_of(name: str, found: Difference, equal: str) -> Verified:
    """Return a tensor's row; `equal` is the verdict for equal values."""
    if not found.different:
        return Verified(name, equal)
    return Verified(name, found.verdict, found.first, found.different / found.compared, found.largest)


def expected_by(
    plan: Mapping[str, Any], held: Mapping[str, Held], root: Stream
) -> tuple[dict[str, Tensor | str], list[str]]:
    """Return a plan's tensor for each stored one, or the reason why there is none; and the unused patterns."""
    rules, idle = first_matches(held, plan)
    expected: dict[str, Tensor | str] = {}
    for (name, stored), rule in zip(held.items(), rules):
        if rule is None:
            expected[name] = "unexpected"
        else:
            expected[name] = drawn_like(name, stored.shape, stored.kind, rule.scheme, root.child(name))
    return expected, [rule.pattern for rule in idle]


def why_not(stored: Held, tensor: Tensor) -> str | None:
    """Say why a stored tensor cannot be compared with an initial one; None if it can."""
    if stored.shape != tensor.shape:
        return f"shape {stored.shape}, made with {tensor.shape}"
    if stored.problem:
        return stored.problem
    if stored.kind is None or (stored.kind != tensor.dtype and not is_float(stored.kind)):
        return f"not compared: its dtype is {stored.kind}, made as {tensor.dtype}"
    return None


class Comparison:
    """The comparison of a tensor with stored values.

    Parameters
    ----------
    tensor : Tensor
    dtype : dtype
        The dtype of the stored values.
    """

    def __init__(self, tensor: Tensor, dtype: np.dtype[Any]) -> None:
        self.tensor = tensor
        self.dtype = dtype
        name = _core.dtype_row(dtype).name if is_float(dtype) else ""
        self.verdict = f"equal in {name}" if name and tensor.native not in (None, dtype) else "equal"
        self.others = [d for d in FLOATS if name and d != name]

    def block(self, values: NDArray[Any], offset: tuple[int, ...], empty: Empty = np.empty) -> Difference:
        """Compare the block at `offset`."""
        made = empty(values.shape, self.dtype)
        self.tensor.make_block(made, offset)
        found = difference(values, made)
        if found.first is not None:
            found.dtypes = {d for d in self.others if self.is_equal_in(d, values, offset)}
            found.first = tuple(o + i for o, i in zip(offset, found.first))
        return found

    def is_equal_in(self, dtype: str, values: NDArray[Any], offset: tuple[int, ...]) -> bool:
        """Whether the block at `offset` has the initial values in another dtype."""
        few = values[tuple(slice(0, SAMPLE if i == values.ndim - 1 else 1) for i in range(values.ndim))]
        for part in (few, values) if self.tensor.splittable else (values,):
            other, made = np.empty(part.shape, dtype_of(dtype)), np.empty(part.shape, self.dtype)
            self.tensor.make_block(other, offset)
            convert(other, made)
            if not np.array_equal(integers(part), integers(made)):
                return False
        return True
