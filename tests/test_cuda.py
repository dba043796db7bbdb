"""Arrays on a GPU that are refused, and why; no GPU is needed."""

import sys

import numpy as np
import pytest
from cuda_stand_in import Interface, OnDevice
from hypothesis import given
from hypothesis import strategies as st

from pyinit import Stream, cuda
from pyinit.cuda import driver
from pyinit.cuda.driver import Foreign
from pyinit.kernels.layouts import THREADS, TURN, WAVES, Axis, grid, layout
from pyinit.kernels.staging import pieces


def float32(**changes):
    return OnDevice(np.full((3, 4), 7, np.float32), **changes)


def test_what_is_an_array_on_a_device():
    torch = pytest.importorskip("torch")
    assert cuda.view(float32()).shape == (3, 4)
    for other in (np.zeros(3), [1.0], None, np.zeros(3).data, torch.zeros(3), torch.nn.Parameter(torch.zeros(3))):
        assert cuda.view(other) is None
    assert cuda.view(OnDevice) is None


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (float32(mask=float32()), ValueError, "out must have no mask"),
        (float32(data=(4098, False)), ValueError, r"aligned to its elements on a GPU; got float32 at address 0x1002"),
        (float32(strides=(18, 4)), ValueError, r"aligned to its elements on a GPU; .* with strides \(18, 4\)"),
        (float32(data=(4096, True)), ValueError, "out must be writable; got a read-only array"),
        (float32(strides=(0, 4)), ValueError, "no two elements in one place"),
        (
            float32(typestr="<i4"),
            TypeError,
            "out must have dtype float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2",
        ),
        (float32(typestr=">f4"), TypeError, "in native byte order"),
        (float32(typestr="float33"), TypeError, "OnDevice has one that cannot be read"),
        (float32(shape=None), TypeError, "cannot be read"),
        (Interface({}), TypeError, r"with shape, typestr and data; Interface has one .* KeyError\('shape'\)"),
    ],
)
def test_arrays_refused(out, error, message):
    stream = Stream(1)
    for name in ("fill_normal", "fill_uniform", "fill_truncated_normal"):
        with pytest.raises(error, match=message):
            getattr(stream, name)(out)
    assert stream.position == 0
    if isinstance(out, OnDevice):
        assert (out.array == 7).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"std": -1.0}, ValueError, "std must be finite and not negative; got -1.0"),
        ({"std": 3e38}, ValueError, r"std must be at most 2\.12676e\+37; got 3e\+38 in float32"),
        ({"mean": "0"}, TypeError, "mean must be a real number"),
        ({"method": "ziggurat"}, ValueError, "method must be"),
        ({"offset": (0, 0)}, ValueError, "offset needs global_shape"),
        ({"global_shape": (2, 2)}, ValueError, "out must lie inside the tensor"),
        ({"num_threads": 0}, ValueError, "num_threads must be at least 1"),
    ],
)
def test_parameters_refused_as_on_the_host(arguments, error, message):
    for out in (np.zeros((3, 4), np.float32), float32()):
        stream = Stream(1)
        with pytest.raises(error, match=message):
            stream.fill_normal(out, **arguments)
        assert stream.position == 0
    with pytest.raises(TypeError, match="out must have dtype uint32"):
        Stream(1).fill_bits(float32())


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    stream, out = Stream(1), float32()
    with pytest.raises(ImportError, match="an array on a GPU needs CuPy: pip install cupy-cuda13x"):
        stream.fill_normal(out)
    assert stream.position == 0
    assert (out.array == 7).all()
    with pytest.raises(ValueError, match="std must be finite"):  # errors in the arguments come first
        stream.fill_normal(out, std=-1.0)
    empty_one = OnDevice(np.zeros((0, 4), np.float32), data=(0, False))
    assert stream.fill_normal(empty_one, global_shape=(3, 4)) is empty_one  # this needs no device
    assert stream.position == 12


@pytest.mark.parametrize("backend", ["device", "host", "cupy"])
def test_without_a_driver(backend):
    """With the real CuPy, installed without a driver."""
    runtime = pytest.importorskip("cupy", reason="no CuPy").cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError:
        pass
    else:
        pytest.skip("there is a driver")
    stream, out = Stream(1), float32()
    with pytest.raises(RuntimeError, match="an array on a GPU needs a CUDA driver and device; CUDA says: cudaError"):
        stream.fill_normal(out, backend=backend)
    assert stream.position == 0
    assert (out.array == 7).all()


