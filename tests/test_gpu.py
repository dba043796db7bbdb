"""Fills on a GPU have the host's bits; they need a GPU. `make gpu` runs these tests."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cuda_stand_in import Interface
from kinds import DTYPES, KINDS, empty, fill, name

from pyinit import Stream, distributions
from pyinit.kernels import staging

pytestmark = pytest.mark.gpu
IDS = {"ids": name}
LARGE = 2**32 + 4099


def on_gpu(cupy, shape, kind):
    """Return a device array, as CuPy sees it and as a fill should see it."""
    dtype = DTYPES[kind[1]]
    if not dtype.names:
        return (array := cupy.zeros(shape, dtype)), array
    array = cupy.zeros(shape, f"u{dtype.itemsize}")
    return array, named(array, kind)


def named(array, kind):
    """Return an array of integers as one of a type that CuPy lacks."""
    if not DTYPES[kind[1]].names:
        return array
    given = Interface(array.__cuda_array_interface__)
    given.dtype = kind[1]
    return given


@pytest.mark.parametrize("kind", KINDS, **IDS)
def test_bits(cupy, generator, kind):
    for count in (*range(20), 1000, 10_000_019):
        for position in (0, 3, 2**34 - 37):
            array, given = on_gpu(cupy, count, kind)
            stream = Stream(7, generator, position=position)
            expected = stream.copy()
            fill(stream, kind, given)
            assert array.get().tobytes() == fill(expected, kind, empty(count, kind)).tobytes(), (count, position)
            assert stream == expected


@pytest.mark.parametrize("kind", KINDS, **IDS)
def test_edges_of_runs(cupy, kind):
    """The memory before and after a run is not touched, wherever the run begins."""
    for before in range(5):
        for count in (0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 1023):
            array, _ = on_gpu(cupy, before + count + 9, kind)
            array.view(np.uint8)[...] = 0xA5
            fill(Stream(5, position=3), kind, named(array[before : before + count], kind))
            expected = np.full(before + count + 9, 0, array.dtype)
            expected.view(np.uint8)[...] = 0xA5
            samples = fill(Stream(5, position=3), kind, empty(count, kind))
            expected[before : before + count] = samples.view(array.dtype)
            assert array.get().tobytes() == expected.tobytes()


@pytest.mark.parametrize("backend", ["device", "host"])
@pytest.mark.parametrize("kind", KINDS, **IDS)
def test_windows(cupy, monkeypatch, generator, kind, backend):
    monkeypatch.setattr(staging, "PIECE_BYTES", 1 << 16)  # so that there are many pieces
    shape = (37, 61, 301)
    whole = fill(Stream(2, generator, position=5), kind, empty(shape, kind))
    for where in (np.s_[3:, 7:50, 2:], np.s_[:, :, 100:103], np.s_[5:6, :, :], np.s_[:, 4:60, 17:18]):
        part = whole[where]
        array, given = on_gpu(cupy, part.shape, kind)
        offset = [s.start or 0 for s in where]
        fill(Stream(2, generator, position=5), kind, given, global_shape=shape, offset=offset, backend=backend)
        assert array.get().tobytes() == part.tobytes()
    if not DTYPES[kind[1]].names:
        for order in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
            out = on_gpu(cupy, [shape[i] for i in order], kind)[0].transpose(np.argsort(order).tolist())
            fill(Stream(2, generator, position=5), kind, out, backend=backend)
            assert out.get().tobytes() == whole.tobytes()
        out = on_gpu(cupy, [2 * n for n in shape], kind)[0][::-2, 1::2, ::-2]
        fill(Stream(2, generator, position=5), kind, out, backend=backend)
        assert out.get().tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", KINDS, **IDS)
def test_from_the_host(cupy, generator, kind):
    """Several pieces, on their own stream."""
    count = (3 << 24) // empty((), kind).itemsize + 77
    array, given = on_gpu(cupy, count, kind)
    cupy.cuda.get_current_stream().synchronize()
    stream, expected = Stream(7, generator, position=6), Stream(7, generator, position=6)
    with cupy.cuda.Stream(non_blocking=True):
        fill(stream, kind, given, backend="host")
        assert array.get().tobytes() == fill(expected, kind, empty(count, kind)).tobytes()
    assert stream == expected


@pytest.fixture
def large_memory(cupy):
    """A function that skips a test for which the device's memory is too small. Afterwards the memory is free again."""

    def needs(size):
        if cupy.cuda.runtime.memGetInfo()[0] < size + 2**30:
            pytest.skip(f"needs {size / 1e9:.0f} GB of the device's memory")

    yield needs
    cupy.get_default_memory_pool().free_all_blocks()


