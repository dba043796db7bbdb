"""Build models on the meta device and allocate them later: `deferred` and `materialize`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.weak import WeakIdKeyDictionary

from pyinit.adapters.torch.modules import Modules, Place, Prefix, places
from pyinit.adapters.torch.operators import has_no_memory
from pyinit.adapters.torch.playing import Player, Playing
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.settling import check_unsharded, known, name_draws, pruned, recipes_of
from pyinit.adapters.torch.sharding import held, is_distributed, why_not_held, with_local
from pyinit.adapters.torch.storages import Entry, Moved
from pyinit.adapters.torch.tape import Contents, Edit, Geometry, View, draws, storage_of
from pyinit.adapters.torch.watching import recorders, recording
from pyinit.adapters.torch.windows import placed
from pyinit.streams import Stream

__all__ = ["BUILT", "check", "check_model_and_seed", "check_seed", "deferred", "like", "materialize", "whole"]

# The live models that `deferred` has built: their recipes, and the prefix of the recipes' names.
BUILT: WeakIdKeyDictionary = WeakIdKeyDictionary()


@contextmanager
def deferred(*, prefix: Prefix = "") -> Iterator[Recipes]:
    """Build a model with its parameters on the meta device, and record how to make them.

    Buffers get memory and values, except random ones, which are on the meta device too. `materialize` then makes the
    parameters, from any seed and on any device.

    Parameters
    ----------
    prefix : str or callable
        As for `fast_init`: the recipes have the larger model's names.

    Yields
    ------
    Recipes
        How to make each parameter and each random buffer. Complete once the block has ended.

    Raises
    ------
    RuntimeError
        If the model reads a random value while it is built. `fast_init` can build such a model.
    ValueError
        If the block builds several models, whose parameter names could collide, or if a random tensor is neither a
        parameter nor a buffer.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> with pt.deferred() as recipes:
    ...     model = torch.nn.Linear(3, 2)
    >>> model.weight.device
    device(type='meta')
    >>> pt.materialize(model, recipes, seed=0).weight.device
    device(type='cpu')
    """
    recipes, recorder = Recipes(), Recorder(None, recorders())
    found = Modules(lambda parameter: moved_to_meta(recorder, parameter), prefix)
    try:
        with found.registered(), recording(recorder):
            yield recipes
    finally:
        with _disable_current_modes(), torch.no_grad():
            unmade = make_constants(recorder)
    with _disable_current_modes(), torch.no_grad():
        if len(roots := found.roots()) > 1:
            kinds = ", ".join(type(root).__name__ for root in roots)
            raise ValueError(f"build one model inside deferred(); got several: {kinds}")
        check_unsharded(recorder, found.named(recorder))
        kept: dict[int, torch.Tensor] = {}
        for _, place in found.named(recorder):
            if id(place.tensor) not in kept:
                kept[id(place.tensor)] = settled_place(recorder, place)
            place.put(kept[id(place.tensor)])
        strangers = unmade.keys() - {storage_of(t)._cdata for t in kept.values()} - recorder.moved.keys()
        for key, moved in [(key, moved) for key, all_of_it in recorder.moved.items() for moved in all_of_it]:
            follow(recorder, moved, recorder.entries.get(key))
        named = found.named(recorder)
        name_draws(recorder, named)
        recipes.recipes = recipes_of(recorder, named, keep=None).recipes
        lost = [tuple(flat.shape) for key, flat in unmade.items() if key in strangers]
        if lost:
            raise ValueError(
                f"random tensors of sizes {lost} are neither parameters nor buffers, so materialize could not make "
                "them: register them, or build the model inside fast_init(seed)"
            )
        for root in roots:
            BUILT[root] = recipes, prefix


def follow(recorder: Recorder, moved: Moved, entry: Entry | None) -> None:
    """Record for a meta tensor the writes to the real tensor after the replacement."""
    meta = moved.meta()
    recorded = entry is not None and entry.contents is not moved.before and bool(entry.contents.edits)
    if meta is None or not (recorded or moved.is_written):
        return
    there = recorder.entry(meta)
    assert there is not None
    if there.contents is not moved.given:
        raise ValueError(
            f"a parameter of shape {tuple(meta.shape)} was written through two tensors, the original and its "
            "replacement on the meta device: write only one of them, or build the model inside fast_init(seed)"
        )
    if recorded and entry is not None:
        there.contents = placed(pruned(View(entry.contents, moved.geometry)), meta)
    elif (flat := moved.entry.flat()) is not None:
        recorder.edit(meta, known(moved.geometry.on(flat)))


def make_constants(recorder: Recorder) -> dict[int, torch.Tensor]:
    """Fill the live storages that depend on no draw; return the others by address, as flat tensors."""
    unmade: dict[int, torch.Tensor] = {}
    for key, entry in recorder.entries.items():
        if entry.is_pending and entry.device.type != "meta" and (flat := entry.flat()) is not None:
            if next(draws(entry.contents), None) is not None:
                unmade[key] = flat
            else:
                Player(Stream(0)).play([(entry.contents, flat)])
                entry.is_made = True
    return unmade


def settled_place(recorder: Recorder, place: Place) -> torch.Tensor:
    """Return the tensor that a module should hold: a meta one if it is a parameter or random, otherwise a real one."""
    tensor, entry = place.tensor, recorder.entry(place.tensor)
    drawn = entry is not None and next(draws(entry.contents), None) is not None
    if place.is_parameter or drawn:
        return moved_to_meta(recorder, tensor)
    if (
        entry is None
        or entry.is_made
        or not entry.contents.edits
        or Recipe("", View(entry.contents, Geometry.of(tensor))).problem
    ):
        return tensor
    values = Playing(Player(Stream(0)), {}).view(View(entry.contents, Geometry.of(tensor)), torch.device("cpu"))
    return like(tensor, values.to(tensor.dtype))


def moved_to_meta(recorder: Recorder, tensor: torch.Tensor) -> torch.Tensor:
    """Return a meta tensor to replace a real one, and record what the real one holds."""
    if has_no_memory(tensor) or torch.nn.parameter.is_lazy(tensor) or is_distributed(tensor):
        return tensor
    with _disable_current_modes(), torch.no_grad():
        values = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
        moved = like(tensor, values)
        entry, where = recorder.entry(tensor) or entered(recorder, tensor), Geometry.of(tensor)
        before = entry.contents
        there = recorder.enter(moved)
        if entry.is_pending and (entry.has_old or before.dtype != tensor.dtype):
            recorder.make([tensor], "a parameter whose dtype differs from its memory")
        if entry.has_old or before.dtype != tensor.dtype:
            recorder.edit(moved, known(tensor))
        else:
            there.contents = placed(pruned(View(before, where)), values)
        replaced = Moved(entry, before, where, moved, there.contents)
        recorder.moved.setdefault(storage_of(tensor)._cdata, []).append(replaced)
    return moved


def entered(recorder: Recorder, tensor: torch.Tensor) -> Entry:
    """Return a new entry for a tensor that the model has computed or loaded."""
    flat, where = whole(tensor), Geometry.of(tensor)
    edit = Edit(where, known(tensor)) if where.size == len(flat) else Edit(Geometry.of(flat), known(flat))
    entry = recorder.enter(tensor, (edit,))
    entry.is_made = True
    return entry


@torch.no_grad()
def materialize(
    model: torch.nn.Module,
    recipes: Recipes,
    seed: int | Stream,
    device: torch.device | str | None = "cpu",
    *,
    generator: str = "philox",
    prefix: Prefix = "",
    num_threads: int | None = None,
    progress: bool = False,
) -> torch.nn.Module:
    """Allocate the meta tensors of a model, and initialise them by their recipes.

    For a sharded parameter (a DTensor), only the local shard is allocated and made; nothing is communicated. Tied
    parameters stay tied. Parameters and buffers that already have memory keep their values and move to `device`.

    Parameters
    ----------
    model : Module
        Changed in place.
    recipes : Recipes
        The recipes from `deferred`.
    seed, generator, prefix, num_threads, progress
        As for `fast_init`. With `prefix`, you can pass the larger model's recipes.
    device : torch.device or str, optional
        Default: "cpu". None: torch's default device.

    Returns
    -------
    Module
        `model`.

    Raises
    ------
    ValueError
        If a parameter or buffer on the meta device has no recipe, a recipe with another shape, or one that cannot be
        carried out; or if a DTensor's placements do not determine the part that this process holds. The message lists
        all of these, and nothing has been allocated.
    """
    check_model_and_seed(model, seed)
    if not isinstance(recipes, Recipes):
        hint = "; a plan goes to initialize_module()" if isinstance(recipes, Mapping) else ""
        raise TypeError(f"recipes must be Recipes, as deferred() yields them; got {type(recipes).__name__}{hint}")
    recipes, found = recipes.of(model), list(places(model, prefix))
    lazy = torch.nn.parameter.is_lazy
    meta = [place for place in found if lazy(place.tensor) or has_no_memory(place.tensor)]
    if not meta:
        raise ValueError("the model has no tensor on the meta device; initialize_module() fills an existing model")
    check(meta, recipes)
    player = Player.of(seed, generator, num_threads, progress)
    there = torch.device(device) if device is not None else torch.get_default_device()
    if there.type == "meta":
        raise ValueError("device must have memory; got 'meta'")
    made: dict[int, torch.Tensor] = {}
    jobs: list[tuple[Contents, torch.Tensor]] = []
    for place in found:
        tensor = place.tensor
        if id(tensor) not in made:
            if has_no_memory(tensor):
                local, shards = held(tensor)
                local = torch.empty_strided(local.shape, local.stride(), dtype=local.dtype, device=there)
                jobs.append((placed(recipes[place.name].view, local, shards), whole(local)))
                values = local if shards is None else with_local(tensor, local)
            else:
                values = tensor.detach() if is_distributed(tensor) else tensor.detach().to(there)
            moved = has_no_memory(tensor) or values.device != tensor.device
            made[id(tensor)] = like(tensor, values) if moved else tensor
    player.play(jobs)
    for place in found:  # only now: after Ctrl-C, or if memory is short, the model is unchanged
        place.put(made[id(place.tensor)])
    return model


def check_model_and_seed(model: Any, seed: Any) -> None:
    """Raise TypeError if `model` is not a Module, or `seed` is None."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    check_seed(seed)


