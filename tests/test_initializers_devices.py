"""Schemes and plans on device arrays: the bits are the host's, and the host does not wait."""

import numpy as np
import pytest
from cuda_stand_in import OnDevice, host_kernels
from kinds import DTYPES

import pyinit
from pyinit import Stream, initializers
from pyinit.arrays import BFLOAT16
from pyinit.cuda.arrays import CudaArray
from pyinit.initializers.windows import Window

__all__ = ["host_kernels"]

SCHEMES = (
    "constant(0.3)",
    "constant(-0.0)",
    "zeros",
    "uniform(-0.5, 0.5)",
    "normal(0.5, std=0.02)",
    "truncated_normal(std=0.02)",
    "xavier_uniform",
    "kaiming_normal(mode='fan_out', groups=2)",
    "lecun_truncated_normal(layout='in_out')",
    "inverse_fan_in",
    "mup_output(base_width=4)",
    "gpt2_residual(layers=3)",
    "orthogonal(gain=2.0)",
    "delta_orthogonal",
    "identity(gain=3.0)",
    "dirac(groups=2)",
    "sparse(0.4)",
)
FLOATS = {name: dtype for name, dtype in DTYPES.items() if name != "uint32"}


def shape_for(text):
    return (8, 4, 3) if text.startswith(("delta", "dirac")) else (12, 10)


def strided(shape, dtype):
    """Return an array with gaps, from the last element of a larger one to its first."""
    return np.zeros([2 * n for n in shape], dtype)[tuple(slice(None, None, -2) for _ in shape)]


@pytest.mark.parametrize("dtype", FLOATS.values(), ids=FLOATS)
@pytest.mark.parametrize("text", SCHEMES)
def test_every_scheme_gives_a_device_the_bits_of_the_host(host_kernels, text, dtype):
    scheme, shape = initializers.scheme(text), shape_for(text)
    for make in (np.zeros, strided):
        host, there = make(shape, dtype), make(shape, dtype)
        expected, stream = Stream(3), Stream(3)
        scheme(host, expected)
        given = OnDevice(there)
        assert scheme(given, stream) is given
        assert there.tobytes() == host.tobytes()
        assert np.any(host.view(f"u{host.itemsize}")) == (text != "zeros")
        assert stream == expected


@pytest.mark.parametrize("text", SCHEMES)
def test_every_scheme_gives_a_window_on_a_device_its_part(host_kernels, text):
    scheme, shape = initializers.scheme(text), shape_for(text)
    whole = scheme(np.zeros(shape), Stream(3))
    where = (slice(3, 7), slice(1, 4))
    part = np.zeros_like(whole[where])
    scheme(OnDevice(part), Stream(3), global_shape=shape, offset=(3, 1) + (0,) * (len(shape) - 2))
    assert part.tobytes() == whole[where].tobytes()


def test_what_can_be_drawn_on_the_device_is(host_kernels):
    launched, assigned = host_kernels.launched, host_kernels.assigned
    for text in ("uniform", "normal", "truncated_normal", "xavier_normal", "lecun_uniform"):
        initializers.scheme(text)(OnDevice(np.zeros((3, 5), np.float32)), Stream(1))
    assert (host_kernels.launched - launched, host_kernels.assigned - assigned) == (5, 0)


def test_constants_of_integers_and_nothing(host_kernels):
    for dtype in (np.int64, np.uint8, np.bool_):
        counts = np.zeros((2, 3), dtype)
        initializers.ones()(OnDevice(counts), None)
        assert (counts == 1).all()
    empty = OnDevice(np.zeros((0, 4), np.float32), data=(0, False))
    for text in ("zeros", "xavier_normal", "orthogonal"):
        assert initializers.scheme(text)(empty, Stream(0)) is empty


@pytest.mark.parametrize(
    ("changes", "text", "error", "message"),
    [
        ({"data": (4096, True)}, "zeros", ValueError, "out must be writable"),
        ({"strides": (0, 4)}, "identity", ValueError, "no two elements in one place"),
        ({"typestr": "<i4"}, "normal", TypeError, "out must have dtype float32"),
        ({}, "dirac", ValueError, "dirac needs an array of 3, 4 or 5 dimensions"),
        ({"mask": OnDevice(np.zeros(3))}, "zeros", ValueError, "no mask"),
    ],
)
def test_what_a_device_is_refused(changes, text, error, message):
    out, stream = OnDevice(np.full((3, 4), 7, np.float32), **changes), Stream(1)
    with pytest.raises(error, match=message):
        initializers.scheme(text)(out, stream)
    with pytest.raises(error, match=f"'w': .*{message}"):
        pyinit.initialize({"w": out}, 0, {"*": text})
    assert stream.position == 0
    assert (out.array == 7).all()