@pytest.mark.xdist_group("large")
@pytest.mark.parametrize("kind", KINDS, **IDS)
def test_more_than_2_to_the_32_elements(cupy, large_memory, generator, kind):
    large_memory(LARGE * empty((), kind).itemsize)
    array, given = on_gpu(cupy, LARGE, kind)
    fill(Stream(1, generator, position=2**33), kind, given)
    starts = (0, 2**31 - 50, 2**32 - 50, LARGE - 5000)
    found = [array[start : start + 5000].get() for start in starts]
    del array, given  # a failed assertion would keep them until the end of the session
    for start, part in zip(starts, found, strict=True):
        window = {"global_shape": (LARGE,), "offset": (start,)}
        expected = fill(Stream(1, generator, position=2**33), kind, empty(len(part), kind), **window)
        assert part.tobytes() == expected.tobytes(), start


@pytest.mark.xdist_group("large")
def test_a_window_with_rows_more_than_2_to_the_32_bytes_apart(cupy, large_memory):
    large_memory(3 * 2**32)
    rows = cupy.zeros((3, 2**30 + 16), np.float32)[::-1, :1000]
    Stream(1, position=3).fill_normal(rows)
    found = rows.get()
    del rows
    assert np.array_equal(found, Stream(1, position=3).normal((3, 1000)))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "uint32"])
def test_tensors_of_torch(cupy, dtype):
    torch = torch_on_gpu()
    host = Stream(3).fill_normal(torch.zeros(1000, 33, dtype=getattr(torch, dtype)))
    for backend in ("device", "host"):
        for tensor in (
            torch.zeros_like(host, device="cuda"),
            torch.nn.Parameter(torch.zeros_like(host, device="cuda")),
            torch.zeros(33, 1000, dtype=host.dtype, device="cuda").t(),
        ):
            torch.cuda.synchronize()
            with torch.cuda.stream(torch.cuda.Stream()):
                assert Stream(3).fill_normal(tensor, backend=backend) is tensor
                found = tensor.detach().cpu().contiguous()
                assert torch.equal(found.view(torch.uint8), host.view(torch.uint8))


@pytest.mark.parametrize("library", ["cupy", "torch"])
def test_in_a_new_thread(cupy, library):
    """Which has no CUDA context of its own yet, though CUDA says that device 0 is current."""
    out = cupy.zeros(1000, np.float32)
    given = torch_on_gpu().as_tensor(out, device="cuda") if library == "torch" else out
    cupy.cuda.Device().synchronize()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(Stream(3).fill_normal, given).result()
    cupy.cuda.Device().synchronize()
    assert np.array_equal(out.get(), Stream(3).normal(1000))


@pytest.mark.filterwarnings("default")  # of Numba's own
def test_arrays_of_numba(cupy):
    numba = pytest.importorskip("numba.cuda")
    for shape, order in (((1000,), "C"), ((30, 40), "F")):
        out = numba.device_array(shape, np.float32, order=order)
        Stream(3).fill_normal(out)
        cupy.cuda.get_current_stream().synchronize()
        assert np.array_equal(out.copy_to_host(), Stream(3).normal(shape))


