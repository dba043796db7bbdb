"""backend="host": the processor makes the samples, in memory of the driver's from which the device copies them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels import pipeline
from pyinit.kernels.jobs import Kind, Write
from pyinit.opencl.driver import memory_for, pyopencl

if TYPE_CHECKING:
    from pyinit.opencl.arrays import ClArray


class MappedMemory(pipeline.Slot):
    """Host memory that the driver made, which drivers of GPUs pin."""

    def __init__(self, queue: Any, size: int) -> None:
        cl = pyopencl()
        with memory_for(f'the {size} bytes of host memory that backend="host" copies from'):
            buffer = cl.Buffer(queue.context, cl.mem_flags.READ_ONLY | cl.mem_flags.ALLOC_HOST_PTR, size)
            flags = cl.map_flags.WRITE_INVALIDATE_REGION
            self.memory, _ = cl.enqueue_map_buffer(queue, buffer, flags, 0, (size,), np.uint8)
        self.copied: Any = None

    def send(self, samples: NDArray[Any], to: ClArray) -> None:
        self.copied = to.copy(samples.view(f"u{samples.itemsize}"))

    def wait(self) -> None:
        if self.copied is not None:
            self.copied.wait()


def fill(view: ClArray, write: Write, state: _core.StreamState, arguments: tuple[Any, ...]) -> None:
    """Fill an array of pyopencl, as `View.fill` says; the host waits until the last samples have left it."""
    slots = list[MappedMemory]()

    def ready(kind: Kind) -> None:
        if view.size:
            size = min(pipeline.PIECE_BYTES, view.size * view.dtype.itemsize)
            slots.extend(MappedMemory(view.array.queue, size) for _ in range(2))

    begin, _ = write(state, view.geometry, *arguments, ready=ready)
    if view.size:
        pipeline.fill(view, write, begin, arguments, slots)
