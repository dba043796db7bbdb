"""Compare a model with a seed's initial values: `verify`."""

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

DEVICE_BYTES = 1 << 24  # a GPU compares this much at a time; with the made values it stays below 64 MB


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

    For a sharded parameter (a DTensor), each process compares its local shard; nothing is communicated.

    Parameters
    ----------
    model : Module, str or Path
        The model to compare; its values do not change. Or the folder of a PyTorch distributed checkpoint (DCP), saved
        by any number of processes. One process reads it without a process group, one stored chunk at a time.
    recipes : Recipes, Report, or mapping of str to scheme
        The recipes from `fast_init` or `deferred`; the report of `fast_init`, which has both recipes and seed; or the
        plan of `initialize_module`. If no pattern matches a name in a checkpoint, its verdict is "unexpected".
    seed : int or Stream, optional
        As for `fast_init`; not needed with a report.
    generator, prefix, num_threads
        As for `fast_init`; a report has its own prefix. With a prefix, you can pass the larger model's recipes or plan.
        A function can also turn the names in a checkpoint into the recipes' names; it returns None to leave out a
        tensor, such as an optimizer's.
    trust_pickle : bool
        Whether to read a checkpoint's metadata. It is a pickle, which can run any code.

    Returns
    -------
    list of (name, verdict, first, share, largest)
        One row for each parameter and each buffer with a recipe, under its first name. Prints as a table; its property
        `equal` is True if all tensors have their initial values, perhaps rounded to another dtype. Verdicts are those
        of `pyinit.checkpoint.verify`, and "no recipe". If a tensor differs, `first` is the index of the first different
        element in the whole tensor, `share` is the fraction of different elements among those held (in a complex
        tensor, among real and imaginary parts), and `largest` is the largest absolute difference.

    Raises
    ------
    TypeError, ValueError
        If `seed` is None or invalid, the plan does not match the names, or a checkpoint cannot or must not be read.

    Notes
    -----
    A tensor whose elements cannot be made one by one, such as an orthogonal matrix, is made whole and may need more
    than 64 MB.

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
        if not is_other:  # another model of the block has names that begin with its class
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
    """Return the names of recipes for which there is no tensor, under this or another of its names."""
    return [name for name in recipes if name not in names and recipes[name].name not in names]


def made_by(name: str, recipe: Recipe | None, player: Player) -> Tensor | str:
    """Return the tensor that a recipe makes, or the reason why there is none."""
    if recipe is None:
        return "no recipe"
    return f"not compared: {recipe.problem}" if recipe.problem else made(name, recipe.view, player.root)


@dataclass(frozen=True)
class Local:
    """This process's part of a model's tensor; a complex number's parts are a last axis of length 2.

    Attributes
    ----------
    tensor : Tensor
    recipe : Recipe or None
    player : Player
    lock : Lock
        Held while a device is used.
    """

    tensor: torch.Tensor
    recipe: Recipe | None
    player: Player
    lock: threading.Lock

    @property
    def shape(self) -> tuple[int, ...]:
        """The whole tensor's shape."""
        return (*self.tensor.shape, 2) if self.tensor.is_complex() else tuple(self.tensor.shape)

    @property
    def kind(self) -> np.dtype[Any] | None:
        """Its dtype; None if NumPy and pyinit have no such type."""
        return numpy_dtype(self.tensor.dtype.to_real() if self.tensor.is_complex() else self.tensor.dtype)

    @property
    def problem(self) -> str | None:
        """Why its values cannot be read; None if they can."""
        if self.tensor.device.type == "meta":
            return "on the meta device, without values"
        return why_not_held(self.tensor)

    def blocks(self, nbytes: int) -> Iterator[Block]:
        """Yield blocks of this process's part."""
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
        """Copy values of this tensor to the host; return None if a device finds that they are the initial ones."""
        if values.device.type != "cpu":
            with self.lock, torch.no_grad():
                if self.is_equal(values, place):
                    return None
                values = values.cpu()
        values = torch.view_as_real(values) if values.is_complex() else values
        # Integers are cloned first: after Tensor.numpy, FSDP can no longer free the storage.
        return on_host(values.clone() if dtype_of_torch(values.dtype) is None else view(values))

    def is_equal(self, values: torch.Tensor, place: Region) -> bool:
        """Whether values on a device equal those that the recipe makes there."""
        if self.recipe is None or self.recipe.dtype != values.dtype:
            return False
        return torch.equal(bits(values), bits(self.player.make(part(self.recipe.view, place), values.device)))


def held_by(
    model: torch.nn.Module, prefix: Prefix, recipes: Recipes, player: Player
) -> tuple[dict[str, Local], set[str]]:
    """Return a model's parameters, and its buffers with a recipe, by first name; and the first names of all."""
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
