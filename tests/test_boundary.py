"""The arguments that a fill accepts and refuses; a refused call touches nothing."""

import array
import ctypes
import math
import mmap
import pickle
import platform
import sys
from fractions import Fraction
from unittest.mock import ANY

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import pyinit
from pyinit import Stream, distributions, initializers
from pyinit._core import array_at


def f32(*shape):
    return np.full(shape or (6,), 7.0, np.float32)


def read_only():
    out = f32()
    out.flags.writeable = False
    return out


# The fill, the array, its parameters; then the error, and the names that its message must have.
BAD = {
    "list": ("normal", lambda: [0.0] * 6, {}, TypeError, "array.*list"),
    "None": ("normal", lambda: None, {}, TypeError, "NoneType"),
    "number": ("normal", lambda: 1.0, {}, TypeError, "float"),
    "class": ("normal", lambda: np.ndarray, {}, TypeError, "type"),
    "bytes": ("bits", lambda: b"01234567", {}, TypeError, "bytes"),
    "NumPy scalar": ("normal", lambda: np.float32(1), {}, TypeError, "float32"),
    "object without memory": ("normal", object, {}, TypeError, "object"),
    "normal in int32": ("normal", lambda: np.full(6, 7, np.int32), {}, TypeError, "float32, float64.*int32"),
    "normal in complex64": ("normal", lambda: np.full(6, 7, np.complex64), {}, TypeError, "complex64"),
    "normal in longdouble": (
        "normal",
        lambda: np.full(6, 7, np.longdouble),
        {},
        TypeError,
        "longdouble|float128|float64",
    ),
    "normal in object": ("normal", lambda: np.full(6, 7, object), {}, TypeError, "object"),
    "normal in swapped bytes": (
        "normal",
        lambda: np.full(6, 7, np.dtype("f4").newbyteorder()),
        {},
        TypeError,
        "native",
    ),
    "uniform in uint32": ("uniform", lambda: np.full(6, 7, np.uint32), {}, TypeError, "uint32"),
    "bits in float32": ("bits", f32, {}, TypeError, "uint32.*float32"),
    "bits in uint64": ("bits", lambda: np.full(6, 7, np.uint64), {}, TypeError, "uint64"),
    "read-only": ("normal", read_only, {}, ValueError, "read-only"),
    "broadcast": ("uniform", lambda: np.broadcast_to(f32(1), (6,)), {}, ValueError, "read-only|one place"),
    "overlapping": ("uniform", lambda: as_strided(f32(6), (3, 4), (4, 4)), {}, ValueError, r"one place.*\(4, 4\)"),
    "std negative": ("normal", f32, {"std": -1e-9}, ValueError, "std.*-1e-09"),
    "std nan": ("normal", f32, {"std": math.nan}, ValueError, "std.*nan"),
    "std inf": ("normal", f32, {"std": math.inf}, ValueError, "std.*inf"),
    "std too large for float32": ("normal", f32, {"std": 1e39}, ValueError, "std.*float32"),
    "std beyond all doubles": ("normal", f32, {"std": 10**400}, ValueError, "std must be finite"),
    "std text": ("normal", f32, {"std": "1"}, TypeError, "std.*str"),
    "std complex": ("normal", f32, {"std": 1j}, TypeError, "std.*complex"),
    "mean nan": ("normal", f32, {"mean": math.nan}, ValueError, "mean.*nan"),
    "mean too large for float32": ("normal", f32, {"mean": -1e39}, ValueError, "mean.*float32"),
    "mean None": ("normal", f32, {"mean": None}, TypeError, "mean.*NoneType"),
    "low above high": ("uniform", f32, {"low": 1.0, "high": 0.5}, ValueError, "low.*above.*1.0.*0.5"),
    "low nan": ("uniform", f32, {"low": math.nan}, ValueError, "finite"),
    "high inf": ("uniform", f32, {"high": math.inf}, ValueError, "finite"),
    "range too wide": ("uniform", f32, {"low": -3e38, "high": 3e38}, ValueError, "high - low"),
    "range too wide once rounded": (
        "uniform",
        f32,
        {"low": -(2.0**127 + 2.0**103 + 2.0**80), "high": 2.0**127 - 2.0**105 + 2.0**102 + 2.0**80},
        ValueError,
        "high - low",
    ),
    "high list": ("uniform", f32, {"high": [1.0]}, TypeError, "high.*list"),
    "no threads": ("normal", f32, {"num_threads": 0}, ValueError, "at least 1.*0"),
    "threads float": ("normal", f32, {"num_threads": 2.0}, TypeError, "num_threads.*float"),
    "threads bool": ("bits", lambda: np.full(6, 7, np.uint32), {"num_threads": True}, TypeError, "num_threads.*bool"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_refused_before_a_byte_is_written(case):
    fill, make, parameters, error, message = case
    stream, out = Stream(1), make()
    before = bytes(out) if isinstance(out, bytes) else np.array(out, copy=True) if hasattr(out, "dtype") else out
    with pytest.raises(error, match=message):
        getattr(stream, f"fill_{fill}")(out, **parameters)
    assert stream == Stream(1)
    if hasattr(out, "dtype"):
        assert np.array_equal(out, before)
    else:
        assert out is before or out == before


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Stream(-1), ValueError, r"seed must be in \[0, 2\*\*64\); got -1"),
        (lambda: Stream(2**64), ValueError, "seed"),
        (lambda: Stream(10**5000), ValueError, "seed.*16610 bits"),
        (lambda: Stream(1.5), TypeError, "seed must be an integer; got float"),
        (lambda: Stream("1"), TypeError, "seed.*str"),
        (lambda: Stream(1, "mt19937"), ValueError, "'philox', 'ars5', 'ars7'; got 'mt19937'"),
        (lambda: Stream(1, 3), TypeError, "generator must be a str"),
        (lambda: Stream(1, id=-1), ValueError, "id"),
        (lambda: Stream(1, position=2**66 + 1), ValueError, r"position must be in \[0, 2\*\*66\]"),
        (lambda: Stream(1, position=-1), ValueError, r"position must be in \[0, 2\*\*66\]"),
        (lambda: Stream(1, position=1.0), TypeError, "position must be an integer; got float"),
        (lambda: Stream(1).skip_ahead(-1), ValueError, "n must be"),
        (lambda: Stream(1).skip_ahead(0.5), TypeError, "n must be an integer"),
        (lambda: Stream(1, position=1).skip_ahead(2**66), ValueError, r"2\*\*66"),
        (lambda: Stream(1).child(3), TypeError, "name must be a str; got int"),
        (lambda: Stream.from_state([]), TypeError, "state must be a dict"),
        (lambda: Stream.from_state({"seed": 1}), ValueError, "keys generator, seed, id, position; got seed"),
        (lambda: Stream(1).normal(3, "int32"), TypeError, "float32, float64"),
        (lambda: Stream(1).normal((2, -1)), ValueError, "negative"),
    ],
)
def test_bad_streams_and_shapes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_range_that_is_a_point_gives_the_point():
    assert set(Stream(1).uniform(100, low=0.1, high=0.1).tolist()) == {float(np.float32(0.1))}
    assert set(Stream(1).uniform(100, np.float64, low=-0.0, high=0.0).tolist()) == {0.0}


