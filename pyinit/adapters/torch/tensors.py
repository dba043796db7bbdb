"""The tensors of a model's checkpoint, made from its recipes block by block, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyinit.adapters.torch.checkpoints import numpy_dtype
from pyinit.adapters.torch.deferral import BUILT
from pyinit.adapters.torch.fast import Report
from pyinit.adapters.torch.modules import Prefix, places, renamed
from pyinit.adapters.torch.operators import has_no_memory
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.sharding import is_distributed, loaded
from pyinit.adapters.torch.tape import Draw, Fill, View
from pyinit.adapters.torch.windows import is_divisible, part
from pyinit.arrays import dtype_of, on_host
from pyinit.models.tensors import Tensor, convert, drawn, kept
from pyinit.streams import Stream

__all__ = ["is_model", "made", "tensors_of"]


class Named(NamedTuple):
    """A tensor of a checkpoint: the view that makes it, or its values; and its other names."""

    name: str
    value: View | torch.Tensor
    others: set[str]


def is_model(source: Any) -> bool:
    """Whether this adapter can make a checkpoint from a source: a Module, Recipes or a Report."""
    return isinstance(source, (torch.nn.Module, Recipes, Report))


def tensors_of(
    source: torch.nn.Module | Recipes | Report, root: Stream, dtype: str | None, names: str
) -> tuple[list[Tensor], dict[str, bytes], dict[str, set[str]]]:
    """Return the tensors of a model's checkpoint, the files beside them, and the other names of tied tensors.

    Parameters
    ----------
    source : Module, Recipes or Report
        A Module must be built inside `deferred` and still be on the meta device. For Recipes or a Report, the model
        adds its constant buffers and tied names, while it is alive.
    root : Stream
    dtype : str or None
        The dtype of all floats; None: their own.
    names : {"disk", "memory"}
        Tensor names for a Hugging Face model: those of its checkpoints, or those of its parameters.

    Returns
    -------
    tensors : list of Tensor
    beside : dict of str to bytes
        The configuration of a Hugging Face model.
    aliases : dict of str to set of str

    Raises
    ------
    TypeError
        If a Module has memory, or a .safetensors file cannot hold a tensor's dtype.
    ValueError
        If a tensor has no recipe, or one that cannot be carried out; the message lists all such tensors.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> with pt.deferred() as recipes:
    ...     model = torch.nn.Linear(3, 2)
    >>> tensors = pt.tensors_of(model, pyinit.Stream(0), None, "disk")[0]
    >>> [(tensor.name, tensor.shape) for tensor in tensors]
    [('weight', (2, 3)), ('bias', (2,))]
    """
    model, recipes, prefix = taken(source)
    found = by_name(recipes) if model is None else of_model(model, recipes, prefix)
    beside: dict[str, bytes] = {}
    kind = loaded("transformers.modeling_utils", "PreTrainedModel")
    if model is not None and kind is not None and isinstance(model, kind):
        from pyinit.adapters.torch import hugging_face

        beside = hugging_face.beside(model, dtype)
        if names == "disk":
            converted = hugging_face.on_disk(model, {each.name: each.value for each in found})
            others = {each.name: each.others for each in found}
            found = [Named(name, value, others.get(name, set())) for name, value in converted.items()]
    check_dtypes(found)
    tensors = [tensor(each, prefix, root, dtype) for each in found]
    aliases = {t.name: {renamed(n, prefix) for n in each.others} for t, each in zip(tensors, found) if each.others}
    return tensors, beside, aliases


def taken(source: torch.nn.Module | Recipes | Report) -> tuple[torch.nn.Module | None, Recipes, Prefix]:
    """Return a model if it is alive, its recipes, and the prefix from its names to theirs."""
    if isinstance(source, torch.nn.Module):
        if source not in BUILT:
            if any(not has_no_memory(parameter) for parameter in source.parameters()):
                raise TypeError(HAS_MEMORY)
            raise ValueError("the model has no recipes: build it inside pyinit.adapters.torch.deferred")
        if any(not has_no_memory(place.tensor) for place in places(source) if place.is_parameter):
            raise TypeError(HAS_MEMORY)
        return source, *BUILT[source]
    if isinstance(source, Report):
        models = list(source.recipes.prefixes)
        return models[0] if len(models) == 1 else None, source.recipes, source.prefix if len(models) == 1 else ""
    for model, (recipes, prefix) in BUILT.items():
        if recipes is source:
            return model, recipes, prefix
    models = list(source.prefixes)
    is_whole = len(models) == 1 and all(place.name in source for place in places(models[0]) if place.is_parameter)
    return models[0] if is_whole else None, source, ""


HAS_MEMORY = (
    "the model has memory, and perhaps other values than its initial ones: save it by its own save function, or give "
    "the recipes that deferred() yielded"
)


def by_name(recipes: Recipes) -> list[Named]:
    """Return the tensors of recipes without a model."""
    others: dict[str, set[str]] = {}
    for name, recipe in recipes.items():
        others.setdefault(recipe.name, set()).add(name)
    check_problems({name: recipes[name].problem for name in others if name in recipes})
    return [Named(name, recipes[name].view, same - {name}) for name, same in others.items()]


def of_model(model: torch.nn.Module, recipes: Recipes, prefix: Prefix) -> list[Named]:
    """Return the tensors of a model's state_dict, each once."""
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            names.setdefault(id(tensor), []).append(name)
            tensors[id(tensor)] = tensor
        elif tensor is not None:
            raise TypeError(f"{name!r}: a .safetensors file cannot hold a {type(tensor).__name__}")
    first: dict[int, Recipe] = {}
    for place in places(model, prefix):
        if place.name in recipes:
            first.setdefault(id(place.tensor), recipes[place.name])
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    ignored = set(getattr(model, "_keys_to_ignore_on_save", None) or ())
    found: list[Named] = []
    problems: dict[str, str | None] = {}
    for key, same in names.items():
        name = next((name for name in same if name not in tied), same[0])
        if name in ignored:
            continue
        tensor, recipe = tensors[key], first.get(key)
        if recipe is not None:
            problems[name] = recipe.problem
            found.append(Named(name, recipe.view, set(same) - {name}))
        else:
            problems[name] = why_unknown(tensor)
            found.append(Named(name, tensor.detach(), set(same) - {name}))
    check_problems(problems)
    return found


