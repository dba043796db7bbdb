"""The part of a recipe that makes one window of a tensor, for shards and for comparisons in little memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.operators import is_stable
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
    """Return contents for the storage of `values`, with the values of a view, or of some blocks of it."""
    if shards is not None:
        parts = [(part(view, region_of(shard, values)), values[shard.where]) for shard in shards]
        edits = tuple(edit for view, values in parts for edit in placed(view, values).edits)
        return Contents(edits, storage_of(values).nbytes() // values.element_size(), values.dtype)
    where, size = Geometry.of(values), storage_of(values).nbytes() // values.element_size()
    edits, contents = view.contents.edits, view.contents
    if view.geometry == where and (contents.size, contents.dtype) == (size, values.dtype):
        return contents
    if len(edits) == 1 and isinstance(edits[0].what, (Draw, Fill)) and edits[0].where.is_like(view.geometry):
        what, shape = edits[0].what, edits[0].where.shape
        if isinstance(what, Fill) or what.global_shape is None:
            return Contents((Edit(where, what),), size, values.dtype)  # samples are numbered by index
        if without_ones(shape) == without_ones(where.shape):  # a window has the draw's axes
            return Contents((Edit(reshaped(where, shape), what),), size, values.dtype)
    copy = Call(torch.ops.aten.copy_.default, (Own(where), view), {})
    return Contents((Edit(where, copy),), size, values.dtype)


def part(view: View, region: Region) -> View:
    """Return the view that makes one window of a tensor.

    Parameters
    ----------
    view : View
        The view that makes the whole tensor.
    region : tuple of slice
        One slice of step 1 for each axis.

    Returns
    -------
    View
        A part of the whole contents if `view` is not divisible; otherwise contents with the window alone.
    """
    contents, where = view
    axes = dividing_axes(view) if is_simple(contents) else None
    if axes is None:
        return View(contents, inside(where, region))
    ordered = permuted(where, axes)
    region = tuple(region[axis] for axis in axes)
    target = Geometry.whole(tuple(s.stop - s.start for s in region))
    edits: list[Edit] = []
    for edit in touching(contents, where):
        overlap = overlap_of(ordered, target, edit, region)
        if overlap is not None:
            edits.append(Edit(overlap.there, windowed(edit, overlap), edit.overwrites))
    found = uncopied(View(Contents(tuple(edits), target.size, contents.dtype), target))
    back = tuple(axes.index(axis) for axis in range(len(axes)))
    return View(found.contents, permuted(found.geometry, back))


def uncopied(view: View) -> View:
    """Return the source of a plain copy, so that the values are made only once; other views unchanged."""
    edits = view.contents.edits
    what = edits[0].what if len(edits) == 1 and edits[0].where.size == view.contents.size else None
    source = what.call.arguments[0] if isinstance(what, Result) and is_plain_copy(what.call) else None
    if not isinstance(source, View) or source.contents.dtype != view.contents.dtype:
        return view
    return View(source.contents, reshaped(source.geometry, view.geometry.shape))


def is_divisible(view: View) -> bool:
    """Whether each element can be made from its index alone, in a few steps."""
    return is_simple(view.contents) and dividing_axes(view) is not None


def dividing_axes(view: View) -> tuple[int, ...] | None:
    """Return an order of axes in which each element of a view can be made from its index alone; None if there is none.

    It is the view's own order, or the order in memory, as for a transposed part of a matrix.
    """
    where = view.geometry
    axes = tuple(range(len(where.shape)))
    in_memory = tuple(sorted(axes, key=lambda axis: -where.stride[axis]))
    for order in (axes, in_memory):
        if view_divides(View(view.contents, permuted(where, order))):
            return order
    return None


def view_divides(view: View) -> bool:
    """Whether each element of a view can be made from its index alone."""
    contents, where = view
    for edit in touching(contents, where):
        index = where.slices(edit.where)
        if not divides(edit) or (index is None and part_of(where, edit) is None):
            return False
        lengths = None if index is None else without_ones(len(range(s.start, s.stop, s.step)) for s in index)
        if isinstance(edit.what, (Call, Result)) and lengths not in (None, without_ones(edit.where.shape)):
            return False  # the view has split or joined axes, but the arguments have not
    return True


def touching(contents: Contents, where: Geometry) -> Iterator[Edit]:
    """Yield the edits that may write an element of a view."""
    return (edit for edit in contents.edits if edit.where.meets(where))


def part_of(where: Geometry, edit: Edit) -> tuple[slice, ...] | None:
    """Return a view as a part of an edit's target, axis by axis; None if it is not such a part."""
    index = edit.where.slices(where)
    if index is None or any(s.step != 1 for s in index):
        return None
    return index if without_ones(s.stop - s.start for s in index) == without_ones(where.shape) else None


