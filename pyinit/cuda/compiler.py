"""The kernels compiled for a CUDA device, each once a process."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from pyinit import _core
from pyinit.cuda.driver import cupy
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import THREADS
from pyinit.kernels.sources import FLAGS, kernel_name, source


class Kernel(NamedTuple):
    """A kernel that can be started, and how many of its CUDA blocks a multiprocessor holds at a time."""

    function: Any
    blocks_per_multiprocessor: int


def machine_code(key: KernelKey) -> bytes:
    """Compile the kernels of a key for the device that is current.

    Not by RawModule, which adds -ftz=true behind all options, and so would lose the subnormals
    (https://github.com/cupy/cupy/issues/9576).
    """
    compiler = cupy().cuda.compiler
    try:
        code, _ = compiler.compile_using_nvrtc(source(key, _core.JOB_BYTES), FLAGS)
    except compiler.CompileException as error:
        said = str(error).strip().splitlines()[0]
        raise RuntimeError(f"CUDA's compiler refuses the kernels for this GPU: {said}") from error
    return bytes(code)


@cache
def compiled(key: KernelKey, device: int) -> Any:
    """Give the kernels of a key, compiled and loaded for a device."""
    cuda = cupy().cuda
    with cuda.Device(device):
        module = cuda.function.Module()
        try:
            module.load(machine_code(key))
        except cuda.driver.CUDADriverError as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            raise MemoryError(f"the GPU has too little free memory for a kernel; CUDA says: {error}") from None
        return module


@cache
def kernel(key: KernelKey, is_run: bool, device: int) -> Kernel:
    """Give one of them; the device is current."""
    function = compiled(key, device).get_function(kernel_name(key, is_run))
    return Kernel(function, cupy().cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, THREADS, 0))


@cache
def multiprocessors(device: int) -> int:
    """Give the number of a device's multiprocessors: CuPy asks for all attributes to tell one."""
    return int(cupy().cuda.Device(device).attributes["MultiProcessorCount"])
