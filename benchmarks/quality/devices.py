"""The devices of gpu.py, which fill and count: CUDA by CuPy, or OpenCL by pyopencl, with one kernel text."""

from functools import cache
from pathlib import Path

import gpu_peers
import numpy as np

import pyinit
from pyinit import _core
from pyinit.kernels.layouts import THREADS
from pyinit.kernels.sources import FLAGS, OPENCL_OPTIONS, WITHOUT_DOUBLES, text
from pyinit.opencl.driver import has_doubles

SOURCE = Path(__file__).with_name("counting.cl")
LOCAL_BYTES = 4 * (8192 + 65536 // 2)  # LOCAL_WORDS of counting.cl
FLOAT32 = _core.DTYPES["float32"].number


def source(method, group_threads, count_locally):
    """Return the text of the kernels for a sampler's method, for both CUDA and OpenCL."""
    defines = {"METHOD": _core.METHODS[method], "GROUP_THREADS": group_threads, "COUNT_LOCALLY": int(count_locally)}
    lines = [f"#define {name} {value}" for name, value in defines.items()]
    assertion = f'static_assert(sizeof(pyi_job) == {_core.JOB_BYTES}, "a job is the same on both sides");'
    return "\n".join([text("fill.cu"), assertion, *lines, SOURCE.read_text(encoding="utf-8")])


def method_of(distribution):
    """Return the number of the method that makes a distribution's samples."""
    dtype = "uint32" if distribution.sampler == "bits" else "float32"
    return _core.check_dtype(distribution, np.dtype(dtype))[0]


class Device:
    """The common part of both kinds of device.

    Attributes
    ----------
    name : str
    elements : int
        Samples in the buffer by default.
    units : int
        Multiprocessors or compute units.
    count_locally : bool
        Whether a group's counters fit in its local memory.
    group_threads : int
        Threads in a group of the counting kernel.
    """

    def count(self, distribution, samples, size, buckets, counts):
        """Count the first `size` samples in cells, and add the numbers to `counts`."""
        method, groups = method_of(distribution), self.units if self.count_locally else 8 * self.units
        self.launch(method, "count_cells", groups, self.group_threads, samples, np.uint64(size), buckets, counts)

    def drop_bits(self, distribution, samples, size, bits):
        """Clear the lowest bits of the first `size` samples."""
        arguments = samples, np.uint64(size), np.uint32(bits)
        self.launch(method_of(distribution), "drop_bits", 8 * self.units, self.group_threads, *arguments)

    def samples(self, distribution, words):
        """Return the float32 samples of given words, for a sampler of one word per sample."""
        job = _core.make_job(pyinit.Stream(0), distribution, FLOAT32)
        sent, made = self.send(words.astype(np.uint32).ravel()), self.empty(words.size)
        arguments = self.by_value(job), sent, np.uint64(words.size), made
        self.launch(method_of(distribution), "samples_of_words", 8 * self.units, THREADS, *arguments)
        return made.get().reshape(words.shape)


class Cuda(Device):
    """The current CUDA device; SystemExit says why there is none."""

    elements = 2**30
    group_threads = 1024

    def __init__(self):
        self.cupy = gpu_peers.device()
        described = gpu_peers.describe(self.cupy)
        self.name, self.units = described["gpu"], described["multiprocessors"]
        shared = self.cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"]
        self.count_locally = shared >= LOCAL_BYTES
        self.compiled = cache(self.compile)

    def empty(self, size):
        """A float32 array on the device."""
        return self.cupy.empty(size, np.float32)

    def send(self, values):
        """A copy of an array on the device."""
        return self.cupy.asarray(values)

    def by_value(self, packed):
        """Return bytes as CuPy takes a struct argument."""
        return np.frombuffer(packed, f"V{len(packed)}")

    def compile(self, method):
        """Compile the kernels for a method; not with RawModule, which flushes subnormals."""
        cuda = self.cupy.cuda
        code, _ = cuda.compiler.compile_using_nvrtc(source(method, self.group_threads, self.count_locally), FLAGS)
        module = cuda.function.Module()
        module.load(bytes(code))
        return module

    def launch(self, method, name, groups, threads, *arguments):
        """Start a kernel, in order with the fills."""
        function, local_bytes = self.compiled(method).get_function(name), 0
        if name == "count_cells" and self.count_locally:  # more than 48 KiB must be requested
            driver, local_bytes = self.cupy.cuda.driver, LOCAL_BYTES
            driver.funcSetAttribute(function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, LOCAL_BYTES)
        function((groups,), (threads,), arguments, shared_mem=local_bytes)


class OpenCL(Device):
    """An OpenCL device: a queue's, the one that PYOPENCL_CTX names, or the first."""

    elements = 2**24

    def __init__(self, queue=None):
        self.cl = gpu_peers.opencl()
        self.queue = queue or gpu_peers.opencl_queue(self.cl)
        device = self.queue.device
        self.name, self.units = device.name, device.max_compute_units
        self.count_locally = device.local_mem_size >= LOCAL_BYTES
        self.group_threads = min(THREADS, 1 << device.max_work_group_size.bit_length() - 1)
        self.options = [*OPENCL_OPTIONS, *([] if has_doubles(device) else [WITHOUT_DOUBLES])]
        self.compiled = cache(self.compile)

    def empty(self, size):
        """A float32 array on the device."""
        return self.cl.array.empty(self.queue, size, np.float32)

    def send(self, values):
        """A copy of an array on the device."""
        return self.cl.array.to_device(self.queue, values)

    def by_value(self, packed):
        """Return bytes as pyopencl takes a struct argument."""
        return packed

    def compile(self, method):
        """Compile the program for a method."""
        code = source(method, self.group_threads, self.count_locally)
        return self.cl.Program(self.queue.context, code).build(self.options, devices=[self.queue.device])

    def launch(self, method, name, groups, threads, *arguments):
        """Start a kernel, in order with the fills."""
        kernel = self.cl.Kernel(self.compiled(method), name)
        threads = min(threads, self.group_threads)
        kernel.set_args(*(getattr(argument, "base_data", argument) for argument in arguments))
        self.cl.enqueue_nd_range_kernel(self.queue, kernel, (groups * threads,), (threads,))


DEVICES = {"cuda": Cuda, "opencl": OpenCL}
