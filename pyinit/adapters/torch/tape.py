"""Represent the contents of a storage by the edits that made them, instead of by numbers.

A storage begins unwritten. Each draw, fill or operation on it adds an edit; an edit that overwrites the whole storage
replaces all earlier ones. Edits refer to other tensors by their contents at the time. So a tape (the edits, and all
contents that they refer to) can be played later, on another device or from another seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch

__all__ = [
    "Call",
    "Contents",
    "Draw",
    "Edit",
    "Fill",
    "Geometry",
    "Given",
    "Own",
    "Result",
    "View",
    "call_of",
    "draws",
    "is_simple",
    "order",
    "parts_of",
    "storage_of",
]

Part = TypeVar("Part")

MANY = 30  # contents; a walk through more would take too long if they are used several times


class Geometry(NamedTuple):
    """The shape, strides and offset of a tensor in its storage, in elements."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Geometry:
        """Return the geometry of a tensor."""
        return cls(tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset()))

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Geometry:
        """Return the geometry of a contiguous tensor with its own storage."""
        return cls(shape, contiguous(shape), 0)

    def on(self, flat: torch.Tensor) -> torch.Tensor:
        """Return the view of a flat tensor with this geometry."""
        return flat.as_strided(self.shape, self.stride, self.offset)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def span(self) -> range:
        """The range of storage indices from the first element to the last."""
        if not self.size:
            return range(self.offset, self.offset)
        return range(self.offset, self.offset + 1 + sum((n - 1) * s for n, s in zip(self.shape, self.stride)))

    @property
    def is_dense(self) -> bool:
        """Whether each place of the span is one element."""
        if not self.size:
            return True
        step = 1
        for s, n in sorted((s, n) for n, s in zip(self.shape, self.stride) if n != 1):
            if s != step:
                return False
            step *= n
        return True

    def covers(self, other: Geometry) -> bool:
        """Whether this geometry is dense and contains all elements of another."""
        mine, its = self.span, other.span
        return self.is_like(other) or (self.is_dense and mine.start <= its.start and its.stop <= mine.stop)

    def meets(self, other: Geometry) -> bool:
        """Whether the spans of two views overlap."""
        return max(self.span.start, other.span.start) < min(self.span.stop, other.span.stop)

    def is_like(self, other: Geometry) -> bool:
        """Whether both have the same elements in the same order, whatever their axes of length 1."""
        return self.offset == other.offset and self.steps == other.steps

    def slices(self, part: Geometry) -> tuple[slice, ...] | None:
        """Return a part of this view as one slice per axis; None if slices cannot express it."""
        if part.is_like(self):
            return tuple(slice(0, n, 1) for n in self.shape)
        found = [slice(0, 1, 1) for _ in self.shape]
        rest = part.offset - self.offset
        axes = sorted((i for i, n in enumerate(self.shape) if n != 1), key=lambda i: -self.stride[i])
        lengths = [(m, s, i) for i, (m, s) in enumerate(zip(part.shape, part.stride)) if m != 1]
        places: list[tuple[int, int]] = []
        if not part.size or min((self.stride[i] for i in axes), default=1) < 1 or rest < 0:
            return None
        for axis in axes:
            n, stride = self.shape[axis], self.stride[axis]
            start, rest = divmod(rest, stride)
            length = step = 1
            within = axes[axes.index(axis) + 1 :]
            for number, (m, s, i) in enumerate(lengths):
                inner = math.prod(self.shape[j] for j in within)
                if s % stride == 0 and start + (m - 1) * (s // stride) < n:
                    length, step = m, s // stride
                elif s == axes_step(self, axes, axis) and m % inner == 0 and start + m // inner <= n:
                    # The part joins neighbouring axes into one: whole rows.
                    length = m // inner
                    lengths += [(self.shape[j], self.stride[j], i) for j in within]
                else:
                    continue
                places.append((i, axis))
                del lengths[number]
                break
            if start >= n:
                return None
            found[axis] = slice(start, start + (length - 1) * step + 1, step)
        in_order = [axis for _, axis in sorted(places, key=lambda place: place[0])]
        return None if rest or lengths or in_order != sorted(in_order) else tuple(found)

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Lengths and strides, without axes of length 1 and with contiguous neighbours joined."""
        joined: list[tuple[int, int]] = []
        for n, s in zip(self.shape, self.stride):
            if n == 1:
                continue
            if joined and joined[-1][1] == n * s:
                joined[-1] = joined[-1][0] * n, s
            else:
                joined.append((n, s))
        return joined


def axes_step(view: Geometry, axes: list[int], axis: int) -> int | None:
    """Return the innermost stride of the axes from `axis` on if these join without gaps; otherwise None."""
    inside = axes[axes.index(axis) :]
    joined = all(view.stride[a] == view.stride[b] * view.shape[b] for a, b in itertools.pairwise(inside))
    return view.stride[inside[-1]] if joined and len(inside) > 1 else None


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor."""
    return tuple(math.prod(max(n, 1) for n in shape[i + 1 :]) for i in range(len(shape)))


def storage_of(tensor: torch.Tensor) -> torch.UntypedStorage:
    """Return a tensor's storage, unnoticed by the mode that watches for reads of memory."""
    with torch._C.DisableTorchFunction():
        return tensor.untyped_storage()


class Own(NamedTuple):
    """An argument that is the edited storage itself."""

    geometry: Geometry


class View(NamedTuple):
    """An argument, or a whole tensor: a view of a storage's contents at the time."""

    contents: Contents
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class Given:
    """A private copy of values that were computed or loaded, not drawn; None if no copy was kept."""

    tensor: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class Draw:
    """Random samples.

    Attributes
    ----------
    sampler : Scheme or Sampler
        The sampler that draws them.
    double : bool
        Whether they are drawn in float64, which uses other words of the stream than narrower dtypes.
    key : int or str
        The draw's number while recording, later the name of its stream.
    global_shape, offset : tuple of int, optional
        If only a window of the samples is needed: the shape of all samples, and the window's offset.
    """

    sampler: Any
    double: bool
    key: int | str
    global_shape: tuple[int, ...] | None = None
    offset: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Fill:
    """One value."""

    value: complex


@dataclass(frozen=True, eq=False)
class Call:
    """A torch operation and its arguments, with Own, View or Given in place of tensors."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Result:
    """An output of an operation; `index` is None if it has only one."""

    call: Call
    index: int | None


class Edit(NamedTuple):
    """A write: its place and its source. A Call writes by itself; other sources supply all values."""

    where: Geometry
    what: Draw | Fill | Call | Result | Given
    overwrites: bool = True


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of a storage.

    Attributes
    ----------
    edits : tuple of Edit
        From the first to the last.
    size : int
        The number of elements in the storage.
    dtype : torch.dtype
    """

    edits: tuple[Edit, ...]
    size: int
    dtype: torch.dtype

    def edited(self, edit: Edit) -> Contents:
        """Return the contents after one more edit."""
        whole = edit.overwrites and edit.where.is_dense and edit.where.size == self.size
        return Contents((edit,) if whole else (*self.edits, edit), self.size, self.dtype)

    @property
    def source(self) -> Edit | None:
        """The first edit, if it wrote the whole storage; otherwise None."""
        if not self.edits:
            return None
        where, _, overwrites = self.edits[0]
        return self.edits[0] if overwrites and where.is_dense and where.size == self.size else None


def draws(contents: Contents) -> Iterator[tuple[Draw, Geometry | None]]:
    """Yield each draw that contents depend on, in a fixed order, with its geometry; None if in another storage."""
    seen: set[int] = set()
    todo: list[Iterator[Edit | View]] = [iter(contents.edits)]
    while todo:
        item = next(todo[-1], None)
        if item is None:
            todo.pop()
        elif isinstance(item, View):
            if id(item.contents) not in seen:
                seen.add(id(item.contents))
                todo.append(iter(item.contents.edits))
        elif isinstance(item.what, Draw):
            yield item.what, item.where if len(todo) == 1 else None
        elif (call := call_of(item.what)) is not None and id(call) not in seen:
            seen.add(id(call))
            todo.append(parts_of(call, View))


def order(contents: Contents) -> list[Contents]:
    """List contents in the order of computation, each once, after all that it is computed from."""
    done: dict[int, Contents] = {}
    todo = [contents]
    while todo:
        needed = [inner for inner in inner_contents(todo[-1]) if id(inner) not in done]
        if needed:
            todo += reversed(needed)
        else:
            last = todo.pop()
            done[id(last)] = last
    return list(done.values())


def inner_contents(contents: Contents) -> Iterator[Contents]:
    """Yield the contents of other storages that operations on these take as arguments."""
    for edit in contents.edits:
        yield from (view.contents for view in parts_of(call_of(edit.what), View))


def is_simple(contents: Contents) -> bool:
    """Whether contents are computed from few others, each counted as often as it is used."""
    counts: dict[int, int] = {}
    for each in order(contents):
        counts[id(each)] = 1 + sum(counts[id(inner)] for inner in inner_contents(each))
    return counts[id(contents)] <= MANY


def call_of(what: Any) -> Call | None:
    """Return the operation that an edit's source is, or is an output of; otherwise None."""
    call = what.call if isinstance(what, Result) else what
    return call if isinstance(call, Call) else None


def parts_of(value: Any, kind: type[Part]) -> Iterator[Part]:
    """Yield the arguments of one kind (View, Own or Given) among those of a call."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Call):
        yield from parts_of((*value.arguments, *value.keywords.values()), kind)
    elif type(value) in (list, tuple):
        for item in value:
            yield from parts_of(item, kind)
