"""CuPy, imported on first use, with checks of its version, driver and device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_checked: Any = None  # the module, after its checks
contexts: dict[int, int] = {}  # CUDA's handles of those that have been current, to their devices


def cupy() -> Any:
    """Return the module; raise an ImportError that says how to install it."""
    global _checked
    if _checked is not None and sys.modules.get("cupy") is _checked:
        return _checked
    try:
        import cupy
    except ImportError:
        raise ImportError(
            "an array on a GPU needs CuPy: pip install cupy-cuda13x, or cupy-cuda12x for a driver of CUDA 12"
        ) from None
    if not hasattr(cupy.cuda.Stream, "from_external"):
        raise ImportError(f"an array on a GPU needs CuPy 14 or newer; got {cupy.__version__}")
    _checked = cupy
    return cupy


def check_device() -> Any:
    """Return CuPy; raise ImportError without CuPy, RuntimeError without a CUDA driver or device."""
    module = cupy()
    try:
        module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"an array on a GPU needs a CUDA driver and device; CUDA says: {error}") from None
    return module


def device_of(pointer: int) -> int:
    """Return the number of an address's device; raise ValueError if it has none."""
    runtime = check_device().cuda.runtime
    try:
        attributes = runtime.pointerGetAttributes(pointer)
    except runtime.CUDARuntimeError:
        attributes = None
    unregistered = 0  # cudaMemoryTypeUnregistered: host memory, which some GPUs can reach
    if attributes is None or attributes.type == unregistered or attributes.device < 0:
        raise ValueError(f"out must lie in the memory of a CUDA device; address {pointer:#x} does not")
    return int(attributes.device)


def is_current(device: int) -> bool:
    """Whether a device's context is current. A new thread has no context, though device 0 is current in it."""
    return contexts.get(cupy().cuda.driver.ctxGetCurrent()) == device


class Foreign(NamedTuple):
    """Another library's stream, in CUDA's stream protocol."""

    pointer: int

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


@contextmanager
def current(device: int, stream: int | None) -> Iterator[Any]:
    """Make a device and its stream current, and yield the stream; None: the device's current stream."""
    cuda = cupy().cuda
    with cuda.Device(device):
        cuda.runtime.setDevice(device)  # gives the thread a context, if it has none
        contexts[cuda.driver.ctxGetCurrent()] = device
        queue = cuda.get_current_stream() if stream is None else cuda.Stream.from_external(Foreign(stream))
        with queue:
            yield queue
