"""Turn the tapes of a model's storages into recipes: name the draws, and drop edits that do not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from pyinit.adapters.torch.modules import Place
from pyinit.adapters.torch.operators import filled, has_no_memory
from pyinit.adapters.torch.playing import Player, Playing
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.sharding import UNSHARDED, is_distributed
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
    draws,
    order,
    parts_of,
)
from pyinit.streams import Stream

__all__ = ["SMALL", "check_unsharded", "known", "name_draws", "pruned", "recipes_of"]

SMALL = 1 << 18  # the largest number of computed or loaded values that a recipe keeps


def check_unsharded(recorder: Recorder, named: list[tuple[torch.nn.Module, Place]]) -> None:
    """Raise RuntimeError if the block has sharded a model: a shard alone gives no recipe for the whole."""
    sharded = [place for _, place in named if is_distributed(place.tensor)]
    entries = [recorder.entry(place.tensor.to_local()) for place in sharded]
    drawn = [p.name for p, entry in zip(sharded, entries) if entry is not None and next(draws(entry.contents), None)]
    if drawn:
        raise RuntimeError(f"{', '.join(drawn)}: sharded inside the block; {UNSHARDED}")


def name_draws(recorder: Recorder, named: list[tuple[torch.nn.Module, Place]]) -> None:
    """Name each draw after the first tensor that it fills, or otherwise the first that depends on it."""
    keys = recorder.keys
    taken, counts = set(keys.values()), Counter[str]()
    for exact in (True, False):
        for _, place in named:
            entry = recorder.entry(place.tensor)
            if entry is None:
                continue
            contents, where = pruned(View(entry.contents, Geometry.of(place.tensor)))
            for draw, part in draws(contents):
                if draw.key not in keys and (not exact or (part is not None and part.is_like(where))):
                    while (key := f"{place.name}#{counts[place.name]}".removesuffix("#0")) in taken:
                        counts[place.name] += 1
                    keys[draw.key] = key
                    taken.add(key)


def recipes_of(recorder: Recorder, named: list[tuple[torch.nn.Module, Place]], keep: int | None) -> Recipes:
    """Return recipes for each parameter and each random buffer."""
    recipes: dict[str, Recipe] = {}
    first: dict[int, Recipe] = {}
    memo: dict[int, Any] = {}
    for _, place in named:
        tensor = place.tensor
        if id(tensor) not in first:
            entry = recorder.entry(tensor)
            drawn = entry is not None and next(draws(entry.contents), None) is not None
            if not (place.is_parameter or drawn):
                continue
            where = Geometry.of(tensor)
            if not where.size:
                where = Geometry.whole(where.shape)
                view = View(Contents((Edit(where, Fill(0.0)),), 0, tensor.dtype), where)
            elif (
                entry is not None
                and entry.contents.edits
                and not entry.has_old
                and entry.contents.dtype == tensor.dtype
            ):
                view = folded(pruned(View(settled(entry.contents, recorder.keys, memo), where)))
            elif has_no_memory(tensor):
                view = View(Contents((), where.size, tensor.dtype), where)
            else:
                whole = Geometry.whole(where.shape)
                view = View(Contents((Edit(whole, known(tensor, keep)),), where.size, tensor.dtype), whole)
            first[id(tensor)] = Recipe(place.name, view)
        recipes[place.name] = first[id(tensor)]
    return Recipes(recipes)


def folded(view: View) -> View:
    """Replace edits by their values, if there are few values and no draws."""
    contents, where = view
    simple = len(contents.edits) == 1 and not isinstance(contents.edits[0].what, (Call, Result))
    if simple or contents.size > SMALL or next(draws(contents), None) is not None or Recipe("", view).problem:
        return view
    values = Playing(Player(Stream(0)), {}).view(view, torch.device("cpu")).to(contents.dtype)
    whole = Geometry.whole(where.shape)
    return View(Contents((Edit(whole, known(values, SMALL)),), where.size, contents.dtype), whole)


def known(tensor: torch.Tensor, keep: int | None = None) -> Fill | Given:
    """Return a tensor's values as a Fill if all are equal, otherwise as a Given, empty above `keep` elements.

    A DTensor's values are not gathered.
    """
    if is_distributed(tensor):
        return Given(None)
    values = tensor.detach()
    if values.numel() and not values.is_complex():
        first = values[(0,) * values.dim()]
        if bool((values == first).all()):
            return filled(shortest(first), values.dtype)
    if keep is None:
        return Given(values)
    return Given(values.clone() if values.numel() <= keep else None)


def shortest(value: torch.Tensor) -> float:
    """Return the shortest decimal that rounds to a value: 0.1 for the float32 next to it."""
    number = value.item()
    if value.is_floating_point():
        for digits in range(1, 18):
            written = float(f"{number:.{digits}g}")
            if bool(torch.tensor(written, dtype=value.dtype) == value.cpu()):
                return written
    return number


def settled(contents: Contents, keys: Mapping[Any, str], memo: dict[int, Any]) -> Contents:
    """Return contents with names instead of numbers for draws."""
    if id(contents) not in memo:
        for inner in order(contents):
            if id(inner) not in memo:
                edits = (Edit(where, settle(what, keys, memo), over) for where, what, over in inner.edits)
                memo[id(inner)] = Contents(tuple(edits), inner.size, inner.dtype), inner
    return memo[id(contents)][0]


def settle(what: Any, keys: Mapping[Any, str], memo: dict[int, Any]) -> Any:
    """Return an edit's source, or an argument, with names instead of numbers for draws."""
    if isinstance(what, Draw):
        return Draw(what.sampler, what.double, keys.get(what.key, str(what.key)))
    if isinstance(what, Call):
        if id(what) not in memo:
            keywords = {name: settle(value, keys, memo) for name, value in what.keywords.items()}
            memo[id(what)] = Call(what.function, settle(what.arguments, keys, memo), keywords), what
        return memo[id(what)][0]
    if isinstance(what, Result):
        return Result(settle(what.call, keys, memo), what.index)
    if isinstance(what, View):
        return View(settled(what.contents, keys, memo), what.geometry)
    if type(what) in (list, tuple):
        return type(what)(settle(item, keys, memo) for item in what)
    return what


def pruned(view: View) -> View:
    """Drop the edits that do not affect a view, and the part of the storage outside it."""
    contents, where = view
    kept: list[Edit] = []
    needed = [where]
    for edit in reversed(contents.edits):
        if any(map(edit.where.meets, needed)):
            kept.append(edit)
            if isinstance(edit.what, Call):
                needed += {own.geometry for own in parts_of(edit.what, Own)} - set(needed)
            elif all(map(edit.where.covers, needed)):
                break
    kept.reverse()
    part = where.span
    inside = all(part.start <= e.where.span.start and e.where.span.stop <= part.stop for e in kept)
    if len(part) == contents.size or not (inside and kept) or any(isinstance(e.what, Call) for e in kept):
        return View(Contents(tuple(kept), contents.size, contents.dtype), where)
    moved = (Edit(e.where._replace(offset=e.where.offset - part.start), *e[1:]) for e in kept)
    return View(Contents(tuple(moved), len(part), contents.dtype), where._replace(offset=0))
