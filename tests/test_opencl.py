"""Arrays of pyopencl: the bits are the host's on any OpenCL device, such as PoCL's processor."""

import re
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import KINDS, claim, empty, fill, name, words
from opencl_device import Guarded, queue
from test_cuda_source import windows
from test_windows import generators, positions

from pyinit import Stream, _core
from pyinit.kernels import sources, staging
from pyinit.kernels.device_arrays import KernelKey
from pyinit.opencl import driver, programs

__all__ = ["queue"]

SOME_KINDS = [("bits", "uint32"), ("normal", "float32"), ("uniform", "float64"), ("centre", "float16")]
SOME_KINDS += [("icdf", "bfloat16")]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=name)
some_kinds = pytest.mark.parametrize("kind", SOME_KINDS, ids=name)
both_backends = pytest.mark.parametrize("backend", ["device", "host"])


@each_kind
def test_the_bits_of_runs(queue, generator, kind):
    whole = fill(Stream(5, generator, position=4), kind, empty(1100, kind))
    for count in (*range(41), 1000):
        position, before = 4 + count % 4, count % 5
        guarded = Guarded(queue, (count,), kind, before)
        stream = Stream(5, generator, position=position)
        begin, end = claim(kind, position, count)
        skip = (begin - 4) // words(kind)
        assert fill(stream, kind, guarded.array) is guarded.array
        assert guarded.values().tobytes() == whole[skip : skip + count].tobytes()
        assert stream.position == end


@each_kind
def test_the_bits_of_long_runs(queue, generator, kind):
    for position in (0, 2**34 - 37, 2**65 + 3):
        guarded = Guarded(queue, (100_003,), kind, 1)
        stream = Stream(2**63 + 5, generator, id=2**64 - 3, position=position)
        expected = stream.copy()
        fill(stream, kind, guarded.array)
        assert guarded.values().tobytes() == fill(expected, kind, empty(100_003, kind)).tobytes()
        assert stream == expected


@each_kind
def test_the_bits_of_windows(queue, generator, kind):
    shape = (9, 14, 33)
    whole = fill(Stream(2, generator, position=5), kind, empty(shape, kind))
    for where in (np.s_[3:, 7:10, 2:], np.s_[:, :, 30:33], np.s_[5:6, :, :], np.s_[:, 4:12, 17:18]):
        part = whole[where]
        guarded = Guarded(queue, part.shape, kind, 3)
        offset = [s.start or 0 for s in where]
        fill(Stream(2, generator, position=5), kind, guarded.array, global_shape=shape, offset=offset)
        assert guarded.values().tobytes() == part.tobytes()


@both_backends
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(generators, st.sampled_from(SOME_KINDS), windows(), st.integers(0, 4), positions)
def test_any_window_and_strides(queue, backend, generator, kind, window, before, position):
    shape, block, order, steps, pads = window
    size = [s.stop - s.start for s in block]
    lengths = [n * abs(step) + pad for n, step, pad in zip(size, steps, pads)]
    guarded = Guarded(queue, [lengths[i] for i in order], kind, before)
    host, around = guarded.on_host()

    def part(array):
        array = array.transpose([int(i) for i in np.argsort(order)]) if order else array
        array = array[(*(slice(None, n * abs(step), abs(step)) for n, step in zip(size, steps)), ...)]
        return array[(*(slice(None, None, -1 if step < 0 else 1) for step in steps), ...)]

    stream = Stream(5, generator, position=position)
    expected = stream.copy()
    where = {"global_shape": shape, "offset": [s.start for s in block]}
    fill(expected, kind, part(around), **where)
    first = part(around).__array_interface__["data"][0] - around.__array_interface__["data"][0]
    out = guarded.part(size, first, part(around).strides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "PIECE_BYTES", 256)
        fill(stream, kind, out, **where, backend=backend)
    assert stream == expected
    assert (guarded.on_host()[0] == host).all()


@some_kinds
def test_pieces_of_the_host(queue, generator, kind, monkeypatch):
    """Many pieces, so that each buffer is used again and again."""
    monkeypatch.setattr(staging, "PIECE_BYTES", 4096)
    for shape in ((50_000,), (300, 170), (3, 5, 7, 11)):
        guarded = Guarded(queue, shape, kind, 1)
        stream = Stream(4, generator, position=3)
        expected = stream.copy()
        fill(stream, kind, guarded.array, backend="host")
        assert guarded.values().tobytes() == fill(expected, kind, empty(shape, kind)).tobytes()
        assert stream == expected


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    generator=generators,
    position=positions,
    fills=st.lists(
        st.tuples(st.sampled_from(SOME_KINDS), st.integers(0, 70), st.sampled_from(["host", "device", "numpy"])),
        min_size=2,
        max_size=8,
    ),
)
def test_no_two_fills_share_a_word(queue, generator, position, fills):
    """Arrays of the device and of the host take turns on one stream, each with its own words."""
    stream, free = Stream(7, generator, position=position), position
    for kind, count, backend in fills:
        begin, end = claim(kind, stream.position, count)
        expected = fill(Stream(7, generator, position=begin), kind, empty(count, kind))
        if backend == "numpy":
            values = fill(stream, kind, empty(count, kind))
        else:
            guarded = Guarded(queue, (count,), kind)
            fill(stream, kind, guarded.array, backend=backend)
            values = guarded.values()
        assert values.tobytes() == expected.tobytes()
        assert stream.position == end >= begin + count * words(kind)
        assert begin >= free
        free = end if count else free


