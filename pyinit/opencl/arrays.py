"""An array of pyopencl, and the ways to fill it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.jobs import Write
from pyinit.kernels.layouts import THREADS, grid
from pyinit.kernels.views import View
from pyinit.opencl import host_copies, launch
from pyinit.opencl.driver import memory_for, pyopencl
from pyinit.opencl.programs import placing

FILLS = {"device": launch.fill, "host": host_copies.fill}


@dataclass(frozen=True, eq=False)
class ClArray(View):
    """An array of pyopencl, or a part of one; `start` counts from the beginning of its buffer.

    Attributes
    ----------
    array : pyopencl.array.Array
        The whole: its buffer, its queue, and the events that order the work on it in a queue that keeps no order.
    """

    array: Any

    @property
    def memory(self) -> int:
        return int(self.array.base_data.int_ptr)

    @property
    def context(self) -> Any:
        """The context of its buffer."""
        return self.array.context

    @property
    def device(self) -> Any:
        """The device of its queue."""
        return self.array.queue.device

    def fill(self, write: Write, state: _core.StreamState, arguments: tuple[Any, ...], backend: str) -> None:
        if backend not in FILLS:
            raise ValueError(f"backend={backend!r} fills arrays on an NVIDIA GPU; got one of pyopencl")
        FILLS[backend](self, write, state, arguments)

    def place(self, values: NDArray[Any]) -> None:
        if self.size:
            copied = np.asarray(values, order="C")
            self.scatter(self.constant(copied.view(f"u{copied.itemsize}")), np.broadcast_to(copied, self.shape).strides)

    def copy(self, values: NDArray[Any]) -> Any:
        """Begin to write values of the host, in C order and of its shape; they must stay until the event is there."""
        cl, array = pyopencl(), self.array
        closed = cl.mem_flags.HOST_READ_ONLY | cl.mem_flags.HOST_NO_ACCESS
        if self.geometry.flags.c_contiguous and not array.base_data.flags & closed:
            to, wait_for = {"dest": array.base_data, "dst_offset": self.start}, array.events
            copied = cl.enqueue_copy(array.queue, src=values, is_blocking=False, wait_for=wait_for, **to)
            array.add_event(copied)
        else:
            staged = cl.Buffer(self.context, cl.mem_flags.READ_ONLY, values.nbytes)
            copied = cl.enqueue_copy(array.queue, staged, values, is_blocking=False)
            self.scatter(staged, values.strides, [copied])
        return copied

    def scatter(self, values: Any, strides: Sequence[int], after: Sequence[Any] = ()) -> None:
        """Write the elements that lie in a buffer with such strides, 0 where one is for many, when `after` is done."""
        axes = [(1, 0, 0), *zip(self.shape[::-1], self.geometry.strides[::-1], strides[::-1])]
        arguments = (
            *(self.array.base_data, np.uint64(self.start), values, np.uint64(self.size)),
            *(self.constant(np.array(axes, np.int64)), np.uint32(len(axes))),
        )
        program = placing(self.context, self.device)
        self.run(program, f"pyi_place_{self.dtype.itemsize}", arguments, self.size, after)

    def constant(self, values: Any) -> Any:
        """Give a buffer for kernels to read, with a copy of a host's array or bytes."""
        cl = pyopencl()
        with memory_for(f"a copy of {memoryview(values).nbytes} bytes on the device"):
            return cl.Buffer(self.context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=values)

    def run(self, program: Any, name: str, arguments: Sequence[Any], units: int, after: Sequence[Any] = ()) -> None:
        """Start a kernel for so many units of work, when `after` and all that was begun on the array are done."""
        cl, array = pyopencl(), self.array
        kernel = cl.Kernel(program, name)  # one of its own, since arguments are set before they are used
        for i, argument in enumerate(arguments):
            kernel.set_arg(i, argument)
        most = kernel.get_work_group_info(cl.kernel_work_group_info.WORK_GROUP_SIZE, self.device)
        group = min(THREADS, 1 << most.bit_length() - 1)  # a power of 2, as THREADS is, of which it is a part
        size = THREADS * grid(units, self.device.max_compute_units)
        with memory_for("a kernel and its array"):
            event = cl.enqueue_nd_range_kernel(array.queue, kernel, (size,), (group,), wait_for=[*array.events, *after])
        array.add_event(event)
