"""Arrays of pyopencl: refused ones, the order of work, and host values that are copied into them."""

import gc
import re
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from kinds import empty
from opencl_device import Guarded, queue

from pyinit import Stream, arrays, opencl
from pyinit.kernels import staging
from pyinit.kernels.device_arrays import KernelKey
from pyinit.opencl import driver
from pyinit.opencl.arrays import ClArray

__all__ = ["queue"]

FLOAT32 = ("normal", "float32")
both_backends = pytest.mark.parametrize("backend", ["device", "host"])


def buffer(queue, size, flags=0):
    import pyopencl as cl

    return cl.Buffer(queue.context, flags or cl.mem_flags.READ_WRITE, size)


def array(queue, shape=(3, 4), dtype=np.float32, **changes):
    import pyopencl.array as cla

    return cla.Array(queue, shape, dtype, **({"data": buffer(queue, 256)} | changes))


def refused(queue, out, error, message, **arguments):
    """Check that a fill is refused before the stream moves, with the memory unchanged."""
    import pyopencl as cl

    for name in ("fill_normal", "fill_uniform", "fill_truncated_normal"):
        stream = Stream(1)
        with pytest.raises(error, match=message):
            getattr(stream, name)(out, **arguments)
        assert stream.position == 0
    if isinstance(out.base_data, cl.Buffer) and not out.base_data.flags & cl.mem_flags.HOST_NO_ACCESS:
        host = np.zeros(out.base_data.size, np.uint8)
        cl.enqueue_copy(queue, host, out.base_data)
        assert (host == 0xA5).all()


def test_what_is_an_array_of_pyopencl(queue):
    out = array(queue, offset=16)
    assert opencl.view(out).shape == (3, 4)
    assert opencl.view(out).start == 16
    assert arrays.view(out).dtype == np.float32
    for other in (np.zeros(3), [1.0], None, type(out), out.base_data):
        assert opencl.view(other) is None


def test_arrays_refused(queue):
    import pyopencl as cl

    for changes, error, message in (
        ({"offset": 2}, ValueError, r"aligned to its elements; got float32 at offset 2 with strides \(16, 4\)"),
        ({"strides": (18, 4)}, ValueError, r"aligned to its elements; .* with strides \(18, 4\)"),
        ({"strides": (0, 4)}, ValueError, "no two elements in one place"),
        ({"offset": 212}, ValueError, r"inside its buffer of 256 bytes; got offset 212, shape \(3, 4\)"),
        ({"strides": (-16, 4), "offset": 28}, ValueError, "inside its buffer of 256 bytes; got offset 28"),
        (
            {"dtype": np.int32},
            TypeError,
            "out must have dtype float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2",
        ),
        ({"dtype": ">f4"}, TypeError, "in native byte order"),
    ):
        out = array(queue, **changes)
        cl.enqueue_fill_buffer(queue, out.base_data, np.uint8(0xA5), 0, 256)
        for backend in ("device", "host"):
            refused(queue, out, error, message, backend=backend)
    for changes in ({"offset": 208}, {"strides": (-16, 4), "offset": 32}):  # just inside
        Stream(1).fill_normal(array(queue, **changes))


def test_memory_refused(queue):
    import pyopencl as cl
    from pyopencl.characterize import has_coarse_grain_buffer_svm
    from pyopencl.tools import SVMAllocator

    flags = cl.mem_flags
    read_only = cl.Buffer(queue.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=np.full(64, 0xA5, np.uint8))
    refused(queue, array(queue, data=read_only), ValueError, "out must be writable; got a read-only array")
    guarded, stream = Guarded(queue, (3, 4), FLOAT32), Stream(1)
    with pytest.raises(ValueError, match=r"must have a queue, .* out\.with_queue\(queue\)"):
        stream.fill_normal(guarded.array.with_queue(None))
    assert stream.position == 0
    assert (guarded.on_host()[0] == 0xA5).all()
    if has_coarse_grain_buffer_svm(queue.device):
        shared = SVMAllocator(queue.context, alignment=0, queue=queue)
        refused(queue, array(queue, allocator=shared, data=None), TypeError, "in an OpenCL buffer; got .* shared")


