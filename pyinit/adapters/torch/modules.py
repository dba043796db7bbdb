"""Find the modules that a thread builds, and the stream names of their parameters and buffers."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn.modules import module as hooks
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from pyinit._core import text_of
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.sharding import UNSHARDED, is_distributed
from pyinit.adapters.torch.tape import draws

__all__ = ["Modules", "Place", "Prefix", "parameters", "places"]

Prefix = str | Callable[[str], str | None]  # the prefix of names in a larger model, or a function to its names

# The names that wrappers give to the wrapped model: torch.compile, activation checkpointing, FSDP.
WRAPPED = {"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}


class Place(NamedTuple):
    """A parameter or buffer, and the module that holds it.

    Attributes
    ----------
    name : str
        The qualified name, without the prefixes that torch.compile, DDP and other wrappers add.
    module : torch.nn.Module
    key : str
        The tensor's name in that module.
    tensor : Tensor
    is_parameter : bool
    """

    name: str
    module: torch.nn.Module
    key: str
    tensor: torch.Tensor
    is_parameter: bool

    def put(self, tensor: torch.Tensor) -> None:
        """Replace the tensor in the module."""
        held = self.module._parameters if self.is_parameter else self.module._buffers
        held[self.key] = tensor


def places(root: torch.nn.Module, prefix: Prefix = "") -> Iterator[Place]:
    """Yield all parameters, then all buffers, of a module and its descendants; tied ones under each of their names."""
    modules = list(named_modules(root, ""))
    given: dict[str, str] = {}
    for is_parameter in (True, False):
        for path, module in modules:
            held = module._parameters if is_parameter else module._buffers
            for key, tensor in list(held.items()):
                if tensor is not None:
                    name = renamed(path + key, prefix)
                    if given.setdefault(name, path + key) != path + key:
                        raise ValueError(f"prefix gives {given[name]!r} and {path + key!r} the same name, {name!r}")
                    yield Place(name, module, key, tensor, is_parameter)


def renamed(name: str, prefix: Prefix) -> str:
    """Return a tensor's name in the larger model; raise TypeError if there is none."""
    if isinstance(prefix, str):
        return prefix + name
    found = prefix(name) if callable(prefix) else None
    if not isinstance(found, str):
        raise TypeError(
            f"prefix must be a str, or a function of a name that returns one; got {text_of(prefix)}, {text_of(found)}"
        )
    return found


def parameters(root: torch.nn.Module, prefix: Prefix = "") -> list[Place]:
    """Return each parameter once, under its first name."""
    found: dict[int, Place] = {}
    for place in places(root, prefix):
        if place.is_parameter:
            found.setdefault(id(place.tensor), place)
    return list(found.values())


def named_modules(
    module: torch.nn.Module, prefix: str, around: tuple[torch.nn.Module, ...] = ()
) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield a module and its descendants with the prefixes of their tensors' names; a cycle ends where it closes."""
    yield prefix, module
    around = (*around, module)
    wraps = isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel))
    for name, child in module._modules.items():
        if child is not None and not any(child is outer for outer in around):
            inside = name in WRAPPED or (wraps and name == "module")
            yield from named_modules(child, prefix if inside else f"{prefix}{name}.", around)


class Modules:
    """The modules that this thread builds.

    Parameters
    ----------
    replace : callable, optional
        Maps a parameter to the one to register in its place.
    prefix : str or callable
        The prefix of the largest model's names in the model that it is a part of, or a function to its names.

    Attributes
    ----------
    prefixes : mapping of Module to str
        The prefix of each root's tensor names; set by `named`.
    """

    def __init__(self, replace: Callable[[torch.Tensor], torch.Tensor] | None = None, prefix: Prefix = "") -> None:
        self.prefix = prefix
        self.seen = WeakIdKeyDictionary()
        self.replace = replace
        self.replaced = WeakIdKeyDictionary()
        self.prefixes = WeakIdKeyDictionary()

    @contextmanager
    def registered(self) -> Iterator[None]:
        """Collect the modules that register a parameter, buffer or module within the block."""
        thread = threading.get_ident()

        def see(module: torch.nn.Module, name: str, value: Any) -> Any:
            if threading.get_ident() != thread:
                return None
            for seen in (module, value):
                if isinstance(seen, torch.nn.Module):
                    self.seen[seen] = None
            if not isinstance(value, torch.nn.Parameter):
                return None
            if is_distributed(value):
                raise RuntimeError(f"a DTensor cannot be {name!r} of {type(module).__name__}: {UNSHARDED}")
            if self.replace is None:
                return None
            if value not in self.replaced:
                self.replaced[value] = self.replace(value)
            return self.replaced[value]

        with ExitStack() as stack:
            for register in (
                hooks.register_module_parameter_registration_hook,
                hooks.register_module_buffer_registration_hook,
                hooks.register_module_module_registration_hook,
            ):
                stack.callback(register(see).remove)
            yield

    def roots(self) -> list[torch.nn.Module]:
        """Return the modules that no other module contains, in the order of construction."""
        alive = list(self.seen)
        inner = {id(child) for module in alive for child in module._modules.values()}
        roots = [module for module in alive if id(module) not in inner]
        reached = {id(module) for root in roots for module in root.modules()}
        for module in reversed(alive):  # of modules that contain each other, the last one
            if id(module) not in reached:
                roots.append(module)
                reached |= {id(inside) for inside in module.modules()}
        return [root for root in roots if next(places(root), None) is not None]

    def named(self, recorder: Recorder) -> list[tuple[torch.nn.Module, Place]]:
        """Return the tensors of all roots with their stream names.

        The largest root's names have no prefix; the others' names begin with their class. So a layer built on the side
        does not change the model's names. Roots without draws come next, and last those whose draws another root has
        too, such as the layer that nn.TransformerEncoder copies.
        """
        roots = self.roots()
        if len(roots) > 1:  # some may just wait for the garbage collector, and would take the others' names
            del roots
            gc.collect()
            roots = ordered(self.roots(), recorder)
        self.prefixes = WeakIdKeyDictionary()
        taken: Counter[str] = Counter()
        for number, root in enumerate(roots):
            kind = type(root).__name__
            taken[kind] += bool(number)
            self.prefixes[root] = f"{kind}{taken[kind] if taken[kind] > 1 else ''}:" if number else ""
        found = [(root, place) for root in roots for place in places(root, self.prefixes[root] or self.prefix)]
        return [(root, place) for root, place in found if not is_lazy(place.tensor)]


def ordered(roots: list[torch.nn.Module], recorder: Recorder) -> list[torch.nn.Module]:
    """Return roots in the order in which they name their draws."""
    numbers = [numbers_of(recorder, root) for root in roots]
    copied = [bool(own) and own <= set().union(*numbers[i + 1 :]) for i, own in enumerate(numbers)]
    sizes = [sum(place.tensor.numel() for place in places(root) if not is_lazy(place.tensor)) for root in roots]
    ranks = [(is_copied, not own, -size) for is_copied, own, size in zip(copied, numbers, sizes)]
    return [root for _, root in sorted(zip(ranks, roots), key=lambda pair: pair[0])]


def numbers_of(recorder: Recorder, root: torch.nn.Module) -> set[Any]:
    """Return the numbers of all draws that a model's tensors depend on."""
    entries = [entry for place in places(root) if (entry := recorder.entry(place.tensor)) is not None]
    return {draw.key for entry in entries for draw, _ in draws(entry.contents)}
