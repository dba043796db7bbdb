"""The kernels of src_c/fill.cu on the host, and an array with only `__cuda_array_interface__`."""

import ctypes
import shutil
import struct
import subprocess
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
from conftest import COMPILER, ROOT

from pyinit import _core
from pyinit.cuda.arrays import CudaArray
from pyinit.kernels.layouts import THREADS, grid

FLAGS = ["-std=gnu11", "-O0", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared"]
# As on a device, elements are written through pointers to integers of their size.
FLAGS += ["-fno-strict-aliasing"]
# An unaligned store is a fault on a device, and here.
FLAGS += ["-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"]


class HostKernels:
    """The kernels that CuPy would start, one thread after another, in a grid of the test's choice."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        self.library.job_size.restype = self.library.window_size.restype = ctypes.c_size_t
        self.library.launch.argtypes = (
            *(ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_char_p),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_int),
        )
        self.blocks, self.threads, self.backwards = None, THREADS, False
        self.launched = self.assigned = 0

    def launch_run(self, job, pointer, where, some=None):
        """Run some CUDA blocks of a grid: the range `some`."""
        self.start(job, pointer, (where.first, where.length), None, where.units, some)

    def launch_items(self, launch, some=None):
        table, jobs, windows = launch.table()
        memory = np.frombuffer(table, np.uint8).copy()
        start = memory.ctypes.data
        assert start % 8 == 0
        packed = struct.pack("=QQQQQ", start, jobs, windows, launch.count, launch.tiles)
        assert tuple(np.frombuffer(launch.job, np.int32, 3)) == launch.key
        self.start(launch.job, None, (0, 0), packed, THREADS * launch.tiles, some)

    def start(self, job, pointer, run, table, units, some):
        blocks = self.blocks or grid(units, 1)
        first, last = some or (0, blocks)
        self.library.launch(job, pointer, *run, table, blocks, self.threads, first, last, self.backwards)
        self.launched += 1

    def assign(self, array, values):
        """Replaces `CudaArray.assign`: copies bits to the address."""
        assert values.itemsize == array.dtype.itemsize
        if array.size:
            low, high = _core.extent(array.geometry)
            first = array.geometry.ctypes.data - low
            memory = (ctypes.c_char * (high - low)).from_address(array.start - first)
            np.ndarray(array.shape, values.dtype, memory, first, array.geometry.strides)[...] = values
            self.assigned += 1


@cache  # for all modules
def library(folder):
    path = folder / "cuda_on_host.so"
    command = [COMPILER, *FLAGS, f"-I{ROOT / 'src_c'}", str(ROOT / "tests" / "cuda_on_host.c"), "-o", str(path), "-lm"]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def host_kernels(tmp_path_factory):
    if not shutil.which(COMPILER):
        pytest.skip(f"no C compiler {COMPILER}")
    kernels = HostKernels(library(tmp_path_factory.getbasetemp()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CudaArray, "current", lambda array: nullcontext())
        patch.setattr(CudaArray, "compile", lambda array, key: None)
        patch.setattr(CudaArray, "queue", 0)
        patch.setattr(CudaArray, "launch_run", lambda array, _, job, where: kernels.launch_run(job, array.start, where))
        patch.setattr(CudaArray, "launch_items", lambda array, _, launch, arrays: kernels.launch_items(launch))
        patch.setattr(CudaArray, "assign", lambda array, values: kernels.assign(array, values))
        yield kernels


class Interface:
    """An object with only a `__cuda_array_interface__`."""

    def __init__(self, interface):
        self.__cuda_array_interface__ = interface


class OnDevice:
    """An array that claims to be in device memory."""

    def __init__(self, array, **changes):
        self.array = array
        self.interface = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, not array.flags.writeable),
            "strides": None if array.flags.c_contiguous else array.strides,
            "version": 3,
        } | changes
        self.dtype = array.dtype.names[0] if array.dtype.names else array.dtype

    @property
    def __cuda_array_interface__(self):
        return self.interface
