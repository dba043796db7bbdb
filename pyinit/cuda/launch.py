"""backend="device": CuPy compiles pyinit's own kernels and starts them where the array lies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.cuda.driver import cupy, current, device_of
from pyinit.kernels.jobs import Job, Kind, Write, prepare
from pyinit.kernels.layouts import THREADS, grid
from pyinit.kernels.sources import FLAGS, kernel_name, source

if TYPE_CHECKING:
    from pyinit.cuda.arrays import CudaArray


def fill(view: CudaArray, write: Write, state: _core.StreamState, arguments: tuple[Any, ...]) -> None:
    """Fill an array on a GPU, as `View.fill` says."""
    device = 0

    def ready(kind: Kind) -> None:
        nonlocal device
        device = device_of(view.start)
        compiled(kind, device)

    job = prepare(write, state, view.geometry, arguments, ready)
    if job is not None:
        launch(job, view.start, device, view.stream)


def launch_arguments(job: Job, pointer: int) -> tuple[Any, ...]:
    """What the kernel takes: a job's constants, an address, and the run's first sample and length or the window.

    Arrays of one element are what CuPy passes by value.
    """

    def by_value(packed: bytes) -> NDArray[np.void]:
        return np.frombuffer(packed, f"V{len(packed)}")

    where = job.layout
    rest = (np.uint64(where.first), np.uint64(where.length)) if where.is_run else (by_value(where.packed()),)
    return by_value(job.constants), np.uint64(pointer), *rest


def machine_code(kind: Kind) -> bytes:
    """Compile the kernels of one kind for the device that is current.

    Not by RawModule, which adds -ftz=true behind all options, and so would lose the subnormals
    (https://github.com/cupy/cupy/issues/9576).
    """
    compiler = cupy().cuda.compiler
    try:
        code, _ = compiler.compile_using_nvrtc(source(kind, _core.JOB_BYTES), FLAGS)
    except compiler.CompileException as error:
        said = str(error).strip().splitlines()[0]
        raise RuntimeError(f"CUDA's compiler refuses the kernels for this GPU: {said}") from error
    return bytes(code)


@cache
def compiled(kind: Kind, device: int) -> Any:
    """Give the kernels of one kind for a device, compiled and loaded."""
    cuda = cupy().cuda
    with cuda.Device(device):
        module = cuda.function.Module()
        try:
            module.load(machine_code(kind))
        except cuda.driver.CUDADriverError as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            raise MemoryError(f"the GPU has too little free memory for a kernel; CUDA says: {error}") from None
        return module


@cache
def kernel(kind: Kind, is_run: bool, device: int) -> tuple[Any, int]:
    """Give one of them, and how many of its CUDA blocks a multiprocessor holds; the device is current."""
    function = compiled(kind, device).get_function(kernel_name(kind, is_run))
    return function, cupy().cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, THREADS, 0)


@cache
def processors(device: int) -> int:
    """Give the number of a device's multiprocessors: CuPy asks for all attributes to tell one."""
    return int(cupy().cuda.Device(device).attributes["MultiProcessorCount"])


def launch(job: Job, pointer: int, device: int, stream: int | None) -> None:
    """Start the kernel of a job."""
    with current(device, stream):
        function, held = kernel(job.kind, job.layout.is_run, device)
        blocks = grid(job.layout.units, processors(device), held)
        function((blocks,), (THREADS,), launch_arguments(job, pointer))
