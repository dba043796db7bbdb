"""Record a thread's operations within a block, including reads of memory that bypass torch's dispatcher."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from pyinit.adapters.torch.operators import has_no_memory, is_meta
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.samplers import truncated
from pyinit.adapters.torch.tape import Given

__all__ = ["active", "recorders", "recording"]

# Methods that read or expose memory without the dispatcher.
READS = {
    getattr(torch.Tensor, name)
    for name in (
        "__array__",
        "__dlpack__",
        "__reduce_ex__",
        "__repr__",
        "data_ptr",
        "numpy",
        "share_memory_",
        "storage",
        "tolist",
        "untyped_storage",
    )
}

# Those that only read it.
COPIES = {getattr(torch.Tensor, name) for name in ("__reduce_ex__", "__repr__", "tolist")}

# Those that share the memory itself with other code.
SHOWS = {getattr(torch.Tensor, name) for name in ("__array__", "__dlpack__", "numpy", "share_memory_")}

IS_META = torch.Tensor.is_meta.__get__

FROM_PYTHON = (torch.tensor, torch.as_tensor)

# Functions that draw truncated normals by rejection, by module and name. All take (tensor, mean, std, a, b).
LEGACY = ("torch.utils.dlpack", "to_dlpack")  # reads memory as well, and no mode sees it

TRUNCATED = (("torch.nn.init", "_no_grad_trunc_normal_"), ("timm.layers.weight_init", "_trunc_normal_"))

ACTIVE = threading.local()

LOCK = threading.Lock()

REPLACED: list[tuple[Any, str, Any]] = []  # attributes replaced while any thread records: module, name, original

USERS = [0]


class Reads(TorchFunctionMode):
    """A function mode that sees the calls that bypass the dispatcher to read memory or take Python numbers."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function == IS_META:
            # Code such as orthogonal_ skips meta tensors, which would leave them without a recipe.
            return function(*args) and (self.recorder.player is not None or self.recorder.entry(args[0]) is None)
        if function in READS and not has_no_memory(args[0]):
            self.recorder.make([args[0]], f"Tensor.{function.__name__}")
            if function not in COPIES:
                self.recorder.forget(args[0])  # other code may now change it unseen
            if function in SHOWS:
                self.recorder.show(args[0])
        elif function is torch.Tensor.__deepcopy__ and args[0].is_leaf and self.recorder.entry(args[0]) is not None:
            return deep_copy(args[0], args[1])
        elif function in FROM_PYTHON and kwargs and is_meta(kwargs.get("device")):
            real = function(*args, **{**kwargs, "device": "cpu"})
            out = real.detach().to("meta").requires_grad_(real.requires_grad)
            self.recorder.enter(out)
            self.recorder.edit(out, Given(real.detach()))
            return out
        return function(*args, **(kwargs or {}))


def deep_copy(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """Copy a tensor by an operation that the dispatcher sees; it does not see torch's own deepcopy."""
    if id(tensor) not in memo:
        values = tensor.detach().clone(memory_format=torch.preserve_format)
        if isinstance(tensor, torch.nn.Parameter):
            copied = type(tensor)(values, tensor.requires_grad)
        else:
            copied = values.requires_grad_(tensor.requires_grad)
            copied.grad = copy.deepcopy(tensor.grad, memo)
        copied.__dict__.update(tensor.__dict__)
        memo[id(tensor)] = copied
    return memo[id(tensor)]


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record this thread's operations within the block."""
    outer = recorders()
    with ExitStack() as stack:
        stack.callback(restore_truncated)
        replace_truncated()
        stack.callback(setattr, ACTIVE, "recorders", outer)
        ACTIVE.recorders = (*outer, recorder)
        stack.enter_context(Reads(recorder))
        stack.enter_context(recorder)
        yield


def recorders() -> tuple[Recorder, ...]:
    """Return this thread's active recorders, the innermost last."""
    return getattr(ACTIVE, "recorders", ())


def active() -> Recorder | None:
    """Return this thread's innermost recorder; None if there is none."""
    return recorders()[-1] if recorders() else None


def replace_truncated() -> None:
    """Replace truncated normals by versions that record one draw: their rejection loops would read values."""
    with LOCK:
        USERS[0] += 1
        if USERS[0] > 1:
            return
        for module, name in (*TRUNCATED, LEGACY):
            if module in sys.modules and (original := getattr(sys.modules[module], name, None)) is not None:
                REPLACED.append((sys.modules[module], name, original))
                setattr(sys.modules[module], name, (shown if name == LEGACY[1] else recorded)(original))


def restore_truncated() -> None:
    """Restore the original functions once no thread records."""
    with LOCK:
        USERS[0] -= 1
        while not USERS[0] and REPLACED:
            setattr(*REPLACED.pop())


def shown(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `to_dlpack` that first makes the tensor's values."""

    def to_dlpack(tensor: torch.Tensor) -> Any:
        if (recorder := active()) is not None:
            recorder.make([tensor], "to_dlpack")
            recorder.forget(tensor)
            recorder.show(tensor)
        return original(tensor)

    return to_dlpack


def recorded(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that records a truncated normal in a recording thread, and calls the original otherwise."""

    def trunc_normal(
        tensor: torch.Tensor, mean: float, std: float, a: float, b: float, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        recorder = active()
        if recorder is None or generator is not None:
            return original(tensor, mean, std, a, b, **({} if generator is None else {"generator": generator}))
        return recorder.draw(tensor, truncated(mean, std, a, b, tensor.dtype))

    return trunc_normal