def test_std_zero_gives_the_mean():
    assert set(Stream(1).normal(100, mean=2.5, std=0.0).tolist()) == {2.5}


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4), (1, 1, 1, 1)])
def test_shapes(shape):
    out = np.empty(shape, np.float32)
    assert Stream(1).fill_normal(out) is out
    assert out.ravel().tolist() == Stream(1).normal(out.size).tolist()


EXPECTED = Stream(1).normal(6).tolist()


def test_array_array():
    out = array.array("f", [0.0] * 6)
    assert Stream(1).fill_normal(out) is out
    assert out.tolist() == EXPECTED


def test_views_of_bytes(tmp_path):
    memory = bytearray(24)
    Stream(1).fill_normal(memoryview(memory).cast("f"))
    assert np.frombuffer(memory, np.float32).tolist() == EXPECTED
    with mmap.mmap(-1, 24) as pages:
        Stream(1).fill_normal(view := memoryview(pages).cast("f"))
        assert view.tolist() == EXPECTED
        view.release()
    with pytest.raises(TypeError, match="uint8"):
        Stream(1).fill_normal(memory)
    with pytest.raises(ValueError, match="read-only"):
        Stream(1).fill_normal(memoryview(bytes(24)).cast("f"))


def test_ctypes_arrays():
    out = (ctypes.c_float * 6)()
    Stream(1).fill_normal(out)
    assert list(out) == EXPECTED


