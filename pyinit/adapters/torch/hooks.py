"""Observe the layers of a running model by hooks on its modules and on the functions they call."""

from __future__ import annotations

import copy
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

from pyinit.adapters.torch.kinds import (
    ACTIVATIONS,
    NORM,
    THINNING,
    activation_of,
    has_weights,
    is_channels_first,
    is_leaf,
)

__all__ = ["Layer", "Watch", "first_tensor", "on_host"]


class Layer(NamedTuple):
    """One call of a layer, with its output or gradient.

    Parameters
    ----------
    name : str
        The module's name; its second call adds ":2", and so on.
    activation : str
        "relu", "tanh" and so on; "linear" if the layer has no activation; "block" for the output of a repeated block.
    values : float array of shape (batch, ...)
        The layer's output, or the gradient with respect to it.
    axis : int
        The axis of the units: features, a convolution's channels, or the axis that a softmax sums over.
    batched : bool
        Whether the first axis is the batch, or a multiple of it.
    thinned : bool
        Whether dropout or max pooling follows directly. These alone set most of the gradient to 0.
    """

    name: str
    activation: str
    values: NDArray[Any]
    axis: int
    batched: bool
    thinned: bool


@dataclass(eq=False)
class Row:
    """A layer that was called. `kept` holds its output's values, or the graph edge through which the gradient flows."""

    name: str
    activation: str
    kept: Any
    shape: tuple[int, ...]
    axis: int
    open: bool  # whether an activation that follows directly belongs to it
    thinned: bool = False

    def layer(self, values: NDArray[Any], rows: int) -> Layer:
        """Return the Layer with these values."""
        batched = len(values) > 0 and len(values) % rows == 0
        return Layer(self.name, self.activation, values, self.axis, batched, self.thinned)


class Latest(NamedTuple):
    """The latest output, the row it belongs to, and the activation that made it."""

    reference: weakref.ref[torch.Tensor]
    version: int
    row: Row | None
    activation: str


class Frame(NamedTuple):
    """A running module, the number of layers seen before it, and whether its input is the latest output."""

    module: nn.Module
    events: int
    behind: bool


