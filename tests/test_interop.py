"""Any writable object in host memory is filled in place, with the values of a NumPy array."""

import array
import ctypes
import importlib

import numpy as np
import pytest

from pyinit import Stream
from pyinit.arrays import on_host

EXPECTED = Stream(1).normal((4, 6))


def imported(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


class Interface:
    """An object with only `__array_interface__`, in its own layout."""

    def __init__(self, memory):
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__


class DLPack:
    """An object with only DLPack."""

    def __init__(self, memory):
        self.memory = memory

    def __dlpack__(self, **keywords):
        return self.memory.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.memory.__dlpack_device__()


@pytest.mark.parametrize("exporter", [Interface, DLPack])
@pytest.mark.parametrize("order", ["C", "F"])
def test_protocols_alone(exporter, order):
    out = exporter(np.zeros((4, 6), np.float32, order=order))
    assert Stream(1).fill_normal(out) is out
    assert np.array_equal(out.memory, EXPECTED)
    strided = exporter(np.zeros((4, 12), np.float32)[:, ::-2])
    Stream(1).fill_normal(strided)
    assert np.array_equal(strided.memory, EXPECTED)


def test_protocols_keep_read_only_memory():
    memory = np.zeros((4, 6), np.float32)
    memory.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        Stream(1).fill_normal(Interface(memory))
    with pytest.raises((ValueError, TypeError), match=r"read-only|readonly|NumPy can view in place"):
        Stream(1).fill_normal(DLPack(memory))
    assert not memory.any()


def test_an_exporter_elsewhere_is_refused():
    class Elsewhere:
        dtype = "float32"

        def __dlpack__(self, **_):
            raise BufferError("device memory")

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(TypeError, match="Elsewhere of float32"):
        Stream(1).fill_normal(Elsewhere())


@pytest.mark.parametrize("code", ["f", "d"])
def test_buffers(code):
    expected = Stream(1).normal(24, code)
    out = array.array(code, bytes(24 * array.array(code).itemsize))
    Stream(1).fill_normal(out)
    assert out.tobytes() == expected.tobytes()
    memory = bytearray(24 * out.itemsize)
    Stream(1).fill_normal(memoryview(memory).cast(code, (4, 6)))
    assert bytes(memory) == expected.tobytes()
    out = ((ctypes.c_float if code == "f" else ctypes.c_double) * 6 * 4)()
    Stream(1).fill_normal(out)
    assert bytes(out) == expected.tobytes()
    # Every second element, backwards.
    memory = bytearray(48 * array.array(code).itemsize)
    Stream(1).fill_normal(memoryview(memory).cast(code)[::-2])
    assert np.frombuffer(memory, code)[::-2].tobytes() == expected.tobytes()
    words = bytearray(24 * 4)
    Stream(1).fill_bits(memoryview(words).cast("I"))
    assert bytes(words) == Stream(1).bits(24).tobytes()


def test_half_buffers():
    memory = np.zeros(24, np.float16)
    Stream(1).fill_normal(memoryview(memory))  # from Python 3.12 on, bytes can be cast to this
    assert memory.tobytes() == Stream(1).normal(24, np.float16).tobytes()
    with pytest.raises(TypeError, match="uint8"):
        Stream(1).fill_normal(bytearray(24))
    with pytest.raises(ValueError, match="read-only"):
        Stream(1).fill_normal(memoryview(bytes(24)).cast("f"))


def test_blocks_of_a_tensor_in_buffers():
    out = array.array("f", bytes(3 * 4))
    Stream(1).fill_normal(memoryview(out).cast("B").cast("f", (3, 1)), global_shape=(4, 6), offset=(1, 4))
    assert np.array_equal(out, EXPECTED[1:, 4])


def test_torch_tensors_of_any_strides():
    torch = imported("torch")
    base = torch.zeros(6, 20)
    Stream(1).fill_normal(base[:, 1:9:2].T)
    assert np.array_equal(base[:, 1:9:2].T.numpy(), EXPECTED)
    assert torch.count_nonzero(base) == 24
    part = torch.zeros(2, 3)
    Stream(1).fill_normal(part, global_shape=EXPECTED.shape, offset=(2, 3))
    assert np.array_equal(part.numpy(), EXPECTED[2:, 3:])
    weight = torch.nn.Linear(6, 4, dtype=torch.float16).weight
    Stream(1).fill_truncated_normal(weight)
    assert np.array_equal(weight.detach().numpy(), Stream(1).truncated_normal((4, 6), "f2"))
    permuted = torch.zeros(2, 3, 4).permute(2, 0, 1)
    assert np.array_equal(Stream(1).fill_normal(permuted).numpy().reshape(4, 6), EXPECTED)
    with pytest.raises(ValueError, match="one place"):
        Stream(1).fill_normal(torch.zeros(10).as_strided((4, 6), (1, 1)))


def test_jax_arrays_are_refused_with_a_hint():
    jnp = imported("jax.numpy")
    out = jnp.zeros((4, 6))
    for fill in ("fill_normal", "fill_uniform", "fill_truncated_normal"):
        with pytest.raises(TypeError, match=r"JAX's are immutable.*jax\.numpy\.asarray"):
            getattr(Stream(1), fill)(out)
    with pytest.raises(TypeError, match=r"jax\.numpy\.asarray"):
        Stream(1).fill_bits(jnp.zeros(3, jnp.uint32))
    assert not out.any()
    assert np.array_equal(jnp.asarray(Stream(1).normal((4, 6))), EXPECTED)  # as the hint says


def test_pyarrow_buffers():
    pa = imported("pyarrow")
    buffer = pa.allocate_buffer(24 * 4)
    view = memoryview(buffer).cast("B").cast("f")
    Stream(1).fill_normal(view)
    assert buffer.to_pybytes() == EXPECTED.tobytes()
    numbers = pa.Array.from_buffers(pa.float32(), 24, [None, buffer])
    assert np.array_equal(numbers.to_numpy(), EXPECTED.ravel())
    # Arrow's arrays and buffers made from bytes are immutable.
    with pytest.raises(ValueError, match="read-only"):
        Stream(1).fill_normal(memoryview(pa.py_buffer(bytes(96))).cast("f"))
    with pytest.raises((TypeError, ValueError), match=r"read-only|readonly|in place"):
        Stream(1).fill_normal(pa.array([0.0] * 24, pa.float32()))


@pytest.mark.filterwarnings("ignore")  # zarr's own
def test_zarr_chunks():
    zarr = imported("zarr")
    shape, chunks = (50, 70, 9), (20, 33, 9)
    whole = Stream(1).normal(shape)
    store = zarr.create_array(zarr.storage.MemoryStore(), shape=shape, chunks=chunks, dtype="f4")
    order = [(i, j) for i in range(0, 50, 20) for j in range(0, 70, 33)]
    for i, j in reversed(order):
        chunk = np.empty((min(20, 50 - i), min(33, 70 - j), 9), np.float32)
        store[i : i + 20, j : j + 33] = Stream(1).fill_normal(chunk, global_shape=shape, offset=(i, j, 0))
    assert np.array_equal(store[:], whole)


def test_what_on_host_gives_shares_the_memory():
    memory = bytearray(8)
    on_host(memoryview(memory).cast("f"))[:] = 1.0
    assert np.frombuffer(memory, np.float32).tolist() == [1.0, 1.0]
    plain = np.zeros(3)
    assert on_host(plain) is plain


def test_numpy_23694_normals_of_any_mean_and_std_in_float32_and_in_place():
    whole = np.full((60, 50), 9, np.float32)
    part = whole[1::2, ::2]
    assert Stream(23694).fill_normal(part, mean=0.1, std=0.02) is part
    assert np.array_equal(part, Stream(23694).normal((30, 25), mean=0.1, std=0.02))
    assert (np.delete(whole, np.s_[1::2], 0) == 9).all()
    assert (whole[:, 1::2] == 9).all()
    assert part.mean() == pytest.approx(0.1, abs=5 * 0.02 / 750**0.5)
    assert part.std() == pytest.approx(0.02, rel=0.15)