def test_memmap(tmp_path):
    out = np.memmap(tmp_path / "weights", np.float32, "w+", shape=(2, 3))
    Stream(1).fill_normal(out)
    out.flush()
    assert np.fromfile(tmp_path / "weights", np.float32).tolist() == EXPECTED


def test_array_interface():
    class Exporter:
        def __init__(self):
            self.memory = np.zeros(6, np.float32)
            self.__array_interface__ = self.memory.__array_interface__

    out = Exporter()
    assert Stream(1).fill_normal(out) is out
    assert out.memory.tolist() == EXPECTED


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    out = torch.zeros(2, 3)
    assert Stream(1).fill_normal(out) is out
    assert out.flatten().tolist() == EXPECTED
    parameter = torch.nn.Linear(3, 2).weight
    address = parameter.data_ptr()
    assert Stream(1).fill_normal(parameter) is parameter
    assert parameter.flatten().tolist() == EXPECTED
    assert parameter.data_ptr() == address
    assert parameter.requires_grad
    assert Stream(1).fill_uniform(torch.zeros(6, dtype=torch.float64)).tolist() == Stream(1).uniform(6, "f8").tolist()
    assert Stream(1).fill_normal(torch.zeros(3, 2).T).flatten().tolist() == EXPECTED
    with pytest.raises(ValueError, match="one place"):
        Stream(1).fill_normal(torch.zeros(3).expand(2, 3))
    with pytest.raises(TypeError, match="meta"):
        Stream(1).fill_normal(torch.zeros(3, 2, device="meta"))
    with pytest.raises(TypeError, match="float32, float64"):
        Stream(1).fill_normal(torch.zeros(6, dtype=torch.int64))
    halves = Stream(1).fill_normal(torch.zeros(6, dtype=torch.bfloat16))
    assert halves.tolist() == torch.tensor(EXPECTED).to(torch.bfloat16).tolist()
    with pytest.raises(TypeError, match="resolve_neg"):
        Stream(1).fill_normal(torch.zeros(3, dtype=torch.complex64).conj().imag)
    with torch.inference_mode():
        assert Stream(1).fill_normal(torch.zeros(6)).tolist() == EXPECTED


def test_a_graph_that_needs_the_old_values_says_so():
    torch = pytest.importorskip("torch")
    w, x = torch.nn.Parameter(torch.ones(3)), torch.ones(3, requires_grad=True)
    loss = (w * x).sum()
    Stream(1).fill_normal(w)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_is_refused_is_left_as_it_was(tmp_path):
    path = tmp_path / "text"
    path.write_text("still here")
    with path.open() as file:
        with pytest.raises(TypeError, match="TextIOWrapper"):
            Stream(1).fill_normal(file)
        assert file.read() == "still here"


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="reaches into glibc's fenv_t")
@pytest.mark.parametrize("mxcsr", [0x9FC0, 0x3F80, 0x5F80, 0x7F80], ids=["flush", "down", "up", "to zero"])
def test_the_callers_floating_point_mode_changes_nothing_and_is_kept(tier, generator, mxcsr):
    libm = ctypes.CDLL("libm.so.6")
    fenv = (ctypes.c_uint32 * 8)()  # 28 bytes of the x87's state, then MXCSR
    kinds = [("normal", np.float32), ("normal", np.float64), ("uniform", np.float32), ("uniform", np.float64)]
    # Subnormal results, which flushing would turn into 0, and a range whose bounds and difference need rounding.
    parameters = {"normal": {"std": 1e-40}, "uniform": {"low": -1e-40, "high": 0.1}}
    fills = [(f"fill_{k}", d, parameters[k]) for k, d in kinds] + [
        ("fill_normal", np.float32, {"std": 0.1, "mean": 0.3})
    ]
    for n in (5, 300_000):  # the second takes several threads
        for fill, dtype, keywords in fills:
            expected, out = np.empty(n, dtype), np.empty(n, dtype)
            getattr(Stream(1, generator), fill)(expected, **keywords)
            function, stream = getattr(Stream(1, generator), fill), None
            libm.fegetenv(fenv)
            before, fenv[7] = fenv[7], mxcsr
            libm.fesetenv(fenv)
            function(out, **keywords)
            libm.fegetenv(fenv)
            after, fenv[7] = fenv[7], before
            libm.fesetenv(fenv)
            assert out.tobytes() == expected.tobytes(), (fill, dtype, n, stream)
            assert after & ~0x3F == mxcsr & ~0x3F  # the control bits; Python's own arithmetic may raise flags


