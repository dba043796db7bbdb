"""The one fill of arrays on devices: check, claim the words, and let the device or the host make the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pyinit import _core
from pyinit.kernels import staging
from pyinit.kernels.device_arrays import DeviceArray, KernelKey
from pyinit.kernels.layouts import layout


class Request(NamedTuple):
    """A fill that has been checked."""

    array: DeviceArray
    distribution: _core.Distribution
    key: KernelKey
    window: tuple[tuple[int, ...], tuple[int, ...]] | None
    num_threads: Any


Run = Callable[[_core.StreamState], None]
"""What writes the samples, given where the claimed words begin."""


def fill(
    array: DeviceArray,
    state: _core.StreamState,
    distribution: _core.Distribution,
    global_shape: Any = None,
    offset: Any = None,
    num_threads: Any = None,
    backend: str = "device",
) -> None:
    """Write samples, in order with the work on the array's queue; but for `backend="host"` the host does not wait.

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
    key = KernelKey(_core.GENERATORS[state.generator], method, dtype)
    if not array.size:  # which needs no device
        state.claim(distribution, dtype, count)
        return
    with array.current():
        run = BACKENDS[backend](Request(array, distribution, key, window, num_threads))
        run(state.claim(distribution, dtype, count))


def by_device(request: Request) -> Run:
    """Have the device make the samples, by a kernel of the core's own headers."""
    array, distribution, key, window, _ = request
    kernels = array.compile(key)

    def run(begin: _core.StreamState) -> None:
        shape, strides, itemsize = array.shape, array.geometry.strides, array.dtype.itemsize
        if window is None and array.geometry.flags.c_contiguous:  # most are: one run
            shape, strides = (array.size,), (itemsize,)
        where = layout(shape, strides, itemsize, *(window or ()))
        array.launch(kernels, key, _core.make_job(begin, distribution, key.dtype), where)

    return run


def by_host(request: Request) -> Run:
    """Have the host make the samples, and the device copy them."""
    array, distribution, _, window, num_threads = request
    buffers = staging.buffers(array)
    return lambda begin: staging.fill(array, begin, distribution, window, num_threads, buffers)


def by_cupy(request: Request) -> Run:
    """Have CuPy's own generator make other samples."""
    return lambda begin: request.array.draw_otherwise(request.distribution, begin)


BACKENDS = {"device": by_device, "host": by_host, "cupy": by_cupy}
