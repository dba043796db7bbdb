"""Fill an existing model by a plan, or by its modules' own initialisation: `initialize_module`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.deferral import check, check_model_and_seed, like, whole
from pyinit.adapters.torch.modules import Place, Prefix, parameters, places
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.settling import name_draws, recipes_of
from pyinit.adapters.torch.sharding import held, reshard
from pyinit.adapters.torch.tape import Contents, Draw, Edit, Fill, Geometry, View
from pyinit.adapters.torch.watching import recording
from pyinit.adapters.torch.windows import placed
from pyinit.arrays import dtype_of_torch
from pyinit.initializers import Constant, Scheme
from pyinit.models.plan import matched
from pyinit.streams import Stream
from pyinit.terminal import Table

__all__ = ["Initialized", "initialize_module", "planned"]


class Initialized(NamedTuple):
    """A row of the result of `initialize_module`: a parameter's name, the scheme that filled it, and its shape."""

    name: str
    scheme: str
    shape: tuple[int, ...]


def initialize_module(
    model: torch.nn.Module,
    seed: int | Stream,
    plan: Mapping[str, Any] | Recipes | None = None,
    *,
    generator: str = "philox",
    prefix: Prefix = "",
    num_threads: int | None = None,
    progress: bool = False,
) -> Table[Initialized]:
    """Fill the parameters of a model in place, each from the stream of its name. Buffers do not change.

    Parameters
    ----------
    model : Module
        A model on any device but meta, sharded (with DTensors as parameters) or not.
    seed : int or Stream
        As for `fast_init`.
    plan : mapping of str to scheme, or Recipes, optional
        Name patterns to schemes, as for `pyinit.initialize`; the first match wins. Or recipes, by name. None: use each
        module's own ``reset_parameters``, and the model's ``init_weights`` (as in Hugging Face models); a parameter
        that only a constructor sets is then an error.
    generator, prefix, num_threads, progress
        As for `fast_init`. With `prefix`, you can pass the larger model's plan: patterns that match nothing here are
        allowed.

    Returns
    -------
    list of (name, scheme, shape)
        One row for each parameter, under its first name. Prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the plan does not match the names, a scheme does not suit a parameter or, without a plan, no module
        initialises a parameter. The message lists all such names, and nothing has been written.
    RuntimeError
        If, without a plan, a module reads random values while it initialises itself.

    Warns
    -----
    UserWarning
        If the plan draws random weights for a normalisation layer, which usually start as ones.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    >>> plan = {"*.bias": "zeros", "1.weight": "ones", "*": "normal(std=0.02)"}
    >>> print(pt.initialize_module(model, 0, plan))
    name      scheme            shape
    0.weight  Normal(std=0.02)  (2, 3)
    0.bias    0.0               (2,)
    1.weight  1.0               (2,)
    1.bias    0.0               (2,)
    """
    check_model_and_seed(model, seed)
    reshard(model)
    player, found = Player.of(seed, generator, num_threads, progress), parameters(model, prefix)
    if lacking := [p.name for p in found if p.tensor.device.type == "meta"]:
        raise ValueError(
            f"{', '.join(lacking)}: on the meta device; build the model inside deferred(), then materialize it"
        )
    if plan is None:
        recipes = reset(model, prefix)
        check(found, recipes, "its modules do not set all parameters; give a plan, or build the model inside fast_init")
    else:
        recipes = plan.of(model) if isinstance(plan, Recipes) else planned(found, plan, is_part=prefix != "")
        check(found, recipes)
        if not isinstance(plan, Recipes):
            warn_of_norms(found, recipes)
    parts = [(recipes[place.name].view, *held(place.tensor)) for place in found]
    player.play((placed(view, local, shards), whole(local)) for view, local, shards in parts)
    for place in found:
        torch.autograd.graph.increment_version(place.tensor)
    return Table(Initialized, (Initialized(p.name, str(recipes[p.name]), recipes[p.name].shape) for p in found))