def test_parameters_refused_as_on_the_host(queue):
    import pyopencl as cl

    out = array(queue)
    cl.enqueue_fill_buffer(queue, out.base_data, np.uint8(0xA5), 0, 256)
    refused(queue, out, ValueError, "backend=.cupy. fills arrays on an NVIDIA GPU; got one of pyopencl", backend="cupy")
    for backend in ("device", "host"):
        refused(queue, out, ValueError, "offset needs global_shape", offset=(0, 0), backend=backend)
        refused(queue, out, ValueError, "out must lie inside the tensor", global_shape=(2, 2), backend=backend)
    with pytest.raises(TypeError, match="out must have dtype uint32"):
        Stream(1).fill_bits(out)


@both_backends
def test_without_elements(queue, backend):
    import pyopencl.array as cla

    stream, out = Stream(1), cla.empty(queue, (0, 4), np.float32)
    assert stream.fill_normal(out, global_shape=(3, 4), backend=backend) is out
    assert stream.position == 12
    arrays.view(out).assign(np.float32(1))


def test_without_pyopencl(queue, monkeypatch):
    guarded, stream = Guarded(queue, (3, 4), FLOAT32), Stream(1)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyopencl", None)
        with pytest.raises(ImportError, match="needs pyopencl: pip install pyopencl"):
            stream.fill_normal(guarded.array)
    assert stream.position == 0


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ({"single_fp_config": 2 + 4 + 32 + 128}, "lacks what the samples need: subnormal numbers$"),
        ({"single_fp_config": 1 + 2 + 4}, "a fused multiply-add, correctly rounded quotients and square roots$"),
        ({"endian_little": False, "compiler_available": False}, "little-endian memory, a compiler$"),
        ({"extensions": "cl_khr_fp16"}, "lacks what the samples need: float64$"),
    ],
)
def test_devices_refused(queue, lacks, message):
    """Made-up descriptions stand for unavailable devices; a real device has what the samples need."""
    double, single = KernelKey(0, 2, 2), KernelKey(0, 2, 1)
    whole = {name: getattr(queue.device, name) for name in ("endian_little", "compiler_available", "extensions")}
    whole |= {"name": "D", "single_fp_config": queue.device.single_fp_config}
    driver.check_device(SimpleNamespace(**whole), double)
    with pytest.raises(RuntimeError, match=message):
        driver.check_device(SimpleNamespace(**(whole | lacks)), double)
    if "extensions" in lacks:
        driver.check_device(SimpleNamespace(**(whole | lacks)), single)


def test_a_device_is_asked_before_anything_is_claimed(queue, monkeypatch):
    """The test makes pyinit need more than any device has."""
    monkeypatch.setitem(driver.ARITHMETIC, "SOFT_FLOAT", "patience")
    guarded, stream = Guarded(queue, (3, 4), FLOAT32), Stream(1)
    with pytest.raises(RuntimeError, match=f"{re.escape(queue.device.name)} lacks what the samples need: patience"):
        stream.fill_normal(guarded.array)
    assert stream.position == 0
    assert (guarded.on_host()[0] == 0xA5).all()


def test_too_little_memory(queue, monkeypatch):
    with pytest.raises(MemoryError, match=r"too little memory for the \d+ bytes of host memory .*; OpenCL says: "):
        arrays.view(Guarded(queue, (3, 4), FLOAT32).array).staging_buffer(2**60)
    given = ClArray.staging_buffer
    monkeypatch.setattr(ClArray, "staging_buffer", lambda array, size: given(array, 2**60))
    guarded, stream = Guarded(queue, (3, 4), FLOAT32), Stream(1)
    with pytest.raises(MemoryError):
        stream.fill_normal(guarded.array, backend="host")
    assert stream.position == 0
    assert (guarded.on_host()[0] == 0xA5).all()


@contextmanager
def gate(queue):
    """Yield an event that completes at the end of the block, even after an error: otherwise work would wait forever."""
    import pyopencl as cl

    event = cl.UserEvent(queue.context)
    try:
        yield event
    finally:
        event.set_status(cl.command_execution_status.COMPLETE)


def assert_untouched(guarded):
    """Check that the memory is untouched, also by work that may have begun by now."""
    Stream(1).fill_normal(Guarded(guarded.queue, (300, 1000), FLOAT32).array)
    assert (guarded.on_host()[0] == 0xA5).all()


