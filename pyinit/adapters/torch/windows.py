"""The part of a recipe that makes one window of a tensor: for shards, and to compare large tensors in little memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.sharding import region_of
from pyinit.adapters.torch.tape import (
    Call,
    Contents,
    Draw,
    Edit,
    Fill,
    Geometry,
    Given,
    Own,
    Result,
    View,
    call_of,
    is_simple,
    storage_of,
)
from pyinit.initializers import Scheme
from pyinit.models import Shard

__all__ = ["Region", "is_divisible", "part", "placed", "regions"]

Region = tuple[slice, ...]  # steps of 1


def regions(shape: tuple[int, ...], elements: int) -> Iterator[Region]:
    """Yield windows of at most `elements` elements that cover a tensor, in order.

    Examples
    --------
    >>> [[(s.start, s.stop) for s in region] for region in regions((2, 3), 2)]
    [[(0, 1), (0, 2)], [(0, 1), (2, 3)], [(1, 2), (0, 2)], [(1, 2), (2, 3)]]
    """
    if not math.prod(shape):
        return
    axis = next((i for i in range(len(shape)) if math.prod(shape[i + 1 :]) <= elements), 0)
    rows = max(1, elements // math.prod(shape[axis + 1 :])) if shape else 1
    rest = tuple(slice(0, n) for n in shape[axis + 1 :])
    for leading in itertools.product(*map(range, shape[:axis])):
        fixed = tuple(slice(i, i + 1) for i in leading)
        if not shape:
            yield ()
            continue
        for start in range(0, shape[axis], rows):
            yield (*fixed, slice(start, min(start + rows, shape[axis])), *rest)


def placed(view: View, values: torch.Tensor, shards: list[Shard] | None = None) -> Contents:
    """Return contents for the storage of `values` that give it the values of a view, or of some blocks of it."""
    if shards is not None:
        parts = [(part(view, region_of(shard, values)), values[shard.where]) for shard in shards]
        edits = tuple(edit for view, values in parts for edit in placed(view, values).edits)
        return Contents(edits, storage_of(values).nbytes() // values.element_size(), values.dtype)
    where, size = Geometry.of(values), storage_of(values).nbytes() // values.element_size()
    edits, contents = view.contents.edits, view.contents
    if view.geometry == where and (contents.size, contents.dtype) == (size, values.dtype):
        return contents
    if len(edits) == 1 and isinstance(edits[0].what, (Draw, Fill)) and edits[0].where.is_like(view.geometry):
        return Contents((Edit(where, edits[0].what),), size, values.dtype)  # samples are numbered by index
    copy = Call(torch.ops.aten.copy_.default, (Own(where), view), {})
    return Contents((Edit(where, copy),), size, values.dtype)


def part(view: View, region: Region) -> View:
    """Return how to make one window of a tensor.

    Parameters
    ----------
    view : View
        How to make the whole tensor.
    region : tuple of slice
        One slice of step 1 for each axis.

    Returns
    -------
    View
        A part of the whole contents if `view` is not divisible; otherwise of contents that hold the window alone.
    """
    contents, where = view
    if not is_divisible(view):
        return View(contents, inside(where, region))
    target = Geometry.whole(tuple(s.stop - s.start for s in region))
    edits: list[Edit] = []
    for edit in contents.edits:
        index = where.slices(edit.where)
        assert index is not None
        if (overlap := overlapping(index, region)) is not None:
            there = inside(target, overlap.inside)
            edits.append(Edit(there, windowed(edit, there, index, overlap.first), edit.overwrites))
    return View(Contents(tuple(edits), target.size, contents.dtype), target)


def is_divisible(view: View) -> bool:
    """Whether each element can be made from its index alone, and simply."""
    return is_simple(view.contents) and view_divides(view)


def view_divides(view: View) -> bool:
    """Whether each element of a view can be made from its index alone."""
    contents, where = view
    for edit in contents.edits:
        index = where.slices(edit.where)
        if index is None or not divides(edit):
            return False
        lengths = [n for n in (len(range(s.start, s.stop, s.step)) for s in index) if n != 1]
        if isinstance(edit.what, (Call, Result)) and lengths != [n for n in edit.where.shape if n != 1]:
            return False  # axes that the view has split or joined, and the arguments have not
    return True


def divides(edit: Edit) -> bool:
    """Whether each element that an edit writes can be made from its index alone."""
    what = edit.what
    if isinstance(what, Draw):
        return isinstance(what.sampler, Scheme) and what.sampler.splittable
    if isinstance(what, Given):
        return what.tensor is not None and tuple(what.tensor.shape) == edit.where.shape
    if isinstance(what, Fill):
        return True
    call = call_of(what)
    if call is None or (isinstance(what, Result) and what.index is not None):
        return False
    if torch.Tag.pointwise not in call.function.tags and not is_plain_copy(call):
        return False
    return all(argument_divides(a, edit.where) for a in (*call.arguments, *call.keywords.values()))


def is_plain_copy(call: Call) -> bool:
    """Whether an operation is a copy, with or without a change of dtype."""
    aten = torch.ops.aten
    return call.function.overloadpacket in (aten.copy_, aten.clone, aten._to_copy)


def argument_divides(value: Any, where: Geometry) -> bool:
    """Whether an argument has one value for each element, or one for all."""
    if isinstance(value, Own):
        return value.geometry == where
    if isinstance(value, View):
        return value.geometry.shape == where.shape and view_divides(value)
    if isinstance(value, Given):
        return value.tensor is not None and tuple(value.tensor.shape) in (where.shape, ())
    return type(value) not in (list, tuple)


def inside(where: Geometry, region: tuple[slice, ...]) -> Geometry:
    """Return the geometry of a region of a view."""
    shape = tuple(len(range(s.start, s.stop, s.step or 1)) for s in region)
    stride = tuple(n * (s.step or 1) for n, s in zip(where.stride, region))
    return Geometry(shape, stride, where.offset + sum(s.start * n for s, n in zip(region, where.stride)))


class Overlap(NamedTuple):
    """The elements that an edit and a window share.

    Attributes
    ----------
    first : tuple of slice
        Their indices in the tensor that the edit writes.
    inside : tuple of slice
        Their index in the window.
    """

    first: tuple[slice, ...]
    inside: tuple[slice, ...]


def overlapping(index: tuple[slice, ...], region: Region) -> Overlap | None:
    """Return the overlap of an edit at `index` and a window; None if they share nothing."""
    first, places = [], []
    for axis, window in zip(index, region):
        length = len(range(axis.start, axis.stop, axis.step))
        low = max(0, -(-(window.start - axis.start) // axis.step))
        high = min(length, -(-(window.stop - axis.start) // axis.step))
        if low >= high:
            return None
        first.append(slice(low, high))
        start = axis.start + low * axis.step - window.start
        places.append(slice(start, start + (high - low - 1) * axis.step + 1, axis.step))
    return Overlap(tuple(first), tuple(places))


def windowed(edit: Edit, target: Geometry, index: tuple[slice, ...], first: tuple[slice, ...]) -> Any:
    """Return the source of what an edit, at `index` of a view, writes to a part of a window.

    `target` is that part, `first` its index in the tensor that the edit writes.
    """
    what = edit.what
    shape = tuple(len(range(s.start, s.stop, s.step)) for s in index)
    if isinstance(what, Draw):
        return Draw(what.sampler, what.double, what.key, shape, tuple(s.start for s in first))
    if isinstance(what, Fill):
        return what

    def argument(value: Any) -> Any:
        if isinstance(value, Own):
            return Own(target)
        if isinstance(value, View):
            taken = iter(s for s, n in zip(first, shape) if n != 1)
            view = part(value, tuple(slice(0, 1) if n == 1 else next(taken) for n in value.geometry.shape))
            return View(view.contents, Geometry.whole(target.shape))
        if isinstance(value, Given) and value.tensor is not None and value.tensor.dim():
            return Given(value.tensor.reshape(shape)[first])
        return value

    if isinstance(what, Given):
        return argument(what)
    call = call_of(what)
    assert call is not None
    arguments, keywords = tuple(map(argument, call.arguments)), {k: argument(v) for k, v in call.keywords.items()}
    windowed_call = Call(call.function, arguments, keywords)
    return Result(windowed_call, None) if isinstance(what, Result) else windowed_call
