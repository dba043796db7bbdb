"""Compare a model with the initial values that a seed gives: `verify`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.checkpoints import stored
from pyinit.adapters.torch.deferral import check_seed
from pyinit.adapters.torch.fast import Report
from pyinit.adapters.torch.initialization import planned
from pyinit.adapters.torch.modules import Prefix, parameters, places, renamed
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.sharding import held, region_of, reshard, why_not_held
from pyinit.adapters.torch.tables import Table
from pyinit.adapters.torch.windows import Region, is_divisible, part, regions
from pyinit.models import Shard
from pyinit.streams import Stream

__all__ = ["Verification", "Verified", "verify"]

WINDOW = 1 << 21  # bytes; fits in cache, and with temporary copies stays far below 64 MB


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
    model: torch.nn.Module | str | Path,
    recipes: Recipes | Report | Mapping[str, Any],
    seed: int | Stream | None = None,
    *,
    generator: str = "philox",
    prefix: Prefix = "",
    trust_pickle: bool = False,
    num_threads: int | None = None,
) -> Verification:
    """Compare a model or a checkpoint with its initial values, which are made again in windows of at most 64 MB.

    Of a sharded parameter (a DTensor) each process compares its local shard; nothing is communicated.

    Parameters
    ----------
    model : Module, str or Path
        The model to compare. Its values are not changed. Or the folder of a distributed checkpoint of PyTorch (DCP),
        saved by any number of processes. It is read here, by one process without a group, one stored chunk at a time.
    recipes : Recipes, Report, or mapping of str to scheme
        The recipes from `fast_init` or `deferred`; the report of `fast_init`, which has both recipes and seed; or the
        plan that `initialize_module` was called with.
    seed : int or Stream, optional
        As for `fast_init`; not needed with a report.
    generator, prefix, num_threads
        As for `fast_init`; a report has its prefix. With a prefix the recipes or the plan may be those of the larger
        model. A function can also turn the names in a checkpoint into those of the recipes; if it returns None, the
        tensor is left out, such as one of an optimizer.
    trust_pickle : bool
        Whether to read a checkpoint's metadata, a pickle, which can run any code.

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
        If `seed` is None or not a seed, the plan does not match the names, or a checkpoint cannot be read or must not
        be.

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
        seed = recipes.stream if seed is None else seed
        is_other = isinstance(model, torch.nn.Module) and recipes.recipes.prefixes.get(model)
        if not is_other:  # a second model of the block, whose names begin with its class
            prefix = prefix or recipes.prefix
        recipes = recipes.recipes
    check_seed(seed)
    assert seed is not None
    if isinstance(model, torch.nn.Module):
        reshard(model)
        tensors = model_tensors(model, prefix)
        if isinstance(recipes, Recipes):
            recipes = recipes.of(model)
        else:
            recipes = planned(parameters(model, prefix), recipes, is_part=prefix != "")
        listed = {name: tensor for name, tensor in tensors.items() if tensor.is_parameter or name in recipes}
    elif isinstance(model, (str, Path)):
        if not isinstance(recipes, Recipes):
            raise TypeError(f"a checkpoint is compared with Recipes or a Report; got {type(recipes).__name__}")
        tensors = listed = stored_tensors(model, prefix, trust_pickle)
    else:
        raise TypeError(f"model must be a torch.nn.Module or the path of a checkpoint; got {type(model).__name__}")
    player = Player.of(seed, generator, num_threads)
    rows = [compare(player, name, recipes.get(name), tensor) for name, tensor in listed.items()]
    if prefix == "" or not isinstance(model, torch.nn.Module):
        rows += [
            Verified(name, "missing") for name in recipes if name not in tensors and recipes[name].name not in tensors
        ]
    return Verification(Verified, rows)