def test_the_host_does_not_wait(queue):
    """Work waits for a gate that opens when the host has queued all of it; the windows' buffers live until then."""
    import pyopencl as cl

    gated = cl.CommandQueue(queue.context, queue.device)
    guarded = [Guarded(queue, (40, 30), FLOAT32) for _ in range(2)]
    outs = [each.array.with_queue(gated) for each in guarded]
    with gate(queue) as closed:
        cl.enqueue_barrier(gated, wait_for=[closed])
        for out in outs:
            Stream(1).fill_normal(out)
            Stream(2).fill_normal(out.T)
            arrays.view(out[3]).assign(np.float32(7))
        gc.collect()
        for each in guarded:
            assert_untouched(each)
    gated.finish()
    expected = Stream(2).normal((30, 40)).T
    expected[3] = 7
    assert all(np.array_equal(each.values(), expected) for each in guarded)


def test_a_queue_that_keeps_no_order(queue, monkeypatch):
    """Work on an array waits for its events."""
    import pyopencl as cl

    monkeypatch.setattr(staging, "PIECE_BYTES", 600_000)
    properties = cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE
    if not queue.device.queue_properties & properties:
        pytest.skip(f"{queue.device.name} has no such queue")
    loose = cl.CommandQueue(queue.context, properties=properties)
    guarded = Guarded(queue, (300, 1000), FLOAT32)
    out = guarded.array.with_queue(loose)
    there, ones = arrays.view(out), np.ones(out.shape, np.uint32)
    with gate(queue) as closed:
        there.scatter(there.constant(ones), ones.strides, [closed])
        loose.flush()
        assert_untouched(guarded)
        out.add_event(closed)
        Stream(1).fill_normal(out)
        copies = []  # kept, since an event that is freed waits for its copy
        copying = threading.Thread(target=lambda: copies.append(there.copy(2 * ones)), daemon=True)
        copying.start()
        copying.join(30)
        assert not copying.is_alive()
        begun = len(out.events)  # outside the assertion: pytest would show an array in a failed one, and so would wait
        assert begun == 4
        loose.flush()
        assert_untouched(guarded)
    out.finish()
    assert (guarded.values().view(np.uint32) == 2).all()
    for i in range(20):
        Stream(i).fill_uniform(out)
        Stream(i).fill_normal(out.T, backend="host")
    out.finish()
    assert np.array_equal(guarded.values(), Stream(19).normal((1000, 300)).T)


@both_backends
def test_memory_of_many_kinds(queue, backend):
    """A part of a buffer, memory of a pool, the host's memory, and memory that the host must not write."""
    import pyopencl as cl
    from pyopencl.tools import ImmediateAllocator, MemoryPool

    flags, expected = cl.mem_flags, Stream(1).normal((3, 4))
    align = queue.device.mem_base_addr_align // 8
    own = np.zeros(1024, np.float32)
    buffers = [
        buffer(queue, align + 256).get_sub_region(align, 48),
        MemoryPool(ImmediateAllocator(queue)).allocate(48),
        cl.Buffer(queue.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=own),
        buffer(queue, 256, flags.WRITE_ONLY),
        buffer(queue, 256, flags.READ_WRITE | flags.HOST_READ_ONLY),
    ]
    for memory in buffers:
        out = array(queue, data=memory)
        Stream(1).fill_normal(out, backend=backend)
        assert np.array_equal(out.get(), expected)
    hidden = array(queue, data=buffer(queue, 256, flags.READ_WRITE | flags.HOST_NO_ACCESS))
    Stream(1).fill_normal(hidden, backend=backend)
    assert np.array_equal((hidden + 0).get(), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint32", "float64"])
def test_values_of_the_host_in_place(queue, dtype):
    rng, kind = np.random.default_rng(0), ("", dtype)
    itemsize = empty((), kind).itemsize

    def some(*shape):
        return rng.integers(0, 256, (*shape, itemsize), np.uint8).view(empty((), kind).dtype)[..., 0]

    for shape, given in (((), ()), ((7,), ()), ((5, 3, 9), (5, 3, 9)), ((5, 3, 9), (3, 1)), ((2, 1), (1,))):
        guarded, values = Guarded(queue, shape, kind, 1), some(*given)
        arrays.view(guarded.array).assign(values)
        assert guarded.values().tobytes() == np.broadcast_to(values, shape).tobytes()
    guarded, values = Guarded(queue, (6, 7), kind, 1), some(7, 3).T
    host, array = guarded.on_host()
    opencl.view(guarded.array)[::-2, :].assign(values)
    array[::-2] = values
    assert (guarded.on_host()[0] == host).all()
