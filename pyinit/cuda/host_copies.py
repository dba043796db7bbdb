"""backend="host": the processor makes the samples, in pinned memory from which the GPU copies them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.cuda.driver import cupy, current, device_of
from pyinit.kernels import pipeline
from pyinit.kernels.jobs import Kind, Write

if TYPE_CHECKING:
    from pyinit.cuda.arrays import CudaArray


class PinnedMemory(pipeline.Slot):
    """Host memory that the GPU copies from by itself, on the stream that is current."""

    def __init__(self, size: int) -> None:
        cp = cupy()
        try:
            pinned = cp.cuda.alloc_pinned_memory(size)
        except cp.cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(f'backend="host" needs {size} bytes of pinned memory; CUDA says: {error}') from None
        self.memory = np.frombuffer(pinned, np.uint8, size)
        self.copied = cp.cuda.Event(disable_timing=True)

    def send(self, samples: NDArray[Any], to: CudaArray) -> None:
        to.copy(samples.view(f"u{samples.itemsize}"))
        self.copied.record(cupy().cuda.get_current_stream())

    def wait(self) -> None:
        self.copied.synchronize()


def fill(view: CudaArray, write: Write, state: _core.StreamState, arguments: tuple[Any, ...]) -> None:
    """Fill an array on a GPU, as `View.fill` says; the host waits until the last samples have left it."""
    device, slots = 0, list[PinnedMemory]()

    def ready(kind: Kind) -> None:
        nonlocal device
        if view.size:
            device = device_of(view.start)
            size = min(pipeline.PIECE_BYTES, view.size * view.dtype.itemsize)
            with current(device, view.stream):
                slots.extend(PinnedMemory(size) for _ in range(2))

    begin, _ = write(state, view.geometry, *arguments, ready=ready)
    if view.size:
        with current(device, view.stream):
            pipeline.fill(view, write, begin, arguments, slots)
