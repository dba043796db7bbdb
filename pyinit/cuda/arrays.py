"""An array on an NVIDIA GPU, and the ways to fill it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.cuda import curand, host_copies, launch
from pyinit.cuda.driver import cupy, current, device_of
from pyinit.kernels.jobs import Write
from pyinit.kernels.views import View

FILLS = {"device": launch.fill, "host": host_copies.fill, "cupy": curand.fill}


@dataclass(frozen=True, eq=False)
class CudaArray(View):
    """An array on an NVIDIA GPU, or a part of one.

    Attributes
    ----------
    stream : int or None
        The CUDA stream whose order the work on the array keeps; None: the one that is current for CuPy.
    """

    stream: int | None = None

    @property
    def memory(self) -> str:
        return "cuda"  # whose devices share one range of addresses

    def fill(self, write: Write, state: _core.StreamState, arguments: tuple[Any, ...], backend: str) -> None:
        FILLS[backend](self, write, state, arguments)

    def place(self, values: NDArray[Any]) -> None:
        if self.size:
            with current(device_of(self.start), self.stream):
                bits = np.asarray(values)
                bits = bits.view(f"u{bits.itemsize}")
                if bits.ndim:
                    self.copy(bits)
                else:  # as an integer: CuPy writes no -0.0; and nothing is copied for which the host would wait
                    self.as_cupy(bits.dtype).fill(bits.item())

    def copy(self, values: NDArray[Any]) -> None:
        """Begin to write values of the host, on the stream that is current; if they are pinned, they must stay."""
        queue = cupy().cuda.get_current_stream()  # said by name: without it the host would wait
        target = self.as_cupy(values.dtype)
        if target.flags.c_contiguous and values.shape == target.shape:
            target.set(values, queue)
        else:  # elements that do not lie together are put in place on the GPU
            staged = cupy().empty(values.shape, values.dtype)
            staged.set(values, queue)
            target[...] = staged

    def as_cupy(self, dtype: Any) -> Any:
        """Give an array of CuPy over the same memory, on the current device, as a dtype of the same size."""
        cuda = cupy().cuda
        low, high = _core.extent(self.geometry)
        first = self.geometry.__array_interface__["data"][0] - low
        memory = cuda.UnownedMemory(self.start - first, high - low, self, cuda.Device().id)
        return cupy().ndarray(self.shape, np.dtype(dtype), cuda.MemoryPointer(memory, first), self.geometry.strides)