class Compared(NamedTuple):
    """A tensor to compare: its shape and dtype, its values window by window, and why it has none if it has not."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    parts: Callable[[], Iterator[tuple[Region, torch.Tensor]]]
    problem: str | None
    is_parameter: bool


def model_tensors(model: torch.nn.Module, prefix: Prefix) -> dict[str, Compared]:
    """Return the parameters and buffers of a model, each under its first name."""
    found: dict[int, tuple[str, Compared]] = {}
    for place in places(model, prefix):
        tensor = place.tensor
        is_meta = tensor.device.type == "meta"
        problem = "on the meta device, without values" if is_meta else why_not_held(tensor)
        parts = functools.partial(local_parts, tensor)
        row = Compared(tuple(tensor.shape), tensor.dtype, parts, problem, place.is_parameter)
        found.setdefault(id(tensor), (place.name, row))
    return dict(found.values())


def local_parts(tensor: torch.Tensor) -> Iterator[tuple[Region, torch.Tensor]]:
    """Yield what this process holds of a tensor."""
    local, shards = held(tensor)
    for shard in [Shard(local.shape, (0,) * local.dim())] if shards is None else shards:
        yield region_of(shard, local), local[shard.where]


def stored_tensors(folder: str | Path, prefix: Prefix, trust_pickle: bool) -> dict[str, Compared]:
    """Return the tensors of a checkpoint by their names in the model."""
    found: dict[str, Compared] = {}
    for tensor in stored(folder, trust_pickle):
        if callable(prefix) and prefix(tensor.name) is None:
            continue
        name = renamed(tensor.name, prefix)
        if name in found:
            raise ValueError(f"prefix gives {tensor.name!r} and another tensor of the checkpoint the name {name!r}")
        found[name] = Compared(tensor.shape, tensor.dtype, tensor.read, tensor.problem, True)
    return found


@torch.no_grad()
def compare(player: Player, name: str, recipe: Recipe | None, tensor: Compared) -> Verified:
    """Compare a tensor with what its recipe makes."""
    if recipe is None:
        return Verified(name, "no recipe")
    if tensor.shape != recipe.shape:
        return Verified(name, f"shape {tensor.shape}, made with {recipe.shape}")
    if tensor.dtype != recipe.dtype:
        return Verified(name, f"dtype {str(tensor.dtype)[6:]}, made as {str(recipe.dtype)[6:]}")
    if tensor.problem:
        return Verified(name, tensor.problem)
    if recipe.problem:
        return Verified(name, f"not compared: {recipe.problem}")
    first: tuple[int, ...] | None = None
    compared, different, largest, all_of_it = 0, 0, 0.0, None
    divisible = is_divisible(recipe.view)
    for region, there in windows(tensor):
        if divisible:
            expected = player.make(part(recipe.view, region), there.device)
        else:
            all_of_it = player.make(recipe.view, there.device) if all_of_it is None else all_of_it
            expected = all_of_it[region]
        unequal = bits(there) != bits(expected.to(tensor.dtype))
        if there.is_complex():
            unequal = unequal.any(-1)
        count = int(unequal.sum())
        if count:
            place = int(unequal.flatten().to(torch.uint8).argmax())
            here = tuple(s.start + i for s, i in zip(region, index(place, tuple(there.shape))))
            first = here if first is None else min(first, here)
            wide = torch.complex128 if there.is_complex() else torch.float64
            difference = (there.to(wide) - expected.to(tensor.dtype).to(wide)).abs().max()
            largest = max(largest, float(difference)) if not math.isnan(float(difference)) else math.nan
        compared, different = compared + there.numel(), different + count
    if first is None:
        return Verified(name, "equal")
    return Verified(name, "differs", first, different / compared, largest)


def windows(tensor: Compared) -> Iterator[tuple[Region, torch.Tensor]]:
    """Yield windows of a tensor, each of at most `WINDOW` bytes, with the values there."""
    for around, values in tensor.parts():
        for region in regions(tuple(values.shape), max(1, WINDOW // values.element_size())):
            yield tuple(slice(s.start + o.start, s.stop + o.start) for s, o in zip(region, around)), values[region]


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