def test_isa_errors():
    with pytest.raises(ValueError, match=r"'sse9' is not available; available here: .*scalar"), pyinit.isa.use("sse9"):
        pass
    with pytest.raises(TypeError, match="an instruction set must be a str; got int"), pyinit.isa.use(2):
        pass
    assert pyinit.isa.active() == pyinit.isa.available()[0]


@pytest.mark.parametrize("value", [np.complex64(1), np.array(1j), np.array("0.5"), np.str_("0.5"), 1j, "1", None, []])
def test_a_parameter_is_a_real_number(value):
    with pytest.raises(TypeError, match="std must be a real number; got"):
        Stream(1).normal(3, std=value)


@pytest.mark.parametrize("value", [np.float16(2), np.int8(2), np.array(2.0), True + 1, Fraction(2)])
def test_of_any_real_type(value):
    assert Stream(1).normal(3, std=value).tolist() == Stream(1).normal(3, std=2.0).tolist()


def test_arrays_of_arrays_are_not_made():
    stream = Stream(1)
    with pytest.raises(TypeError, match="dtype must be a scalar dtype"):
        stream.normal(3, np.dtype((np.float32, (2,))))
    assert stream.position == 0


def test_distributions_are_values():
    assert distributions.normal(std=2) == distributions.normal(0, 2.0) != distributions.normal(method="icdf")
    assert distributions.normal() == ANY
    assert distributions.normal() != "normal"
    shown = [distributions.bits(), distributions.normal(1, 2, "icdf"), distributions.truncated_normal(upper=np.inf)]
    for distribution in shown:
        assert pickle.loads(pickle.dumps(distribution)) == distribution
        assert eval(repr(distribution), {**vars(distributions), "inf": np.inf}) == distribution
    assert len({*shown, *shown}) == 3


@pytest.mark.parametrize(("shape", "strides"), [((1,) * 65, (1,) * 65), ((2, 3), (3,)), ((3,), (3, 1))])
def test_arrays_at_an_address_have_a_stride_for_each_of_at_most_64_dimensions(shape, strides):
    with pytest.raises(ValueError, match="at most 64 dimensions, each with a stride"):
        array_at(64, shape, strides, np.dtype(np.float32), True, None)


def test_arrays_at_an_address_know_their_owner_and_how_they_lie_in_memory():
    memory = np.zeros(24, np.float32)
    for shape, strides, shift, flags in (
        ((2, 3), (12, 4), 0, (True, False, True)),
        ((2, 3), (4, 8), 0, (False, True, True)),
        ((2, 3), (24, 4), 0, (False, False, True)),
        ((2, 3), (12, 4), 1, (True, False, False)),
    ):
        found = array_at(memory.ctypes.data + shift, shape, strides, memory.dtype, True, memory)
        assert found.base is memory  # otherwise it would be freed while it is written
        assert (found.flags.c_contiguous, found.flags.f_contiguous, found.flags.aligned) == flags


def test_a_mask_does_not_keep_a_scheme_from_the_array():
    for scheme in (initializers.zeros(), initializers.orthogonal(), initializers.normal()):
        masked = np.ma.array(np.full((2, 2), 9.0, np.float32), mask=[[1, 0], [0, 1]], hard_mask=True)
        scheme(masked, Stream(1))
        assert not (masked.data == 9).any()
