"""Compare a model with the initial values that a seed gives: `verify`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.deferral import check_model_and_seed
from pyinit.adapters.torch.fast import Report
from pyinit.adapters.torch.initialization import planned
from pyinit.adapters.torch.modules import Prefix, parameters, places
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.sharding import held, why_not_held
from pyinit.adapters.torch.tables import Table
from pyinit.adapters.torch.windows import Region, is_divisible, part, regions
from pyinit.models import Shard
from pyinit.streams import Stream

__all__ = ["Verification", "Verified", "verify"]

WINDOW = 1 << 22  # bytes; fits in cache, and with temporary copies stays far below 64 MB


class Verified(NamedTuple):
    """A row of the result of `verify`: one tensor.

    Attributes
    ----------
    name : str
    verdict : str
        "equal", "differs", or the reason why it could not be compared.
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


class Verification(Table[Verified]):
    """The result of `verify`: a list with one row for each tensor. Prints as a table."""

    @property
    def equal(self) -> bool:
        """Whether every tensor is equal."""
        return all(row.verdict == "equal" for row in self)


def verify(
    model: torch.nn.Module,
    recipes: Recipes | Report | Mapping[str, Any],
    seed: int | Stream | None = None,
    *,
    generator: str = "philox",
    prefix: Prefix = "",
    num_threads: int | None = None,
) -> Verification:
    """Compare a model with its initial values, which are made again in windows of at most 64 MB.

    Of a sharded parameter (a DTensor) each process compares its local shard; nothing is communicated.

    Parameters
    ----------
    model : Module
        The model to compare. Not changed.
    recipes : Recipes, Report, or mapping of str to scheme
        The recipes from `fast_init` or `deferred`; the report of `fast_init`, which has both recipes and seed; or the
        plan that `initialize_module` was called with.
    seed : int or Stream, optional
        As for `fast_init`; not needed with a report.
    generator, prefix, num_threads
        As for `fast_init`; a report has its prefix. With a prefix the recipes or the plan may be those of the larger
        model.

    Returns
    -------
    list of (name, verdict, first, share, largest)
        One row for each parameter and each buffer with a recipe, under its first name. Prints as a table; its property
        `equal` is True if all tensors are equal. If a tensor differs, `first` is the index of the first element that
        differs in the whole tensor, `share` the fraction of those held that differ, and `largest` the largest absolute
        difference.

    Raises
    ------
    TypeError, ValueError
        If `seed` is None or not a seed, or the plan does not match the names.

    Notes
    -----
    Tensors whose elements cannot be made one by one, such as orthogonal matrices, are made whole and may exceed 64 MB.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> with pt.fast_init(seed=0) as report:
    ...     model = torch.nn.Linear(3, 2)
    >>> pt.verify(model, report).equal
    True
    >>> with torch.no_grad():
    ...     _ = model.bias[1].add_(0.5)
    >>> print(pt.verify(model, report.recipes, seed=0))
    name    verdict  first  share  largest
    weight  equal
    bias    differs  (1,)     0.5      0.5
    """
    if isinstance(recipes, Report):
        seed, prefix = recipes.stream if seed is None else seed, prefix or recipes.prefix
        recipes = recipes.recipes
    check_model_and_seed(model, seed)
    assert seed is not None
    if isinstance(recipes, Recipes):
        recipes = recipes.of(model)
    else:
        recipes = planned(parameters(model, prefix), recipes, is_part=prefix != "")
    player = Player.of(seed, generator, num_threads)
    found = {place.name: place for place in places(model, prefix)}
    rows: list[Verified] = []
    done: set[int] = set()
    for name, place in found.items():
        if id(place.tensor) in done or not (place.is_parameter or name in recipes):
            continue
        done.add(id(place.tensor))
        recipe = recipes.get(name)
        if recipe is None:
            rows.append(Verified(name, "no recipe"))
        else:
            rows.append(compare(player, name, recipe, place.tensor))
    if prefix == "":
        rows += [Verified(name, "missing") for name in recipes if name not in found]
    return Verification(Verified, rows)


@torch.no_grad()
def compare(player: Player, name: str, recipe: Recipe, tensor: torch.Tensor) -> Verified:
    """Compare a tensor with what its recipe makes."""
    shape = tuple(tensor.shape)
    if shape != recipe.shape:
        return Verified(name, f"shape {shape}, made with {recipe.shape}")
    if tensor.dtype != recipe.dtype:
        return Verified(name, f"dtype {str(tensor.dtype)[6:]}, made as {str(recipe.dtype)[6:]}")
    if tensor.device.type == "meta":
        return Verified(name, "on the meta device, without values")
    if problem := recipe.problem or why_not_held(tensor):
        return Verified(name, f"not compared: {problem}")
    first: tuple[int, ...] | None = None
    different, largest, all_of_it = 0, 0.0, None
    local, shards = held(tensor)
    divisible = is_divisible(recipe.view)
    for region, there in pieces(local, shards):
        if divisible:
            expected = player.make(part(recipe.view, region), local.device)
        else:
            all_of_it = player.make(recipe.view, local.device) if all_of_it is None else all_of_it
            expected = all_of_it[region]
        unequal = bits(there) != bits(expected.to(tensor.dtype))
        if tensor.is_complex():
            unequal = unequal.any(-1)
        count = int(unequal.sum())
        if count:
            if first is None:
                place = int(unequal.flatten().to(torch.uint8).argmax())
                first = tuple(s.start + i for s, i in zip(region, index(place, tuple(there.shape))))
            wide = torch.complex128 if tensor.is_complex() else torch.float64
            difference = (there.to(wide) - expected.to(tensor.dtype).to(wide)).abs().max()
            largest = max(largest, float(difference)) if not math.isnan(float(difference)) else math.nan
            different += count
    if first is None:
        return Verified(name, "equal")
    return Verified(name, "differs", first, different / local.numel(), largest)


def pieces(local: torch.Tensor, shards: list[Shard] | None) -> Iterator[tuple[Region, torch.Tensor]]:
    """Yield windows of the tensor that a local shard is of, with their values; each of at most `WINDOW` bytes."""
    shape = tuple(local.shape)
    for shard in [Shard(shape, (0,) * len(shape))] if shards is None else shards:
        block = local[shard.where]
        for region in regions(tuple(block.shape), max(1, WINDOW // local.element_size())):
            yield tuple(slice(s.start + o, s.stop + o) for s, o in zip(region, shard.offset)), block[region]


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """View values as integers, so that NaN equals itself and -0 differs from 0."""
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.contiguous().view(kinds[tensor.element_size()])


def index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of the element at a flat position.

    Examples
    --------
    >>> index(5, (2, 3))
    (1, 2)
    """
    found: list[int] = []
    for n in reversed(shape):
        place, i = divmod(place, n)
        found.insert(0, i)
    return tuple(found)