class Watch(TorchFunctionMode):
    """Record the layers of a model by hooks on its modules and on the functions they call.

    Parameters
    ----------
    model : torch.nn.Module
    layers
        The modules to record; None: pyinit finds them.
    keep : callable
        A function from an output to the value that its row keeps.
    """

    def __init__(self, model: nn.Module, layers: Any, keep: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.model = model
        self.keep = keep
        named = model.named_modules()
        self.names = {m: n.replace("_orig_mod.", "") for n, m in named if "parametrizations" not in n.split(".")}
        self.chosen = None if layers is None else choose(self.names, layers)
        kinds = Counter(type(m) for m in self.names if not isinstance(m, nn.Sequential | nn.ModuleList))
        self.repeated = {kind for kind, count in kinds.items() if count > 1}
        self.rows: list[Row] = []
        self.calls: Counter[nn.Module] = Counter()
        self.frames: list[Frame] = []
        self.events = 0
        self.latest: Latest | None = None
        self.channels_first: bool | None = None

    def run(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call the model."""
        with ExitStack() as stack:
            for module in self.names:
                for handle in (
                    module.register_forward_pre_hook(self.enter, with_kwargs=True),
                    module.register_forward_hook(self.leave, with_kwargs=True),
                ):
                    stack.callback(handle.remove)
            stack.enter_context(self)
            return self.model(*args, **keywords)

    def found(self) -> list[Row]:
        """Return the rows. Raise ValueError if there are none."""
        if not self.rows:
            what = "a layer" if self.chosen is None else "one of the chosen layers"
            raise ValueError(f"model must call {what} that returns a tensor of floats; got none")
        return self.rows

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and record an activation, dropout or max pooling as its module would be."""
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        activation = ACTIVATIONS.get(name.replace("_", ""))
        if not (activation or THINNING.search(name)) or (self.frames and is_leaf(self.frames[-1].module)):
            return function(*args, **kwargs)
        behind = self.is_latest(first_tensor((args, kwargs)))
        output = function(*args, **kwargs)
        tensor = first_tensor(output)
        if tensor is None:
            return output
        row = self.latest.row if behind and self.latest else None
        if activation is None:
            self.pass_on(tensor, row, name, kwargs.get("training", True))
        elif row is not None and row.open:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            fresh = self.write(tensor, row.name, activation, self.softmax_axis(activation, dim, tensor), into=row)
            return replaced(output, tensor, fresh)
        else:
            self.follow(tensor, None, activation)
        return output

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Push a frame as a module begins."""
        self.frames.append(Frame(module, self.events, self.is_latest(first_tensor((args, kwargs)))))

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Record the output of a module if it is a layer."""
        while (frame := self.frames.pop()).module is not module:
            pass  # this module raised an exception, and the model caught it
        self.calls[module] += 1
        tensor = first_tensor(output)
        if tensor is None:
            return None
        same, activation, empty = self.is_latest(tensor), activation_of(module), frame.events == self.events
        norm = NORM.search(type(module).__name__) if empty else None
        own = empty and has_weights(module)
        if own or norm:
            self.channels_first = is_channels_first(module, norm)
        row = self.latest.row if self.latest and (frame.behind or same) else None
        name, fresh = self.name(module), tensor
        if self.chosen is not None:
            behind = self.latest.activation if same and self.latest else "linear"
            if behind == "linear" and not (own or is_leaf(module)):
                behind = "block"
            if module in self.chosen:
                fresh = self.write(tensor, name, activation or behind, self.axis(module, tensor), open=False)
                self.events += own
            elif not same:
                self.events += own
                if empty and not own and not activation:
                    self.pass_on(tensor, row, type(module).__name__, module.training)
                else:
                    self.follow(tensor, None, activation or behind)
        elif activation:
            into = row if frame.behind and row is not None and row.open else None
            fresh = self.write(tensor, name, activation, self.axis(module, tensor), into, open=False)
        elif own and not norm:
            fresh = self.write(tensor, name, "linear", self.axis(module, tensor))
        elif empty:
            if not same:
                self.pass_on(tensor, row, type(module).__name__, module.training)
        elif type(module) in self.repeated and not (same and row):
            kind = self.latest.activation if same and self.latest else "block"
            fresh = self.write(tensor, name, kind, self.axis(module, tensor), open=kind == "block")
        return None if fresh is tensor else replaced(output, tensor, fresh)

    def name(self, module: nn.Module) -> str:
        """Return a module's name, with the number of the call from the second call on."""
        name, call = self.names[module] or type(module).__name__, self.calls[module]
        return name if call == 1 else f"{name}:{call}"

    def is_latest(self, tensor: torch.Tensor | None) -> bool:
        """Whether a tensor is the latest output, not written since."""
        latest = self.latest
        return (
            latest is not None
            and tensor is not None
            and latest.reference() is tensor
            and latest.version == version(tensor)
        )

    def follow(self, tensor: torch.Tensor, row: Row | None, activation: str) -> None:
        """Make a tensor the latest output."""
        self.latest = Latest(weakref.ref(tensor), version(tensor), row, activation)

    def pass_on(self, tensor: torch.Tensor, row: Row | None, what: str, training: bool) -> None:
        """Follow a layer's output through dropout, pooling, a norm or the like, which are not layers themselves."""
        if row is not None:
            if THINNING.search(what) and (training or "ropout" not in what):
                row.thinned = True
            self.follow(tensor, row, "linear")

    def write(
        self, tensor: torch.Tensor, name: str, activation: str, axis: int, into: Row | None = None, open: bool = True
    ) -> torch.Tensor:
        """Record a layer as a new row, or in the previous layer's row; return the tensor to go on with."""
        if self.keep is not on_host and torch.is_grad_enabled():
            if not tensor.requires_grad:  # frozen weights: add a zero that requires a gradient
                tensor = tensor + torch.zeros((), dtype=tensor.dtype, device=tensor.device, requires_grad=True)
            elif tensor._is_view():  # an in-place operation on a view would hide its earlier gradient
                tensor = tensor.clone()
        kept = self.keep(tensor) if self.keep is on_host or tensor.requires_grad else None
        row = Row(name, activation, kept, tuple(tensor.shape), axis, open and into is None)
        if into is None:
            self.rows.append(row)
        else:
            self.rows[self.rows.index(into)] = row
        self.events += 1
        self.follow(tensor, row, activation)
        return tensor

    def axis(self, module: nn.Module, tensor: torch.Tensor) -> int:
        """Return the axis of a tensor's units."""
        if isinstance(module, nn.Softmax | nn.Softmax2d):
            return self.softmax_axis("softmax", getattr(module, "dim", -3), tensor)
        if tensor.dim() < 3:
            return tensor.dim() - 1
        first = tensor.dim() > 3 if self.channels_first is None else self.channels_first
        return 1 if first else tensor.dim() - 1

    def softmax_axis(self, activation: str, dim: int | None, tensor: torch.Tensor) -> int:
        """Return the axis that a softmax sums over; for other activations, the axis of the units."""
        if activation != "softmax":
            return self.axis(self.model, tensor)
        return (int(tensor.dim() not in (1, 3)) if dim is None else dim) % tensor.dim()


def choose(names: Mapping[nn.Module, str], layers: Any) -> set[nn.Module]:
    """Select modules by name patterns, by class, or by a function of name and module."""
    if isinstance(layers, type) or (
        isinstance(layers, tuple) and layers and all(isinstance(kind, type) for kind in layers)
    ):
        chosen = {module for module in names if isinstance(module, layers)}
        wanted = repr(layers)
    elif callable(layers):
        chosen = {module for module, name in names.items() if layers(name, module)}
        wanted = "a function of name and module that is true for none"
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise TypeError(f"layers must be names, classes, or a function of name and module; got {layers!r}")
        by = {pattern: {m for m, name in names.items() if fnmatchcase(name, pattern)} for pattern in patterns}
        chosen = set().union(*by.values())
        missed = [pattern for pattern, found in by.items() if not found]
        wanted = repr(missed[0] if missed else patterns)
        chosen = set() if missed else chosen
    if not chosen:
        known = [name for name in names.values() if name]
        shown = ", ".join(known[:8]) + ", ..." * (len(known) > 8)
        raise ValueError(f"layers must be among the model's; got {wanted}, and it has {shown or 'none'}")
    return chosen


def first_tensor(value: Any) -> torch.Tensor | None:
    """Return the first float tensor with at least one axis and one element among arguments or outputs; or None.

    Examples
    --------
    >>> first_tensor((None, {"ids": torch.tensor([1]), "states": [torch.ones(2)]}))
    tensor([1., 1.])
    """
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() and value.dim() and value.numel() else None
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((tensor for part in parts if (tensor := first_tensor(part)) is not None), None)


def replaced(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """Return a value with one tensor in it replaced by another."""
    if value is old or old is new:
        return new if value is old else value
    if isinstance(value, Mapping):
        copied: Any = copy.copy(value)
        for key, part in value.items():
            copied[key] = replaced(part, old, new)
        return copied
    if isinstance(value, tuple | list):
        parts = [replaced(part, old, new) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def on_host(tensor: torch.Tensor) -> NDArray[Any]:
    """Copy a tensor's values to the host; half precision becomes float32."""
    wide = tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32
    values: NDArray[Any] = tensor.detach().to("cpu", wide, copy=True).numpy()
    return values


def version(tensor: torch.Tensor) -> int:
    """Return how often a tensor was written in place."""
    return 0 if tensor.is_inference() else tensor._version
