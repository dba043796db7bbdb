"""The one fill of arrays on devices: check, claim the words, and let the device or the host compute the samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyinit import _core
from pyinit._core import Distribution, StreamState
from pyinit.kernels import staging
from pyinit.kernels.device_arrays import DeviceArray, KernelKey
from pyinit.kernels.layouts import layout, run_of


class Request(NamedTuple):
    """A fill that has been checked."""

    array: DeviceArray
    distribution: Distribution
    key: KernelKey
    window: tuple[tuple[int, ...], tuple[int, ...]] | None
    num_threads: Any


Run = Callable[[StreamState], None]
"""Writes the samples, from a state at the first of the claimed words."""


def fill(
    array: DeviceArray,
    state: StreamState,
    distribution: Distribution,
    global_shape: Any = None,
    offset: Any = None,
    num_threads: Any = None,
    backend: str = "device",
) -> None:
    """Write samples in the order of the array's queue; the host waits only with `backend="host"`.

    Parameters and errors are those of `Stream.fill`.
    """
    _core.check_threads(num_threads)
    window, count = None, array.size
    if global_shape is not None or offset is not None:
        window = _core.checked_window(array.geometry, global_shape, offset)
        count = math.prod(window[0])
    method, dtype = _core.check_dtype(distribution, array.dtype)
    _core.check_memory(array.geometry)
    if backend == "cupy":
        if window is not None:
            raise ValueError('backend="cupy" fills whole arrays; got a window of a tensor, global_shape')
        array.check_otherwise(distribution)
    if not array.size:  # needs no device
        state.claim(distribution, dtype, count)
        return
    with array.current():
        key = KernelKey(_core.GENERATORS[state.generator], method, dtype)
        run = BACKENDS[backend](Request(array, distribution, key, window, num_threads))
        run(state.claim(distribution, dtype, count))


def by_device(request: Request) -> Run:
    """Let the device compute the samples, with a kernel from the core's own headers."""
    array, distribution, key, window, _ = request
    if window is None and array.geometry.flags.c_contiguous:  # the usual case: one run
        where = run_of(array.size, array.dtype.itemsize)
    else:
        where = layout(array.shape, array.geometry.strides, array.dtype.itemsize, *(window or ()))
    kernel = array.compile(key if where.is_run else key._replace(kind="items"))

    def run(begin: StreamState) -> None:
        if where.is_run:
            array.launch_run(kernel, _core.make_job(begin, distribution, key.dtype), where)
        else:
            launch = _core.Launch()
            launch.add(begin, distribution, key.dtype, array.start, where)
            array.launch_items(kernel, launch, [array])

    return run


def fill_batch(batch: _core.Batch, arrays: Sequence[DeviceArray]) -> None:
    """Fill the arrays of a batch in one memory, with one launch per kernel; the host does not wait.

    Parameters
    ----------
    batch : Batch
        Checked.
    arrays : sequence of DeviceArray
        The arrays in the batch.
    """
    ready = []
    for launch in batch.launches(layout):  # compile all, or raise, before the first one starts
        members = [arrays[i] for i in launch.members]
        with members[0].current():
            ready.append((members[0].compile(KernelKey(*launch.key, "items")), launch, members))
    for kernel, launch, members in ready:
        with members[0].current():
            members[0].launch_items(kernel, launch, members)


def by_host(request: Request) -> Run:
    """Let the host compute the samples, and the device copy them."""
    array, distribution, _, window, num_threads = request
    buffers = staging.buffers(array)
    return lambda begin: staging.fill(array, begin, distribution, window, num_threads, buffers)


def by_cupy(request: Request) -> Run:
    """Let CuPy's own generator make its samples, which differ from pyinit's."""
    return lambda begin: request.array.draw_otherwise(request.distribution, begin)


BACKENDS = {"device": by_device, "host": by_host, "cupy": by_cupy}