def why_unknown(tensor: torch.Tensor) -> str | None:
    """Return why a tensor without a recipe has no initial values; None for a buffer with values."""
    if torch.nn.parameter.is_lazy(tensor):
        return "its shape is not known yet: run the model once"
    if is_distributed(tensor):
        return "it is sharded, and has no recipe"
    return "there is no recipe" if has_no_memory(tensor) or isinstance(tensor, torch.nn.Parameter) else None


def check_problems(problems: Mapping[str, str | None]) -> None:
    """Raise ValueError if some tensors cannot be made; the message lists them."""
    complaints: dict[str, list[str]] = {}
    for name, problem in problems.items():
        if problem:
            complaints.setdefault(problem, []).append(name)
    if complaints:
        said = "; ".join(f"{', '.join(names)}: {problem}" for problem, names in complaints.items())
        raise ValueError(f"the checkpoint cannot be made: {said}")


def check_dtypes(found: list[Named]) -> None:
    """Raise TypeError if a .safetensors file cannot hold the dtypes of some tensors."""
    dtypes = {n.name: n.value.contents.dtype if isinstance(n.value, View) else n.value.dtype for n in found}
    wrong = [f"{name} ({str(d).removeprefix('torch.')})" for name, d in dtypes.items() if numpy_dtype(d) is None]
    if wrong:
        raise TypeError(f"a .safetensors file cannot hold the dtypes of {', '.join(wrong)}")


def tensor(named: Named, prefix: Prefix, root: Stream, dtype: str | None) -> Tensor:
    """Return one tensor of a checkpoint."""
    name, value = renamed(named.name, prefix), named.value
    if isinstance(value, View):
        return made(name, value, root, dtype)
    values = on_host(value.cpu().contiguous())
    return kept(name, values, dtype_of(dtype) if dtype and value.is_floating_point() else None)


def made(name: str, view: View, root: Stream, dtype: str | None = None) -> Tensor:
    """Return a tensor that a tape makes; a complex number's parts are a last axis of length 2.

    Parameters
    ----------
    name : str
    view : View
    root : Stream
        The draws' keys name its children.
    dtype : str or None
        The dtype of all floats; None: their own.
    """
    of = view.contents.dtype
    native = numpy_dtype(of.to_real() if of.is_complex else of)
    kind = native if dtype is None or not of.is_floating_point else dtype_of(dtype)
    if native is None or kind is None:  # `tensors_of` has checked it before
        raise TypeError(f"{name!r}: NumPy has no {of}")
    what = view.contents.edits[0].what
    key = what.key if isinstance(what, Draw) else name
    scheme = Recipe(str(key), view).scheme if of.is_floating_point else None
    if scheme is not None:
        found = drawn(name, view.geometry.shape, kind, scheme, root.child(str(key)), native)
        return found if key == name or isinstance(what, Fill) else replace(found, scheme=None)
    if of.is_complex:
        return pairs(name, view, root, native)

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        needed = part(view, tuple(slice(o, o + n) for o, n in zip(offset, out.shape)))
        values = out if out.dtype == native else np.empty(out.shape, native)
        Player(root, num_threads).write(needed, torch.from_numpy(values.view(f"i{values.itemsize}")).view(of))
        if values is not out:
            convert(values, out)

    return Tensor(name, view.geometry.shape, kind, make, is_divisible(view), native=native)


def pairs(name: str, view: View, root: Stream, dtype: np.dtype[Any]) -> Tensor:
    """Return a complex tensor with its real and imaginary parts as the last axis, made as a whole."""
    shape = (*view.geometry.shape, 2)

    def make(out: NDArray[Any], offset: tuple[int, ...], num_threads: int | None) -> None:
        values = on_host(torch.view_as_real(Player(root, num_threads).make(view, torch.device("cpu"))))
        if out.dtype == dtype:
            out[...] = values
        else:
            convert(values, out)

    return Tensor(name, shape, dtype, make, splittable=False, native=dtype)
