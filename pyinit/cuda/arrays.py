"""Arrays on NVIDIA GPUs, as the fills use them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.cuda import compiler, curand
from pyinit.cuda.driver import cupy, current, device_of, is_current
from pyinit.kernels.device_arrays import DeviceArray, KernelKey
from pyinit.kernels.layouts import Layout

NOTHING = nullcontext()


class Recorded:
    """A copy that ends with a recorded event."""

    def __init__(self) -> None:
        self.event = cupy().cuda.Event(disable_timing=True)
        self.event.record(cupy().cuda.get_current_stream())

    def wait(self) -> None:
        """Return after the event."""
        self.event.synchronize()


@dataclass(eq=False, slots=True)
class CudaArray(DeviceArray):
    """An array on an NVIDIA GPU, or a part of one.

    Attributes
    ----------
    stream : int or None
        The CUDA stream that orders the work on the array; None: CuPy's current stream.
    device : int or None
        The number of the memory's device; None: not known yet.
    """

    library = "CUDA"

    stream: int | None = None
    device: int | None = None

    def device_number(self) -> int:
        """Return the number of the device; CUDA is asked only once."""
        if self.device is None:
            self.device = device_of(self.start)
        return self.device

    @property
    def queue(self) -> Hashable:
        return self.device_number(), self.stream

    @property
    def memory(self) -> str:
        return "cuda"  # CUDA devices share one range of addresses

    def current(self) -> AbstractContextManager[object]:
        device = self.device_number()
        if is_current(device) and self.stream in (None, cupy().cuda.get_current_stream().ptr):  # the usual case
            return NOTHING
        return current(device, self.stream)

    def compile(self, key: KernelKey) -> compiler.Kernel:
        return compiler.compiled(key, self.device_number())

    def launch_run(self, kernel: compiler.Kernel, job: bytes, layout: Layout) -> None:
        kernel.start(layout.units, _core.Arguments(job, self.start, layout.first, layout.length))

    def launch_items(self, kernel: compiler.Kernel, launch: _core.Launch, arrays: Sequence[CudaArray]) -> None:
        table, jobs, windows = launch.table()
        there = cupy().cuda.alloc(len(table))  # freed in the order of the stream
        there.copy_from_host_async(np.frombuffer(table, np.uint8).ctypes.data, len(table))
        arguments = _core.Arguments(launch.job, 0, there.ptr, jobs, windows, launch.count, launch.tiles)
        kernel.start(kernel.threads * launch.tiles, arguments)

    def staging_buffer(self, size: int) -> NDArray[np.uint8]:
        cuda = cupy().cuda
        try:
            pinned = cuda.alloc_pinned_memory(size)
        except cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(f'backend="host" needs {size} bytes of pinned memory; CUDA says: {error}') from None
        return np.frombuffer(pinned, np.uint8, size)

    def copy(self, values: NDArray[Any]) -> Recorded:
        queue = cupy().cuda.get_current_stream()  # without an explicit stream the host would wait
        target = self.as_cupy(values.dtype)
        if target.flags.c_contiguous and values.shape == target.shape:
            target.set(values, queue)
        else:  # the GPU puts the elements of a strided array in place
            staged = cupy().empty(values.shape, values.dtype)
            staged.set(values, queue)
            target[...] = staged
        return Recorded()

    def assign(self, values: NDArray[Any]) -> None:
        if self.size:
            with self.current():
                bits = np.asarray(values)
                bits = bits.view(f"u{bits.itemsize}")
                if bits.ndim:
                    self.copy(bits)
                else:  # as an integer, because CuPy cannot fill with -0.0; nothing is copied, so the host does not wait
                    self.as_cupy(bits.dtype).fill(bits.item())

    def check_otherwise(self, distribution: _core.Distribution) -> None:
        curand.check(distribution, self.dtype)

    def draw_otherwise(self, distribution: _core.Distribution, begin: _core.StreamState) -> None:
        drawn = curand.samples(distribution, begin, self.shape, self.dtype)
        self.as_cupy(f"u{self.dtype.itemsize}" if self.dtype.names else self.dtype)[...] = drawn

    def as_cupy(self, dtype: Any) -> Any:
        """Make a CuPy array over the same memory, on the current device, with a dtype of the same size."""
        cuda = cupy().cuda
        low, high = _core.extent(self.geometry)
        first = self.geometry.__array_interface__["data"][0] - low
        memory = cuda.UnownedMemory(self.start - first, high - low, self, cuda.Device().id)
        return cupy().ndarray(self.shape, np.dtype(dtype), cuda.MemoryPointer(memory, first), self.geometry.strides)
