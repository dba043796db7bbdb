"""Arrays of pyopencl, as the fills use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit._core import Launch
from pyinit.kernels.device_arrays import DeviceArray, KernelKey
from pyinit.kernels.layouts import THREADS, Layout, grid
from pyinit.kernels.sources import kernel_name
from pyinit.opencl import programs
from pyinit.opencl.driver import check_device, memory_for, pyopencl


@dataclass(eq=False, slots=True)
class ClArray(DeviceArray):
    """An array of pyopencl, or a part of one; `start` counts from the beginning of its buffer.

    Attributes
    ----------
    array : pyopencl.array.Array
        The whole array: its buffer, its queue, and the events that order its work in an out-of-order queue.
    """

    library = "pyopencl"

    array: Any

    @property
    def queue(self) -> int:
        return int(self.array.queue.int_ptr)

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

    def compile(self, key: KernelKey) -> Any:
        check_device(self.device, key)
        return programs.fills(self.context, self.device, key), kernel_name(key)

    def launch_run(self, kernel: Any, job: bytes, layout: Layout) -> None:
        rest = np.uint64(self.start), np.uint64(layout.first), np.uint64(layout.length)
        self.run(kernel, (job, self.array.base_data, *rest), layout.units)

    def launch_items(self, kernel: Any, launch: Launch, arrays: Sequence[ClArray]) -> None:
        table, jobs, windows = launch.table()
        rest = np.uint64(jobs), np.uint64(windows), np.uint32(launch.count), np.uint64(launch.tiles)
        arguments = (launch.job, self.array.base_data, self.constant(table), *rest)
        event = self.run(kernel, arguments, THREADS * launch.tiles, [e for other in arrays for e in other.array.events])
        for other in arrays:
            if other.array is not self.array:
                other.array.add_event(event)

    def staging_buffer(self, size: int) -> NDArray[np.uint8]:
        cl, queue = pyopencl(), self.array.queue  # GPU drivers pin memory that they allocate
        with memory_for(f'the {size} bytes of host memory that backend="host" copies from'):
            buffer = cl.Buffer(queue.context, cl.mem_flags.READ_ONLY | cl.mem_flags.ALLOC_HOST_PTR, size)
            flags = cl.map_flags.WRITE_INVALIDATE_REGION
            memory, _ = cl.enqueue_map_buffer(queue, buffer, flags, 0, (size,), np.uint8)
        mapped: NDArray[np.uint8] = memory
        return mapped

    def copy(self, values: NDArray[Any]) -> Any:
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

    def assign(self, values: NDArray[Any]) -> None:
        if self.size:
            copied = np.asarray(values, order="C")
            self.scatter(self.constant(copied.view(f"u{copied.itemsize}")), np.broadcast_to(copied, self.shape).strides)

    def scatter(self, values: Any, strides: Sequence[int], after: Sequence[Any] = ()) -> None:
        """Write the elements of a buffer with these strides, after the events `after`; a stride of 0 repeats one."""
        axes = [(1, 0, 0), *zip(self.shape[::-1], self.geometry.strides[::-1], strides[::-1])]
        arguments = (
            *(self.array.base_data, np.uint64(self.start), values, np.uint64(self.size)),
            *(self.constant(np.array(axes, np.int64)), np.uint32(len(axes))),
        )
        program = programs.placing(self.context, self.device)
        self.run((program, f"pyi_assign_{self.dtype.itemsize}"), arguments, self.size, after)

    def constant(self, values: Any) -> Any:
        """Copy a host array or bytes to a buffer that kernels can read."""
        cl = pyopencl()
        with memory_for(f"a copy of {memoryview(values).nbytes} bytes on the device"):
            return cl.Buffer(self.context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=values)

    def run(self, named: tuple[Any, str], arguments: Sequence[Any], units: int, after: Sequence[Any] = ()) -> Any:
        """Start a kernel for `units` units of work, after `after` and the array's earlier work; return its event."""
        cl, array = pyopencl(), self.array
        kernel = cl.Kernel(*named)  # a new one for each call, because it holds the arguments until the launch
        for i, argument in enumerate(arguments):
            kernel.set_arg(i, argument)
        most = kernel.get_work_group_info(cl.kernel_work_group_info.WORK_GROUP_SIZE, self.device)
        group = min(THREADS, 1 << most.bit_length() - 1)  # a power of 2, so it divides THREADS
        size = THREADS * grid(units, self.device.max_compute_units)
        with memory_for("a kernel and its array"):
            event = cl.enqueue_nd_range_kernel(array.queue, kernel, (size,), (group,), wait_for=[*array.events, *after])
        array.add_event(event)
        return event