def without_ones(lengths: Iterable[int]) -> list[int]:
    """Return the lengths of axes, without those of length 1."""
    return [n for n in lengths if n != 1]


def permuted(where: Geometry, axes: tuple[int, ...]) -> Geometry:
    """Return a geometry with its axes in another order."""
    return Geometry(tuple(where.shape[a] for a in axes), tuple(where.stride[a] for a in axes), where.offset)


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
    if not is_stable(call.function) and not is_plain_copy(call):
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
        return value.geometry.shape == where.shape and dividing_axes(value) is not None
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
    there : Geometry
        The elements' place in the window's memory.
    shape : tuple of int
        The shape of the tensor that the edit writes.
    first : tuple of slice
        The elements' indices in that tensor.
    """

    there: Geometry
    shape: tuple[int, ...]
    first: tuple[slice, ...]


def overlap_of(where: Geometry, target: Geometry, edit: Edit, region: Region) -> Overlap | None:
    """Return the overlap of an edit and a window (a region of a view, stored at `target`); None if there is none."""
    index = where.slices(edit.where)
    if index is None:  # the view is a part of the edit's target
        around = part_of(where, edit)
        assert around is not None
        taken = iter(s for s, n in zip(region, where.shape) if n != 1)
        first = tuple(s if s.stop - s.start == 1 else shifted(next(taken), s.start) for s in around)
        return Overlap(Geometry.whole(tuple(s.stop - s.start for s in first)), edit.where.shape, first)
    firsts, places = [], []
    for axis, window in zip(index, region):
        length = len(range(axis.start, axis.stop, axis.step))
        low = max(0, -(-(window.start - axis.start) // axis.step))
        high = min(length, -(-(window.stop - axis.start) // axis.step))
        if low >= high:
            return None
        firsts.append(slice(low, high))
        start = axis.start + low * axis.step - window.start
        places.append(slice(start, start + (high - low - 1) * axis.step + 1, axis.step))
    shape = tuple(len(range(s.start, s.stop, s.step)) for s in index)
    return Overlap(inside(target, tuple(places)), shape, tuple(firsts))


def shifted(part: slice, by: int) -> slice:
    """Return a slice moved by an offset."""
    return slice(part.start + by, part.stop + by)


def windowed(edit: Edit, overlap: Overlap) -> Any:
    """Return the source of an edit for its overlap with a window."""
    what = edit.what
    there, shape, first = overlap
    if isinstance(what, Draw):
        return Draw(what.sampler, what.double, what.key, shape, tuple(s.start for s in first))
    if isinstance(what, Fill):
        return what

    def argument(value: Any) -> Any:
        if isinstance(value, Own):
            return Own(there)
        if isinstance(value, View):
            taken = iter(s for s, n in zip(first, shape) if n != 1)
            view = part(value, tuple(slice(0, 1) if n == 1 else next(taken) for n in value.geometry.shape))
            return View(view.contents, reshaped(view.geometry, there.shape))
        if isinstance(value, Given) and value.tensor is not None and value.tensor.dim():
            return Given(value.tensor.reshape(shape)[first].reshape(there.shape))
        return value

    if isinstance(what, Given):
        return argument(what)
    call = call_of(what)
    assert call is not None
    keywords = {k: argument(v) for k, v in call.keywords.items() if k != "memory_format"}  # it was for another shape
    windowed_call = Call(call.function, tuple(map(argument, call.arguments)), keywords)
    return Result(windowed_call, None) if isinstance(what, Result) else windowed_call


def reshaped(where: Geometry, shape: tuple[int, ...]) -> Geometry:
    """Return a geometry with another shape, which differs only in axes of length 1."""
    steps = iter(s for n, s in zip(where.shape, where.stride) if n != 1)
    return Geometry(shape, tuple(1 if n == 1 else next(steps) for n in shape), where.offset)