def model(make):
    """Return parameters large enough to be split between threads, if all were on the host."""
    shapes = {"a.weight": (1500, 1000), "a.bias": (1500,), "b.weight": (10, 1500), "b.bias": (10,), "c": (64, 64)}
    return {name: make(shape, np.float32) for name, shape in shapes.items()}


PLAN = {"*.bias": "zeros", "c": "orthogonal", "b.*": "normal(std=0.02)", "*": "kaiming_uniform"}


def test_a_model_on_a_device_or_partly(host_kernels):
    expected = pyinit.initialize(model(np.zeros), 5, PLAN)
    for names in (list(expected), ["a.weight", "b.bias"], ["a.bias", "b.weight", "c"]):
        arrays = model(lambda shape, dtype: np.full(shape, np.nan, dtype))
        params = {name: OnDevice(array) if name in names else array for name, array in arrays.items()}
        launched = host_kernels.launched
        assert pyinit.initialize(params, 5, PLAN, num_threads=2) is params
        for name, array in arrays.items():
            assert array.tobytes() == expected[name].tobytes(), name
        # One launch for each kernel: uniform samples, normal ones, constants.
        kinds = {"a.weight": "uniform", "b.weight": "normal", "a.bias": "constant", "b.bias": "constant"}
        assert host_kernels.launched - launched == len({kinds[name] for name in names if name in kinds})


def test_shards_and_functions_on_a_device(host_kernels):
    whole = pyinit.initialize({"w": np.zeros((40, 30))}, 5, {"*": "xavier_normal"})["w"]
    part = np.zeros((10, 30))
    pyinit.initialize({"w": OnDevice(part)}, 5, {"*": "xavier_normal"}, shards={"w": ((40, 30), (20, 0))})
    assert part.tobytes() == whole[20:30].tobytes()

    def twice(out, stream, **window):
        stream.fill_normal(out, std=2.0, **window)

    pyinit.initialize({"w": OnDevice(part)}, 5, {"*": twice}, shards={"w": ((40, 30), (20, 0))})
    assert part.tobytes() == Stream(5).child("w").normal((40, 30), np.float64, std=2.0)[20:30].tobytes()


def test_parameters_on_a_device_may_not_share_memory(host_kernels):
    fused = np.zeros((6, 8), np.float32)
    plan = {"*": "normal"}
    columns = {"q": OnDevice(fused[:, :4]), "k": OnDevice(fused[:, 4:]), "on host": np.zeros(3)}
    pyinit.initialize(columns, 0, plan)
    assert fused.all()
    with pytest.raises(ValueError, match=r"'[qk]' and 'all' must not share memory"):
        pyinit.initialize(columns | {"all": OnDevice(fused[3:5])}, 0, plan)
    with pytest.raises(ValueError, match="must not share memory"):
        pyinit.initialize({"w": OnDevice(fused), "tied": OnDevice(fused)}, 0, plan)
    # For BFLOAT16 as well; the same number can be an address on the host and another one on a device.
    half = np.zeros(4, BFLOAT16)
    pyinit.initialize({"first": OnDevice(half[:2]), "second": OnDevice(half[2:])}, 0, plan)
    long = np.zeros(5000, np.float32)
    same = {"here": long, "there": OnDevice(long)}
    assert pyinit.initialize(same, 0, plan) is same


def test_a_window_on_a_device():
    window = Window.of(OnDevice(np.zeros((4, 6), np.float32)), (8, 6), (4, 0))
    assert window.region == (slice(4, 8), slice(0, 6))
    assert window.place == ((8, 6), (4, 0))


def test_empty_arrays_on_a_device_need_no_memory(host_kernels, monkeypatch):
    monkeypatch.setattr(CudaArray, "queue", property(lambda array: pytest.fail("asked for the queue of nothing")))
    empty = OnDevice(np.zeros((0, 4), np.float32), data=(0, False))
    assert pyinit.initialize({"w": empty}, 0, {"*": "normal"})["w"] is empty
    part = OnDevice(np.zeros((0, 4), np.float32), data=(0, False))
    pyinit.initialize({"w": part}, 0, {"*": "normal"}, shards={"w": ((8, 4), (2, 0))})
    with pytest.raises(TypeError, match="'w': out must have dtype"):
        pyinit.initialize({"w": OnDevice(np.zeros((0, 4), np.int16), data=(0, False))}, 0, {"*": "normal"})
