"""The kernels compiled for a CUDA device: loaded once a process, compiled once for all."""

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
    """A kernel that can be started on a device.

    Attributes
    ----------
    module : cupy.cuda.function.Module
        Unloads the kernel when it goes.
    pointer : int
        CUDA's handle of the kernel.
    threads : int
        Of a CUDA block.
    multiprocessors, blocks_per_multiprocessor : int
        Those of the device, and the CUDA blocks of this kernel that one can hold.
    """

    module: Any
    pointer: int
    threads: int
    multiprocessors: int
    blocks_per_multiprocessor: int

    def start(self, units: int, arguments: _core.Arguments) -> None:
        """Start it for so many units of work on the current stream, without CuPy's look at each argument."""
        cuda = cupy().cuda
        blocks = grid(units, self.multiprocessors, self.blocks_per_multiprocessor, self.threads)
        stream = cuda.get_current_stream().ptr
        cuda.driver.launchKernel(self.pointer, blocks, 1, 1, self.threads, 1, 1, 0, stream, arguments.address, 0)


def machine_code(key: KernelKey, anew: bool = False) -> bytes:
    """Give a kernel's code for the device that is current: from the disk, or else compiled and kept there."""
    text = source(key, _core.JOB_BYTES)
    entry = disk.entry("CUDA", text, FLAGS, *target())
    code = None if anew else disk.read(entry)
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
    for anew in (False, True):  # code from the disk may be of no use to another driver
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