def test_a_window_beyond_2_to_the_32_samples(queue):
    shape, offset = (2**31 + 11, 2, 2**30), (2**31, 1, 2**30 - 40)
    for backend in ("device", "host"):
        guarded = Guarded(queue, (11, 1, 33), ("normal", "float32"))
        expected = np.zeros((11, 1, 33), np.float32)
        Stream(1, position=7).fill_normal(guarded.array, global_shape=shape, offset=offset, backend=backend)
        Stream(1, position=7).fill_normal(expected, global_shape=shape, offset=offset)
        assert np.array_equal(guarded.values(), expected)


@both_backends
def test_bfloat16_of_ml_dtypes(queue, backend):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    import pyopencl.array as cla

    out = cla.empty(queue, (30, 7), bfloat16)
    Stream(1).fill_normal(out[:, 1::2], backend=backend)
    assert np.array_equal(out.get()[:, 1::2], Stream(1).normal((30, 3), bfloat16))


def test_a_device_without_doubles(queue, monkeypatch):
    """A device with doubles stands in for it, and compiles the same text without them."""
    import pyopencl as cl
    import pyopencl.array as cla

    monkeypatch.setattr(driver, "has_doubles", lambda device: False)
    monkeypatch.setattr(programs, "has_doubles", lambda device: False)
    floats_alone = "\ntypedef char floats_alone[sizeof(f64v) == 4 ? 1 : -1];\n"
    monkeypatch.setattr(programs, "source", lambda *k: "#undef cl_khr_fp64\n" + sources.source(*k) + floats_alone)
    device = queue.device
    queue = cl.CommandQueue(cl.Context([device]))  # this context has no programs yet
    floats = [(name, "float32") for name in ("normal", "icdf", "centre", "tail", "narrow")]
    for kind, shape in (*((kind, (1003,)) for kind in floats), (("uniform", "float16"), (9, 8))):
        out = cla.empty(queue, shape, empty((), kind).dtype).T
        fill(Stream(3), kind, out)
        assert out.get().tobytes() == fill(Stream(3), kind, empty(out.shape, kind)).tobytes()
    stream = Stream(3)
    with pytest.raises(RuntimeError, match=f"device {re.escape(device.name)} lacks what the samples need: float64"):
        stream.fill_normal(cla.empty(queue, 3, np.float64))
    assert stream.position == 0


def test_threads_and_queues(queue):
    import pyopencl as cl
    import pyopencl.array as cla

    device, count = queue.device, 8
    queues = [cl.CommandQueue(queue.context, device) for _ in range(count)]
    outs = [cla.empty(queues[i], (301, 70), np.float32) for i in range(count)]
    outs = [out.T if i % 2 else out for i, out in enumerate(outs)]
    start = threading.Barrier(count)

    def work(i):
        start.wait()
        for j in range(20):
            Stream(i, id=j).fill_normal(outs[i], backend="host" if i == 7 else "device")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, out in enumerate(outs):
        assert np.array_equal(out.get(), Stream(i, id=19).normal(out.shape))


def test_a_stream_of_two_arrays(queue):
    import pyopencl as cl
    import pyopencl.array as cla

    stream, second = Stream(1), cl.CommandQueue(queue.context, queue.device)
    a, b = cla.empty(queue, 1001, np.float32), cla.empty(second, 999, np.float64)
    stream.fill_normal(a)
    stream.fill_uniform(b, backend="host")
    stream.fill_normal(a[7:11])
    expected = Stream(1)
    host = expected.normal(1001)
    assert np.array_equal(b.get(), expected.uniform(999, np.float64))
    host[7:11] = expected.normal(4)
    assert np.array_equal(a.get(), host)
    assert stream == expected


def test_both_sides_agree_on_the_size_of_a_job(queue):
    import pyopencl as cl

    text = sources.source(KernelKey(0, 0, 0), _core.JOB_BYTES + 8, "OPENCL")
    with pytest.raises(cl.RuntimeError, match="BUILD_PROGRAM_FAILURE"):
        programs.build(queue.context, queue.device, text, sources.OPENCL_OPTIONS)
    text = sources.source(KernelKey(0, 0, 0), _core.JOB_BYTES, "OPENCL")
    with pytest.raises(cl.RuntimeError, match="pyinit must not be built with -ffast-math"):
        programs.build(queue.context, queue.device, text, (*sources.OPENCL_OPTIONS, "-cl-fast-relaxed-math"))
