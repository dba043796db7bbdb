"""The JAX adapter on a GPU: every array equals the one on the CPU. `make gpu` runs these tests."""

import numpy as np
import pytest

from pyinit import Stream
from pyinit import initializers as schemes

pytestmark = pytest.mark.gpu

jax = pytest.importorskip("jax", minversion="0.9")

import jax.numpy as jnp  # noqa: E402
from jax.sharding import NamedSharding, SingleDeviceSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from pyinit.adapters import jax as pj  # noqa: E402
from pyinit.adapters.jax.arrays import NewArray, OnGPU  # noqa: E402

DTYPES = ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


@pytest.fixture(autouse=True)
def device(cupy):
    try:
        return jax.local_devices(backend="gpu")[0]
    except RuntimeError:
        pytest.skip("JAX has no GPU here")


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_have_the_bits_of_the_host(device, dtype):
    made = pj.normal(jax.random.key(7), (301, 7), dtype, out_sharding=SingleDeviceSharding(device))
    assert made.devices() == {device}
    assert np.asarray(made).tobytes() == Stream(7).fill_normal(np.empty((301, 7), jnp.dtype(dtype))).tobytes()


def test_memory_is_of_cupy_and_handed_over_without_a_copy(device):
    new = NewArray((1000, 3), np.dtype(np.float32), SingleDeviceSharding(device))
    [buffer] = new.buffers.values()
    buffer[...] = 1
    assert new.array().unsafe_buffer_pointer() == buffer.data.ptr
    [narrow] = NewArray((3,), np.dtype(jnp.bfloat16), SingleDeviceSharding(device)).buffers.values()
    assert isinstance(narrow, OnGPU)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_program_on_the_gpu_makes_the_same(device, dtype):
    init, scheme = pj.initializers.he_normal(), schemes.he_truncated_normal(layout="in_out")
    key = jax.device_put(jax.random.key(3), device)
    made = jax.jit(lambda key: init(key, (40, 30), dtype))(key)
    assert made.devices() == {device}
    assert np.asarray(made).tobytes() == scheme(np.empty((40, 30), jnp.dtype(dtype)), Stream(3)).tobytes()


def test_a_tree_over_gpus():
    devices = np.array(jax.local_devices(backend="gpu"))
    spread = NamedSharding(jax.sharding.Mesh(devices, ("x",)), P("x"))
    shapes = {dtype: jax.ShapeDtypeStruct((8 * len(devices), 5), dtype) for dtype in DTYPES}
    plan = {"float32": "orthogonal", "*": "normal"}
    made, host = (
        pj.initialize(shapes, 5, plan, where) for where in (spread, SingleDeviceSharding(jax.devices("cpu")[0]))
    )
    for name in shapes:
        assert made[name].sharding == spread
        assert np.asarray(made[name]).tobytes() == np.asarray(host[name]).tobytes()
