"""Arrays on a GPU: what is refused, and where there is a device, its bits."""

import sys

import numpy as np
import pytest
from cuda_stand_in import OnDevice
from test_cuda_source import FILLS, KINDS
from test_windows import DTYPES, empty

from pyinit import Stream, cuda
from pyinit.kernels.layouts import THREADS, Axis, grid, layout


class Interface:
    """Only a `__cuda_array_interface__`."""

    def __init__(self, interface):
        self.__cuda_array_interface__ = interface


def float32(**changes):
    return OnDevice(np.full((3, 4), 7, np.float32), **changes)


def test_what_is_an_array_on_a_device():
    torch = pytest.importorskip("torch")
    assert cuda.holds(float32())
    for other in (np.zeros(3), [1.0], None, np.zeros(3).data, torch.zeros(3), torch.nn.Parameter(torch.zeros(3))):
        assert not cuda.holds(other)
    assert not cuda.holds(OnDevice)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (float32(mask=float32()), ValueError, "out must have no mask"),
        (float32(data=(4098, False)), ValueError, r"aligned to its elements on a GPU; got float32 at address 0x1002"),
        (float32(strides=(18, 4)), ValueError, r"aligned to its elements on a GPU; .* with strides \(18, 4\)"),
        (float32(data=(4096, True)), ValueError, "out must be writable; got a read-only array"),
        (float32(strides=(0, 4)), ValueError, "no two elements in one place"),
        (float32(typestr="<i4"), TypeError, "out must have dtype float32, float64, float16 or bfloat16"),
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
        ({"std": -1.0}, ValueError, "std must be finite in float32"),
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
    with pytest.raises(ValueError, match="std must be finite"):  # what is wrong with the arguments comes first
        stream.fill_normal(out, std=-1.0)
    empty_one = OnDevice(np.zeros((0, 4), np.float32), data=(0, False))
    assert stream.fill_normal(empty_one, global_shape=(3, 4)) is empty_one  # which needs no device
    assert stream.position == 12


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
    assert grid(2**40, 132) == 132 * grid(10**9, 1) < 2**31
    assert grid(2**40, 132, held=5) == 660


def gpu():
    """CuPy, where it finds a device."""
    cupy = pytest.importorskip("cupy", reason="no CuPy, and so no GPU to run on")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    return cupy


def on_gpu(cupy, shape, kind):
    """An array of the device, as CuPy sees it and as a fill is to see it."""
    array = cupy.zeros(shape, np.uint16 if kind[1] == "bfloat16" else DTYPES.get(kind[1], np.uint32))
    if kind[1] != "bfloat16":
        return array, array
    given = Interface(array.__cuda_array_interface__)
    given.dtype = "bfloat16"
    return array, given


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_the_bits_of_a_device(generator, kind):
    cupy = gpu()
    name, parameters = FILLS[kind[0]]
    for count in (*range(20), 1000, 10_000_019):
        for position in (0, 3, 2**34 - 37):
            array, given = on_gpu(cupy, count, kind)
            stream = Stream(7, generator, position=position)
            expected = stream.copy()
            getattr(stream, name)(given, **parameters)
            host = getattr(expected, name)(empty(count, kind), **parameters)
            assert array.get().tobytes() == host.tobytes(), (count, position)
            assert stream == expected


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_the_windows_of_a_device(generator, kind):
    cupy = gpu()
    name, parameters = FILLS[kind[0]]
    shape = (37, 61, 301)
    whole = getattr(Stream(2, generator, position=5), name)(empty(shape, kind), **parameters)
    for where in (np.s_[3:, 7:50, 2:], np.s_[:, :, 100:103], np.s_[5:6, :, :], np.s_[:, 4:60, 17:18]):
        part = whole[where]
        array, given = on_gpu(cupy, part.shape, kind)
        offset = [s.start or 0 for s in where]
        stream = Stream(2, generator, position=5)
        getattr(stream, name)(given, **parameters, global_shape=shape, offset=offset)
        assert array.get().tobytes() == part.tobytes()
    if kind[1] != "bfloat16":
        for order in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
            out = on_gpu(cupy, [shape[i] for i in order], kind)[0].transpose(np.argsort(order).tolist())
            getattr(Stream(2, generator, position=5), name)(out, **parameters)
            assert out.get().tobytes() == whole.tobytes()


def test_more_than_2_to_the_32_elements_of_a_device():
    cupy = gpu()
    count = 2**32 + 4099
    if cupy.cuda.runtime.memGetInfo()[0] < 2 * count + 2**30:
        pytest.skip("needs 9 GB of the device's memory")
    out = cupy.zeros(count, np.float16)
    Stream(1).fill_normal(out)
    for start in (0, 2**31 - 50, 2**32 - 50, count - 5000):
        part = out[start : start + 5000].get()
        assert part.tobytes() == Stream(1, position=start).normal(len(part), np.float16).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_tensors_of_torch_on_a_device(dtype):
    gpu()
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    host = Stream(3).fill_normal(torch.zeros(1000, 33, dtype=getattr(torch, dtype)))
    for tensor in (torch.zeros_like(host, device="cuda"), torch.nn.Parameter(torch.zeros_like(host, device="cuda"))):
        with torch.cuda.stream(torch.cuda.Stream()):
            assert Stream(3).fill_normal(tensor) is tensor
            assert torch.equal(tensor.detach().cpu(), host)


def test_a_device_array_that_lies_on_the_host():
    gpu()
    stream = Stream(1)
    with pytest.raises(ValueError, match="out must lie in the memory of a CUDA device"):
        stream.fill_normal(float32())
    assert stream.position == 0
