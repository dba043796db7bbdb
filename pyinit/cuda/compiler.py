"""The kernels compiled for a CUDA device: loaded once a process, compiled once for all."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, NamedTuple

from pyinit import _core
from pyinit.cuda.driver import cupy
from pyinit.kernels import cache as disk
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import THREADS
from pyinit.kernels.sources import FLAGS, kernel_name, source


class Kernel(NamedTuple):
    """A kernel that can be started, and how many of its CUDA blocks a multiprocessor holds at a time."""

    function: Any
    blocks_per_multiprocessor: int


def machine_code(key: KernelKey) -> bytes:
    """Give a kernel's code for the device that is current: from the disk, or else compiled and kept there."""
    text = source(key, _core.JOB_BYTES)
    entry = disk.entry("CUDA", text, FLAGS, *target())
    code = disk.read(entry)
    if code is None:
        code = compile_text(text)
        disk.write(entry, code)
    return code


def target() -> tuple[object, ...]:
    """Say what decides, beside the text and the flags, what the compiler makes: the device, and the compiler itself.

    CuPy adds flags of its own, and PTX in place of machine code can be asked for in the environment.
    """
    cuda = cupy().cuda
    wants_ptx = os.environ.get("CUPY_COMPILE_WITH_PTX")
    return cuda.Device().compute_capability, cuda.nvrtc.getVersion(), cupy().__version__, wants_ptx


def compile_text(text: str) -> bytes:
    """Compile CUDA C++ for the device that is current.

    Not by RawModule, which adds -ftz=true behind all options, and so would lose the subnormals
    (https://github.com/cupy/cupy/issues/9576).
    """
    compiler = cupy().cuda.compiler
    try:
        code, _ = compiler.compile_using_nvrtc(text, FLAGS)
    except compiler.CompileException as error:
        said = str(error).strip().splitlines()[0]
        raise RuntimeError(f"CUDA's compiler refuses the kernels for this GPU: {said}") from error
    return bytes(code)


@cache
def compiled(key: KernelKey, device: int) -> Kernel:
    """Give a kernel, compiled and loaded for a device, which is current."""
    cuda = cupy().cuda
    module = cuda.function.Module()
    try:
        module.load(machine_code(key))
    except cuda.driver.CUDADriverError as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        raise MemoryError(f"the GPU has too little free memory for a kernel; CUDA says: {error}") from None
    function = module.get_function(kernel_name(key))
    return Kernel(function, cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, THREADS, 0))


@cache
def multiprocessors(device: int) -> int:
    """Give the number of a device's multiprocessors: CuPy asks for all attributes to tell one."""
    return int(cupy().cuda.Device(device).attributes["MultiProcessorCount"])
