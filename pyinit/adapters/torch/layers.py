"""The outputs of a model's layers for a batch, and the gradients with respect to them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from pyinit.adapters.torch.hooks import Layer, Watch, first_tensor, on_host
from pyinit.streams import Stream

__all__ = ["Layer", "build", "gradient_flow", "outputs"]


def outputs(model: nn.Module, x: Any, layers: Any = None, least: int = 1) -> list[Layer]:
    """Run a model and return the output of each of its layers, in the order of computation.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed: its mode, buffers, gradients and hooks stay the same, and so does torch's random state.
    x : Tensor, array_like, tuple or mapping
        The input. A tuple holds several positional arguments, a mapping keyword arguments.
    layers : str, type, callable, or iterable of str or tuple of types, optional
        The modules to measure; see `pyinit.diagnostics.activations`.
    least : int
        The smallest number of rows allowed.

    Returns
    -------
    list of Layer
        Half precision is widened to float32.

    Raises
    ------
    TypeError, ValueError
        If `x` or `layers` is not as above, no layer was found, or a parameter has no values.

    Examples
    --------
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> found = outputs(model, np.ones((5, 3)))
    >>> [(layer.name, layer.activation, layer.values.shape) for layer in found]
    [('1', 'tanh', (5, 4)), ('2', 'linear', (5, 2))]
    """
    inputs = Inputs(model, x, least)
    watch = Watch(model, layers, on_host)
    with undisturbed(model), torch.no_grad():
        watch.run(inputs.args, inputs.keywords)
    return [row.layer(row.kept, inputs.rows) for row in watch.found()]


def gradient_flow(model: nn.Module, x: Any, gradient: Any, layers: Any = None) -> list[Layer]:
    """Run a model and return the gradient with respect to the output of each of its layers.

    Parameters
    ----------
    model, x, layers
        As for `outputs`.
    gradient : array_like or Stream
        The gradient with respect to the model's output, or to its first tensor if there are several. A Stream draws
        it from the standard normal distribution.

    Returns
    -------
    list of Layer
        Values are zeros for a layer that the output does not depend on.

    Raises
    ------
    TypeError, ValueError
        As for `outputs`; also if no gradient can flow back from the model's output, or `gradient` does not fit it.

    Examples
    --------
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> flow = gradient_flow(model, np.ones((5, 3)), np.ones((5, 2)))
    >>> [(layer.name, layer.values.shape) for layer in flow]
    [('1', (5, 4)), ('2', (5, 2))]
    """
    inputs = Inputs(model, x, 1)
    watch = Watch(model, layers, torch.autograd.graph.get_gradient_edge)
    with undisturbed(model), torch.enable_grad():
        output = first_tensor(watch.run(inputs.args, inputs.keywords))
        rows = watch.found()
        if output is None:
            raise TypeError("model must return a float tensor with at least 1 axis, so that a gradient can flow back")
        given = as_gradient(gradient, output)
        edges = [row.kept for row in rows if row.kept is not None]
        if not output.requires_grad or not edges:
            raise ValueError("model must let gradients through; got an output that depends on no layer")
        flow = iter(torch.autograd.grad(output, edges, given, allow_unused=True))
    found = []
    for row in rows:
        back = None if row.kept is None else next(flow)
        found.append(row.layer(np.zeros(row.shape, np.float32) if back is None else on_host(back), inputs.rows))
    return found


def build(make: Callable[[], Any], seed: int) -> nn.Module:
    """Build a model after seeding torch's generators.

    Raises
    ------
    TypeError
        If `make` is not a module and does not return one.

    Examples
    --------
    >>> build(lambda: torch.nn.Linear(2, 1), seed=0)
    Linear(in_features=2, out_features=1, bias=True)
    """
    torch.manual_seed(seed)
    model = make if isinstance(make, nn.Module) else make()
    if not isinstance(model, nn.Module):
        raise TypeError(f"it must return a torch.nn.Module; got {type(model).__name__}")
    return model


class Inputs:
    """Copies of a model's arguments, so that in-place operations do not change the originals."""

    def __init__(self, model: nn.Module, x: Any, least: int) -> None:
        for name, parameter in model.named_parameters():
            if torch.nn.parameter.is_lazy(parameter) or parameter.is_meta:
                raise ValueError(f"{name} must have values; got none: materialize or run the model first")
        parameters = [p for p in model.parameters() if p.is_floating_point()]
        like = parameters[0] if parameters else torch.empty(0)
        named = isinstance(x, Mapping)
        values = [as_input(v, like) for v in (x.values() if named else x if isinstance(x, tuple) else (x,))]
        self.args = () if named else tuple(values)
        self.keywords = dict(zip(x, values)) if named else {}
        self.rows = next((len(v) for v in values if isinstance(v, torch.Tensor) and v.dim()), 0)
        if self.rows < least:
            what = ", to compare them" if least > 1 else ""
            raise ValueError(f"x must have at least {least} row{'s' * (least > 1)}{what}; got {self.rows}")


def as_input(value: Any, like: torch.Tensor) -> Any:
    """Copy a tensor, or convert an array or list to a tensor on the model's device, floats to the model's dtype."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if not (isinstance(value, list) or hasattr(value, "__array__")):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"x must hold numbers; got an array of {array.dtype}")
    tensor = torch.from_numpy(array.copy()).to(like.device)
    return tensor.to(like.dtype) if array.dtype.kind == "f" else tensor


def as_gradient(gradient: Any, output: torch.Tensor) -> torch.Tensor:
    """Return the gradient with respect to an output as a tensor."""
    if isinstance(gradient, Stream):
        wide = output.dtype == torch.float64
        gradient = gradient.normal(tuple(output.shape), dtype=np.float64 if wide else np.float32)
    tensor = gradient.detach() if isinstance(gradient, torch.Tensor) else torch.from_numpy(np.array(gradient))
    if tensor.shape != output.shape:
        raise ValueError(f"gradient must have shape {tuple(output.shape)}; got {tuple(tensor.shape)}")
    return tensor.to(output)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a model eagerly, layer by layer, within the block; restore its buffers and torch's random state after it."""
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    devices = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(torch.inference_mode(False))
        if "torch._dynamo" in sys.modules:  # compiled code calls no hooks
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        # The fast path runs a whole transformer layer in one kernel; some versions use it despite hooks.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            restore(buffers)


def restore(buffers: Iterable[tuple[nn.Module, str, torch.Tensor | None, torch.Tensor | None]]) -> None:
    """Restore buffers that were replaced or changed."""
    with torch.no_grad():
        for module, name, buffer, values in buffers:
            if module._buffers.get(name) is not buffer:
                module._buffers[name] = buffer
            if buffer is not None and values is not None and not torch.equal(buffer, values):
                buffer.copy_(values)