def check_seed(seed: Any) -> None:
    """Raise TypeError if `seed` is None."""
    if seed is None:
        raise TypeError("seed must be an int or a Stream, so that the weights can be made again; got None")


def check(found: list[Place], recipes: Recipes, hint: str = "the model cannot be made") -> None:
    """Raise ValueError if some tensors cannot be made; the message lists them."""
    complaints: dict[str, list[str]] = {}
    for place in found:
        recipe = recipes.get(place.name)
        if torch.nn.parameter.is_lazy(place.tensor):
            problem: str | None = "its shape is not known yet: run the model once"
        elif recipe is None:
            problem = "there is no recipe"
        elif tuple(place.tensor.shape) != recipe.shape:
            problem = f"the recipe has shape {recipe.shape}, the tensor {tuple(place.tensor.shape)}"
        else:
            problem = recipe.problem or why_not_held(place.tensor)
        if problem:
            complaints.setdefault(problem, []).append(place.name)
    if complaints:
        said = "; ".join(f"{', '.join(names)}: {problem}" for problem, names in complaints.items())
        raise ValueError(f"{hint}: {said}")


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a flat tensor over the whole storage of a tensor."""
    storage = storage_of(tensor)
    size = storage.nbytes() // tensor.element_size()
    return torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage, 0, (size,), (1,))


def like(tensor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return `values` with the requires_grad, attributes and, unless it is sharded, class of `tensor`."""
    if isinstance(tensor, torch.nn.Parameter):
        made: torch.Tensor = torch.nn.Parameter(values, requires_grad=tensor.requires_grad)
        if not is_distributed(tensor):
            made.__class__ = type(tensor)
    else:
        made = values.requires_grad_(tensor.requires_grad)
    made.__dict__.update(tensor.__dict__)
    return made