def planned(found: list[Place], plan: Mapping[str, Any], is_part: bool = False) -> Recipes:
    """Return recipes by a plan for parameters. Raise TypeError or ValueError if the two do not fit.

    If the parameters are part of a larger model, patterns may match nothing.
    """
    if not isinstance(plan, Mapping):
        raise TypeError(f"plan must be a mapping of patterns to schemes; got {type(plan).__name__}")
    recipes: dict[str, Recipe] = {}
    errors: dict[str, Exception] = {}
    for place, scheme in zip(found, matched([p.name for p in found], plan, is_part)):
        shape = tuple(place.tensor.shape)
        try:
            scheme = resolved(scheme, shape, place.tensor.dtype)
        except (TypeError, ValueError) as error:
            errors[place.name] = error
        where = Geometry.whole(shape)
        constant = isinstance(scheme, Constant)
        what = Fill(scheme.value) if constant else Draw(scheme, place.tensor.dtype == torch.float64, place.name)
        view = View(Contents((Edit(where, what),), where.size, place.tensor.dtype), where)
        recipes[place.name] = Recipe(place.name, view)
    if errors:
        kind = ValueError if any(isinstance(error, ValueError) for error in errors.values()) else TypeError
        raise kind("; ".join(f"{name!r}: {error}" for name, error in errors.items()))
    return Recipes(recipes)


def resolved(scheme: Any, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Return a scheme for a shape. Raise TypeError or ValueError if it does not suit the shape or the dtype."""
    filled = dtype_of_torch(dtype)
    if filled is None:
        raise TypeError(f"pyinit cannot fill {dtype}")
    if not isinstance(scheme, Scheme):
        return scheme
    scheme = scheme.resolve(shape)
    scheme.check(filled, shape)
    return scheme


def warn_of_norms(found: list[Place], recipes: Recipes) -> None:
    """Warn about random weights for normalisation layers."""
    drawn = [
        place.name
        for place in found
        if "Norm" in type(place.module).__name__
        and place.tensor.dim() < 2
        and isinstance(recipes[place.name].view.contents.edits[0].what, Draw)
    ]
    if drawn:
        warnings.warn(
            f"the plan draws random weights for normalisation layers, which usually start as ones or zeros: "
            f"{', '.join(drawn)}; put a pattern for them before the one that matches, such as '*norm.weight': 'ones'",
            UserWarning,
            stacklevel=3,
        )


def reset(model: torch.nn.Module, prefix: Prefix) -> Recipes:
    """Record how the modules initialise themselves; parameters and buffers do not change."""
    recorder = Recorder(None)
    with stand_ins(model, recorder):
        with recording(recorder):
            if hasattr(model, "_init_weights") and hasattr(model, "initialize_weights"):  # Hugging Face's
                model.initialize_weights()
            else:
                model.apply(reset_one)
                if callable(own := getattr(model, "init_weights", None)):
                    own()
        named = [(model, place) for place in places(model, prefix)]
        name_draws(recorder, named)
        return recipes_of(recorder, named, keep=None)


@contextmanager
def stand_ins(model: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Replace a model's parameters by unwritten meta tensors, and its buffers by copies, within the block."""
    held = list(places(model))
    done = {id(m): m.__dict__.pop("_is_hf_initialized") for m in model.modules() if "_is_hf_initialized" in vars(m)}
    others: dict[tuple[int, str], torch.Tensor] = {}
    try:
        for place in held:
            # Tied parameters get one tensor each, as when the model was built: the first one's scheme counts.
            tensor, key = place.tensor, (id(place.module), place.key)
            if key not in others and place.is_parameter:
                meta = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
                others[key] = like(tensor, meta)
                others[key].__dict__.pop("_is_hf_initialized", None)
                recorder.enter(others[key])
            elif key not in others:
                others[key] = tensor.detach().clone()
            place.put(others[key])
        yield
    finally:
        for place in held:
            place.put(place.tensor)
        for module in model.modules():
            if id(module) in done:
                module._is_hf_initialized = done[id(module)]


def reset_one(module: torch.nn.Module) -> None:
    """Call a module's own `reset_parameters`, if it has one."""
    for name in ("reset_parameters", "_reset_parameters"):
        if callable(own := getattr(module, name, None)):
            own()
            return