def test_a_tensor_that_a_graph_still_needs(cupy):
    torch = torch_on_gpu()
    weights = torch.nn.Parameter(torch.ones(3, device="cuda"))
    product = (weights * weights).sum()
    Stream(1).fill_normal(weights.data)
    Stream(1).fill_normal(weights)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def torch_on_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    return torch


def test_the_host_does_not_wait(cupy):
    """Work of a second is in the queue before the fill, and is still there after the call."""
    a, out = cupy.ones((8192, 8192), np.float64), cupy.zeros(1000, np.float32)
    Stream(1).fill_normal(out)  # compiles the kernel
    with cupy.cuda.Stream(non_blocking=True) as queue:
        for _ in range(40):
            a = a @ a
            a *= 1e-4
        busy = queue.record()
        Stream(2).fill_normal(out)
        assert not busy.done
        assert np.array_equal(out.get(), Stream(2).normal(1000))
        assert busy.done


@pytest.mark.parametrize("dtype", ["uint32", "float32", "float64", "float16", "bfloat16"])
def test_the_numbers_of_cupy(cupy, dtype):
    """Other numbers: reproducible, with the right moments, and not pyinit's."""
    cases = {
        "uniform": (distributions.uniform(-1.0, 2.0), 0.5, 3 / math.sqrt(12)),
        "normal": (distributions.normal(0.5, 2.0), 0.5, 2.0),
    }
    if dtype == "uint32":
        cases = {"bits": (distributions.bits(), 2**31, 2**32 / math.sqrt(12))}
    for case, (distribution, mean, std) in cases.items():
        kind, results = (case, dtype), []
        for seed in (1, 1, 2):
            array, given = on_gpu(cupy, (1000, 300), kind)
            stream = Stream(seed, position=8)
            stream.fill(given, distribution, backend="cupy")
            results.append(array.get())
            assert stream.position == 8 + 300_000 * (2 if dtype == "float64" else 1)
        assert np.array_equal(results[0], results[1])
        assert not np.array_equal(results[0], results[2])
        assert results[0].tobytes() != Stream(1, position=8).fill(empty((1000, 300), kind), distribution).tobytes()
        bits = results[0]
        values = (bits.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else bits.astype(np.float64)
        assert abs(values.mean(dtype=np.float64) - mean) < 5 * std / math.sqrt(300_000)
        assert abs(values.std(dtype=np.float64) / std - 1) < 0.01


def test_memory_of_the_host_is_refused(cupy):
    from test_cuda import float32

    for backend in ("device", "host", "cupy"):
        stream = Stream(1)
        with pytest.raises(ValueError, match="out must lie in the memory of a CUDA device"):
            stream.fill_normal(float32(), backend=backend)
        assert stream.position == 0


def test_assign(cupy):
    """The values of schemes that the host computes."""
    from pyinit.arrays import view

    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    for out in (cupy.zeros((3, 4), np.float32), cupy.zeros((4, 3), np.float32).T, cupy.zeros((6, 4), np.float32)[::-2]):
        view(out).assign(values)
        assert np.array_equal(out.get(), values)
        view(out)[np.s_[1:, :2]].assign(np.float32(7))
        assert (out.get()[1:, :2] == 7).all()
        assert np.array_equal(out.get()[0], values[0])


FILL = """
import sys
import cupy
from pyinit import Stream

def refuse(*_, **__):
    sys.exit("it compiles")

if "no compiler" in sys.argv:
    cupy.cuda.compiler.compile_using_nvrtc = refuse
out = cupy.empty(1000, cupy.float32)
print(Stream(3).fill_normal(out).get().tobytes().hex()[:100])
"""


def test_a_second_process_does_not_compile(cupy, monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(tmp_path))

    def run(*arguments):
        return subprocess.run([sys.executable, "-c", FILL, *arguments], capture_output=True, text=True, check=False)

    assert run("no compiler").stderr == "it compiles\n"
    expected = Stream(3).normal(1000).tobytes().hex()[:100] + "\n"
    assert run().stdout == run("no compiler").stdout == expected