def test_too_little_memory():
    """CUDA has its own error for this; here the real CuPy raises it, without a driver."""
    runtime = pytest.importorskip("cupy", reason="no CuPy").cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError:
        with pytest.raises(MemoryError, match='backend="host" needs 4096 bytes of pinned memory; CUDA says: cudaError'):
            cuda.view(float32()).staging_buffer(4096)
    else:
        with pytest.raises(MemoryError, match="bytes of pinned memory; CUDA says: cudaErrorMemoryAllocation"):
            cuda.view(float32()).staging_buffer(2**50)


def test_backends_refused():
    for out in (np.zeros((3, 4), np.float32), float32()):
        for name in ("gpu", "DEVICE", None):
            with pytest.raises(ValueError, match="backend must be one of 'device', 'host', 'cupy'; got"):
                Stream(1).fill_normal(out, backend=name)
    with pytest.raises(ValueError, match='backend="cupy" fills arrays on an NVIDIA GPU; got one on the host'):
        Stream(1).fill_uniform(np.zeros(3), backend="cupy")
    stream = Stream(1)
    with pytest.raises(ValueError, match='backend="cupy" has only bits, uniform samples, and normal samples'):
        stream.fill_truncated_normal(float32(), backend="cupy")
    with pytest.raises(ValueError, match='backend="cupy" has only bits, uniform samples, and normal samples'):
        stream.fill_normal(float32(), method="icdf", backend="cupy")
    with pytest.raises(ValueError, match='backend="cupy" fills whole arrays'):
        stream.fill_normal(float32(), global_shape=(9, 4), backend="cupy")
    assert stream.position == 0


def test_what_makes_the_samples_of_a_host_array():
    for make in (np.zeros, lambda n: memoryview(bytearray(8 * n)).cast("d")):
        expected, given = Stream(1), Stream(1)
        by_host = given.fill_normal(make(5), backend="host")
        assert np.array_equal(np.asarray(by_host), np.asarray(expected.fill_normal(make(5))))
        assert given == expected


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(1, 60))
def test_pieces(shape, elements):
    covered = np.zeros(shape, int)
    for i, region in enumerate(pieces(tuple(shape), elements)):
        piece = covered[(*region, ...)]
        assert 0 < piece.size <= elements
        assert piece.flags.c_contiguous
        assert not piece.any()
        piece += i + 1
    assert (covered > 0).all()
    assert (np.diff(covered.ravel()) >= 0).all()


def test_layouts():
    assert layout((), (), 4).is_run
    assert layout((5, 7), (28, 4), 4) == layout((35,), (4,), 4)
    assert layout((3, 4), (16, 4), 4, (9, 4), (2, 0)).first == 8
    columns = layout((3, 2), (8, 4), 4, (3, 4), (0, 1))
    assert columns[:3] == (1, 2, 4)
    assert columns.axes == (Axis(3, 4, 8), Axis(2, 0, 0))
    assert columns.units == 6
    single = layout((3, 1), (4, 4), 4, (3, 4), (0, 1))
    assert single.axes == (Axis(3, 4, 4),)
    assert single.block_axis == 1
    reversed_rows = layout((3, 8), (-32, 4), 4)
    assert Axis(3, 8, -32) in reversed_rows.axes


def test_grids():
    assert grid(1, 1) == grid(THREADS, 132) == 1
    assert grid(THREADS + 1, 132) == 2
    assert grid(2**40, 132) == 132 * grid(10**9, 1) == WAVES * 132 * 8 < 2**31
    assert grid(2**40, 132, blocks_per_multiprocessor=5) == WAVES * 660
    assert grid(THREADS * 660, 132, 5) == grid(THREADS * 660 * TURN, 132, 5) == 660
    assert grid(THREADS * 661 * TURN, 132, 5) == 661  # more than it holds, but only if each thread has a whole turn
    assert grid(2**40, 132, 2, threads=512) == WAVES * 264
    assert grid(1025, 132, 2, threads=512) == 3


def test_an_older_cupy(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="no CuPy")
    monkeypatch.setattr(cupy.cuda, "Stream", object)
    monkeypatch.setattr(driver, "_checked", None)
    with pytest.raises(ImportError, match=r"needs CuPy 14 or newer; got \d+\."):
        cuda.cupy()


def test_a_stream_of_another_library():
    """CuPy takes its number, without a warning."""
    cupy = pytest.importorskip("cupy", reason="no CuPy")
    assert cupy.cuda.Stream.from_external(Foreign(7)).ptr == 7
