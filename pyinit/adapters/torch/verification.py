"""Compare a model with the initial values that a seed gives: `verify`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyinit.adapters.torch.checkpoints import numpy_dtype, stored
from pyinit.adapters.torch.deferral import check_seed
from pyinit.adapters.torch.fast import Report
from pyinit.adapters.torch.initialization import planned
from pyinit.adapters.torch.modules import Prefix, parameters, places, renamed
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.sharding import held, region_of, reshard, why_not_held
from pyinit.adapters.torch.tensors import made
from pyinit.adapters.torch.windows import Region, part, regions
from pyinit.arrays import dtype_of_torch, on_host, view
from pyinit.models import Shard
from pyinit.models.comparison import Block, Empty, Held, Verification, Verified, compare, expected_by
from pyinit.models.tensors import Tensor
from pyinit.streams import Stream

__all__ = ["verify"]

DEVICE_BYTES = 1 << 24  # what a GPU compares at a time; with what is made there it stays below 64 MB


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
        plan that `initialize_module` was called with. Names of a checkpoint that no pattern matches are "unexpected".
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
        `equal` is True if all tensors have their initial values, though perhaps rounded to another dtype. Verdicts are
        those of `pyinit.checkpoint.verify`, and "no recipe". If a tensor differs, `first` is the index of the first
        element that differs in the whole tensor, `share` the fraction of those held that differ (of a complex tensor,
        of real and imaginary parts), and `largest` the largest absolute difference.

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
    player = Player.of(seed, generator, num_threads)
    tensors: Mapping[str, Held]
    expected: Mapping[str, Tensor | str]
    if isinstance(model, torch.nn.Module):
        reshard(model)
        if isinstance(recipes, Recipes):
            recipes = recipes.of(model)
        else:
            recipes = planned(parameters(model, prefix), recipes, is_part=prefix != "")
        tensors, known = held_by(model, prefix, recipes, player)
        missing = missing_from(known, recipes) if prefix == "" else []
        expected = {name: made_by(name, recipes.get(name), player) for name in tensors}
    elif isinstance(model, (str, Path)):
        tensors = stored_tensors(model, prefix, trust_pickle)
        if isinstance(recipes, Recipes):
            missing = missing_from(set(tensors), recipes)
            expected = {n: there.problem or made_by(n, recipes.get(n), player) for n, there in tensors.items()}
        elif isinstance(recipes, Mapping):
            expected, missing = expected_by(recipes, tensors, player.root)
        else:
            raise TypeError(f"a checkpoint is compared with Recipes, a Report or a plan; got {type(recipes).__name__}")
    else:
        raise TypeError(f"model must be a torch.nn.Module or the path of a checkpoint; got {type(model).__name__}")
    rows = []
    for row in compare(tensors, expected, num_threads=num_threads):
        there = tensors[row.name]
        is_pair = row.first is not None and isinstance(there, Local) and there.tensor.is_complex()
        rows.append(row._replace(first=row.first[:-1]) if is_pair and row.first else row)
    return Verification(Verified, [*rows, *(Verified(name, "missing") for name in missing)])


def missing_from(names: set[str], recipes: Recipes) -> list[str]:
    """Return the names of recipes that no tensor has, nor another name of the same tensor."""
    return [name for name in recipes if name not in names and recipes[name].name not in names]


def made_by(name: str, recipe: Recipe | None, player: Player) -> Tensor | str:
    """Return the tensor that a recipe makes, or why there is none."""
    if recipe is None:
        return "no recipe"
    return f"not compared: {recipe.problem}" if recipe.problem else made(name, recipe.view, player.root)


@dataclass(frozen=True)
class Local:
    """What this process holds of a tensor of a model; the parts of a complex number are a last axis of length 2.

    Attributes
    ----------
    tensor : Tensor
    recipe : Recipe or None
    player : Player
    lock : Lock
        Of what uses a device.
    """

    tensor: torch.Tensor
    recipe: Recipe | None
    player: Player
    lock: threading.Lock

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole tensor."""
        return (*self.tensor.shape, 2) if self.tensor.is_complex() else tuple(self.tensor.shape)

    @property
    def kind(self) -> np.dtype[Any] | None:
        """Its dtype; None if NumPy and pyinit have no such type."""
        return numpy_dtype(self.tensor.dtype.to_real() if self.tensor.is_complex() else self.tensor.dtype)

    @property
    def problem(self) -> str | None:
        """Why its values cannot be had; None if they can."""
        if self.tensor.device.type == "meta":
            return "on the meta device, without values"
        return why_not_held(self.tensor)

    def blocks(self, nbytes: int) -> Iterator[Block]:
        """Yield blocks of what this process holds."""
        local, shards = held(self.tensor)
        local = local.resolve_conj().resolve_neg()
        if local.device.type != "cpu":
            nbytes = max(nbytes, DEVICE_BYTES)
        for shard in [Shard(local.shape, (0,) * local.dim())] if shards is None else shards:
            values, around = local[shard.where], region_of(shard, local)
            for region in regions(tuple(values.shape), max(1, nbytes // values.element_size())):
                place = tuple(slice(s.start + o.start, s.stop + o.start) for s, o in zip(region, around))
                there = values[region]
                seen = torch.view_as_real(there) if there.is_complex() else there
                offset = tuple(s.start for s in place) + (0,) * (seen.dim() - there.dim())
                yield Block(offset, tuple(seen.shape), functools.partial(self.read, there, place))

    def read(self, values: torch.Tensor, place: Region, empty: Empty = np.empty) -> NDArray[Any] | None:
        """Return values of this tensor on the host; None if they are on a device, and the initial ones."""
        if values.device.type != "cpu":
            with self.lock, torch.no_grad():
                if self.is_equal(values, place):
                    return None
                values = values.cpu()
        values = torch.view_as_real(values) if values.is_complex() else values
        # Tensor.numpy, for integers, would leave a storage that FSDP cannot free any more.
        return on_host(values.clone() if dtype_of_torch(values.dtype) is None else view(values))

    def is_equal(self, values: torch.Tensor, place: Region) -> bool:
        """Whether values on a device are those that the recipe makes there."""
        if self.recipe is None or self.recipe.dtype != values.dtype:
            return False
        return torch.equal(bits(values), bits(self.player.make(part(self.recipe.view, place), values.device)))


def held_by(
    model: torch.nn.Module, prefix: Prefix, recipes: Recipes, player: Player
) -> tuple[dict[str, Local], set[str]]:
    """Return the parameters of a model and its buffers with a recipe, by their first names; and those of all."""
    found: dict[int, tuple[str, Local]] = {}
    names: set[str] = set()
    lock, seen = threading.Lock(), set[int]()
    for place in places(model, prefix):
        if id(place.tensor) not in seen:
            seen.add(id(place.tensor))
            names.add(place.name)
            if place.is_parameter or place.name in recipes:
                recipe = recipes.get(place.name)
                found[id(place.tensor)] = place.name, Local(place.tensor, recipe, player, lock)
    return dict(found.values()), names


def stored_tensors(folder: str | Path, prefix: Prefix, trust_pickle: bool) -> dict[str, Held]:
    """Return the tensors of a checkpoint by their names in the model."""
    found: dict[str, Held] = {}
    for tensor in stored(folder, trust_pickle):
        if callable(prefix) and prefix(tensor.name) is None:
            continue
        name = renamed(tensor.name, prefix)
        if name in found:
            raise ValueError(f"prefix gives {tensor.name!r} and another tensor of the checkpoint the name {name!r}")
        found[name] = tensor
    return found


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """View values as integers, so that NaN equals itself and -0 differs from 0."""
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.contiguous().view(kinds[tensor.element_size()])
