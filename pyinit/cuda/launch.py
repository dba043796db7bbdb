"""Fills of arrays on a GPU: the core checks and claims, CuPy compiles and starts the kernels."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.cuda.interface import describe
from pyinit.kernels.jobs import Job, prepare
from pyinit.kernels.layouts import THREADS, grid
from pyinit.kernels.sources import FLAGS, kernel_name, source


def fill(write: Callable[..., Any], state: _core.StreamState, out: Any, *arguments: Any) -> None:
    """Fill an array on a GPU, in order with the work on its stream; the host does not wait.

    Parameters
    ----------
    write : function
        `_core.fill_bits` or one of its kind, which checks the arguments and claims the words.
    state : StreamState
    out : object
        For which `holds` is true.
    *arguments
        Of `write`: the distribution's parameters, then global_shape, offset and num_threads.

    Raises
    ------
    TypeError, ValueError
        As for `Stream.fill_normal`; ValueError also if the memory is not a CUDA device's.
    ImportError
        If there is no CuPy.
    RuntimeError
        If there is no CUDA driver or device.
    """
    pointer, geometry, stream = describe(out)
    device = 0

    def ready() -> None:
        nonlocal device
        device = _device(pointer)

    job = prepare(write, state, geometry, arguments, ready)
    if job is not None:
        _launch(job, pointer, device, stream)


def launch_arguments(job: Job, pointer: int) -> tuple[Any, ...]:
    """What the kernel takes: a job's constants, an address, and the run's first sample and length or the window.

    Arrays of one element are what CuPy passes by value.
    """

    def by_value(packed: bytes) -> NDArray[np.void]:
        return np.frombuffer(packed, f"V{len(packed)}")

    where = job.layout
    rest = (np.uint64(where.first), np.uint64(where.length)) if where.is_run else (by_value(where.packed()),)
    return by_value(job.constants), np.uint64(pointer), *rest


def compiled(kind: tuple[int, int, int], job_bytes: int) -> bytes:
    """The machine code of the kernels of one kind, for the device that is current.

    Not by RawModule, which adds -ftz=true behind all options, and so would lose the subnormals
    (https://github.com/cupy/cupy/issues/9576).
    """
    code, _ = _cupy().cuda.compiler.compile_using_nvrtc(source(kind, job_bytes), FLAGS)
    return bytes(code)


def _cupy() -> Any:
    try:
        import cupy
    except ImportError:
        raise ImportError(
            "an array on a GPU needs CuPy: pip install cupy-cuda13x, or cupy-cuda12x for a driver of CUDA 12"
        ) from None
    return cupy


def _device(pointer: int) -> int:
    """The number of the device that an address belongs to."""
    runtime = _cupy().cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise RuntimeError(f"an array on a GPU needs a CUDA driver and device; CUDA says: {error}") from None
    try:
        attributes = runtime.pointerGetAttributes(pointer)
    except runtime.CUDARuntimeError:
        attributes = None
    if attributes is None or not attributes.devicePointer or attributes.device < 0:
        raise ValueError(f"out must lie in the memory of a CUDA device; address {pointer:#x} does not")
    return int(attributes.device)


@cache
def _module(kind: tuple[int, int, int], job_bytes: int, device: int) -> Any:
    """The compiled kernels of one kind, for the device that is current."""
    module = _cupy().cuda.function.Module()
    module.load(compiled(kind, job_bytes))
    return module


def _launch(job: Job, pointer: int, device: int, stream: int | None) -> None:
    cuda = _cupy().cuda
    with cuda.Device(device) as current:
        module = _module(job.kind, len(job.constants), device)
        kernel = module.get_function(kernel_name(job.kind, job.layout.is_run))
        held = cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(kernel.ptr, THREADS, 0)
        blocks = grid(job.layout.units, current.attributes["MultiProcessorCount"], held)
        queue = cuda.get_current_stream() if stream is None else cuda.ExternalStream(stream)
        with queue:
            kernel((blocks,), (THREADS,), launch_arguments(job, pointer))
