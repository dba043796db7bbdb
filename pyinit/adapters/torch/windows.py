"""Make one window of a tensor from its recipe, without the rest, to compare large tensors in little memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.playing import Player, Playing, given, is_narrow, rounded, widened
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
)
from pyinit.initializers import Scheme

__all__ = ["Region", "regions", "window"]

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


def window(player: Player, view: View, region: Region, device: torch.device) -> torch.Tensor | None:
    """Make one window of a tensor; None if that needs the whole tensor.

    Parameters
    ----------
    player : Player
    view : View
        The view of the recipe.
    region : tuple of slice
        One slice of step 1 for each axis.
    device : torch.device

    Returns
    -------
    Tensor or None
        In the recipe's dtype; float32 if that dtype is narrow and the values are computed.
    """
    if not (is_simple(view.contents) and is_divisible(view)):
        return None
    with torch.no_grad():
        computed = any(isinstance(edit.what, (Call, Result)) for edit in view.contents.edits)
        return made(Playing(player, {}), view, region, device, computed)


def is_divisible(view: View) -> bool:
    """Whether each element can be made from its index alone."""
    contents, where = view
    for edit in contents.edits:
        index = where.slices(edit.where)
        if index is None or not divides(edit, contents):
            return False
        lengths = [n for n in (len(range(s.start, s.stop, s.step)) for s in index) if n != 1]
        if isinstance(edit.what, (Call, Result)) and lengths != [n for n in edit.where.shape if n != 1]:
            return False  # axes that the view has split or joined, and the arguments have not
    return True


def divides(edit: Edit, contents: Contents) -> bool:
    """Whether each element that an edit writes can be made from its index alone."""
    what = edit.what
    if isinstance(what, Draw):
        return isinstance(what.sampler, Scheme) and what.sampler.splittable and contents.dtype.is_floating_point
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
        return value.geometry.shape == where.shape and is_divisible(value)
    if isinstance(value, Given):
        return value.tensor is not None and tuple(value.tensor.shape) in (where.shape, ())
    return type(value) not in (list, tuple)


def made(playing: Playing, view: View, region: Region, device: torch.device, wide: bool) -> torch.Tensor:
    """Make a window of a view; one of a narrow dtype in float32, if it is to be wide."""
    contents, where = view
    dtype = torch.float32 if wide and is_narrow(contents.dtype) else contents.dtype
    out = torch.empty([s.stop - s.start for s in region], dtype=dtype, device=device)
    for edit in contents.edits:
        index = where.slices(edit.where)
        assert index is not None
        if (overlap := overlapping(index, region)) is not None:
            write(playing, edit, index, overlap, out[overlap.inside], contents.dtype)
    return out


class Overlap(NamedTuple):
    """The elements that an edit and a window share.

    Attributes
    ----------
    first : tuple of range
        Their indices in the tensor that the edit writes.
    inside : tuple of slice
        Their index in the window.
    """

    first: tuple[range, ...]
    inside: tuple[slice, ...]


def overlapping(index: tuple[slice, ...], region: Region) -> Overlap | None:
    """Return the overlap of an edit at `index` and a window; None if they share nothing."""
    first, inside = [], []
    for part, axis in zip(index, region):
        length = len(range(part.start, part.stop, part.step))
        low = max(0, -(-(axis.start - part.start) // part.step))
        high = min(length, -(-(axis.stop - part.start) // part.step))
        if low >= high:
            return None
        first.append(range(low, high))
        start = part.start + low * part.step - axis.start
        inside.append(slice(start, start + (high - low - 1) * part.step + 1, part.step))
    return Overlap(tuple(first), tuple(inside))


def write(
    playing: Playing, edit: Edit, index: tuple[slice, ...], overlap: Overlap, target: torch.Tensor, dtype: torch.dtype
) -> None:
    """Write the part of an edit, of a tensor of some dtype, that lies in a window."""
    what, first, device = edit.what, overlap.first, target.device
    shape = tuple(len(range(s.start, s.stop, s.step)) for s in index)
    if isinstance(what, Draw):
        playing.sample(target, what, global_shape=shape, offset=tuple(r.start for r in first))
        return
    if isinstance(what, Fill):
        target.fill_(what.value)
        return

    def part(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device).reshape(shape)[tuple(slice(r.start, r.stop) for r in first)]

    if isinstance(what, Given):
        target.copy_(part(given(what)))
        return
    call = call_of(what)
    assert call is not None

    def argument(value: Any) -> Any:
        if isinstance(value, Own):
            return target
        if isinstance(value, View):
            taken = iter(slice(r.start, r.stop) for r, n in zip(first, shape) if n != 1)
            inner = tuple(slice(0, 1) if n == 1 else next(taken) for n in value.geometry.shape)
            values = made(playing, value, inner, device, wide=True).reshape(target.shape)
            return rounded(values, value.contents.dtype, dtype)
        if isinstance(value, Given):
            tensor = widened(given(value))
            return part(tensor) if tensor.dim() else tensor.to(device)
        return widened(value)

    result = call.function(*map(argument, call.arguments), **{k: argument(v) for k, v in call.keywords.items()})
    if isinstance(what, Result):
        target.copy_(result)


def whole(player: Player, view: View, device: torch.device) -> torch.Tensor:
    """Make a whole tensor."""
    with torch.no_grad():
        return Playing(player, {}).view(view, device)
