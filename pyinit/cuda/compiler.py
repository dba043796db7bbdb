"""Compile the kernels for a CUDA device, and keep them: a process loads each once, and the disk has them for others."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, NamedTuple

from pyinit import _core
from pyinit.cuda.driver import cupy
from pyinit.kernels import cache as disk
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import grid
from pyinit.kernels.sources import FLAGS, block_threads, kernel_name, source


class Kernel(NamedTuple):
    """A kernel that is loaded on a device.

    Attributes
    ----------
    module : cupy.cuda.function.Module
        Unloads the kernel when it goes.
    pointer : int
        CUDA's handle of the kernel.
    threads : int
        Threads per CUDA block.
    multiprocessors, blocks_per_multiprocessor : int
        The device's multiprocessors, and the CUDA blocks of this kernel that each can hold.
    """

    module: Any
    pointer: int
    threads: int
    multiprocessors: int
    blocks_per_multiprocessor: int

    def start(self, units: int, arguments: _core.Arguments) -> None:
        """Start it for `units` units of work on the current stream, without CuPy's checks of each argument."""
        cuda = cupy().cuda
        blocks = grid(units, self.multiprocessors, self.blocks_per_multiprocessor, self.threads)
        stream = cuda.get_current_stream().ptr
        cuda.driver.launchKernel(self.pointer, blocks, 1, 1, self.threads, 1, 1, 0, stream, arguments.address, 0)


def machine_code(key: KernelKey, anew: bool = False) -> bytes:
    """Return a kernel's code for the current device: from the disk, otherwise compiled and kept there."""
    text = source(key, _core.JOB_BYTES)
    entry = disk.entry("CUDA", text, FLAGS, *target())
    code = None if anew else disk.read(entry)
    if code is None:
        code = compile_text(text)
        disk.write(entry, code)
    return code


def target() -> tuple[object, ...]:
    """Return what determines the machine code besides the text and the flags: the device and the compiler.

    CuPy adds flags of its own, and an environment variable can ask for PTX instead of machine code.
    """
    cuda = cupy().cuda
    wants_ptx = os.environ.get("CUPY_COMPILE_WITH_PTX")
    return cuda.Device().compute_capability, cuda.nvrtc.getVersion(), cupy().__version__, wants_ptx


def compile_text(text: str) -> bytes:
    """Compile CUDA C++ for the current device.

    RawModule will not do: it appends -ftz=true to the options, which flushes subnormals to zero
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
    """Return a kernel, compiled and loaded for a device; the device must be current."""
    cuda = cupy().cuda
    for anew in (False, True):  # another driver may refuse code from the disk
        module = cuda.function.Module()
        try:
            module.load(machine_code(key, anew))
            break
        except cuda.driver.CUDADriverError as error:
            if "OUT_OF_MEMORY" in str(error):
                raise MemoryError(f"the GPU has too little free memory for a kernel; CUDA says: {error}") from None
            if anew:
                raise
    pointer, threads = module.get_function(kernel_name(key)).ptr, block_threads(key)
    occupancy = cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(pointer, threads, 0)
    multiprocessors = int(cuda.Device(device).attributes["MultiProcessorCount"])
    return Kernel(module, pointer, threads, multiprocessors, occupancy)
