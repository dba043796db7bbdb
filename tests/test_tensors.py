"""Tensors made block by block, and floats of every dtype read bit by bit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyinit import Stream, initializers
from pyinit.arrays import dtype_of
from pyinit.initializers.windows import decode, raw_bits
from pyinit.models.tensors import boxes, convert, drawn, kept

ml_dtypes = pytest.importorskip("ml_dtypes")
NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
FLOATS = (*NARROW, "float32", "float64")
SHAPES = st.lists(st.integers(0, 6), max_size=5).map(tuple)


def peer(name):
    """Return the dtype of that name from NumPy or ml_dtypes."""
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def run(data, shape):
    """A run of a tensor's elements: its begin and end."""
    size = math.prod(shape)
    start = data.draw(st.integers(0, size))
    return start, data.draw(st.integers(start, size))


@given(SHAPES, st.data())
def test_boxes_are_a_run_of_the_tensor_in_order(shape, data):
    start, stop = run(data, shape)
    whole = np.arange(math.prod(shape)).reshape(shape)
    found = list(boxes(shape, start, stop))
    parts = [whole[tuple(slice(o, o + n) for o, n in zip(*box))] for box in found]
    assert all(part.shape == extent and part.size for part, (_, extent) in zip(parts, found))
    assert np.concatenate([np.empty(0, int), *(part.ravel() for part in parts)]).tolist() == list(range(start, stop))
    assert len(found) <= max(1, 2 * len(shape) - 1)  # no more than necessary: one, and two for each further dimension


@given(
    SHAPES,
    st.sampled_from(["normal", "uniform(-1, 2)", "truncated_normal", "constant(0.3)"]),
    st.sampled_from(FLOATS),
    st.data(),
)
def test_any_run_of_a_drawn_tensor_is_that_of_the_whole(shape, scheme, dtype, data):
    start, stop = run(data, shape)
    kind = dtype_of(dtype)
    whole = initializers.scheme(scheme)(np.empty(shape, kind), Stream(3).child("w"))
    tensor = drawn("w", shape, kind, scheme, Stream(3).child("w"))
    out = np.empty(stop - start, kind)
    tensor.fill(out, start, 1)
    assert out.tobytes() == whole.reshape(-1)[start:stop].tobytes()
    assert (tensor.size, tensor.nbytes) == (whole.size, whole.nbytes)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_block_of_a_tensor_that_is_not_splittable_is_that_of_the_whole(dtype):
    kind = dtype_of(dtype)
    whole = initializers.orthogonal()(np.empty((9, 7), kind), Stream(1))
    tensor = drawn("w", (9, 7), kind, "orthogonal", Stream(1))
    assert not tensor.splittable
    out = np.empty((4, 5), kind)
    tensor.make_block(out, (3, 1))
    assert np.array_equal(raw_bits(out), raw_bits(whole)[3:7, 1:6])


@given(st.sampled_from(FLOATS), st.sampled_from(FLOATS))
def test_values_are_made_in_the_native_dtype_and_then_rounded_once(native, dtype):
    kind, other = dtype_of(native), dtype_of(dtype)
    values = initializers.normal()(np.empty(500, kind), Stream(5))
    out = np.empty(500, other)
    drawn("w", (500,), other, "normal", Stream(5), native=kind).fill(out, 0)
    expected = values.view(peer(native)).astype(np.float64).astype(np.float32 if other != np.float64 else np.float64)
    assert out.tobytes() == expected.astype(peer(dtype)).tobytes()


@pytest.mark.parametrize("scheme", ["xavier_normal", "truncated_normal(std=0.02)", "sparse(0.5)", "orthogonal(gain=2)"])
def test_a_drawn_tensor_tells_a_scheme_that_makes_it_again(scheme):
    tensor = drawn("w", (30, 4), np.dtype("f4"), scheme, Stream(0))
    assert initializers.scheme(tensor.scheme) == initializers.scheme(scheme)
    first, again = np.empty((2, 120), np.float32)
    tensor.fill(first, 0)
    drawn("w", (30, 4), np.dtype("f4"), tensor.scheme, Stream(0)).fill(again, 0)
    assert np.array_equal(first, again)


def test_a_function_of_the_users_has_no_scheme_to_tell():
    assert drawn("w", (3, 4), np.dtype("f4"), lambda out, stream, **_: out, Stream(0)).scheme is None


@pytest.mark.parametrize(
    ("scheme", "shape", "error"),
    [("xavier_normal", (3,), "2 dimensions"), ("constant(1e39)", (3,), "at most"), ("nonsense", (3,), "nonsense")],
)
def test_a_scheme_that_does_not_suit_is_an_error_before_anything_is_made(scheme, shape, error):
    with pytest.raises(ValueError, match=error):
        drawn("w", shape, np.dtype("f4"), scheme, Stream(0))


@given(SHAPES, st.sampled_from([*FLOATS, "int64", "bool"]), st.data())
def test_a_kept_tensor_is_its_values(shape, dtype, data):
    start, stop = run(data, shape)
    values = np.random.default_rng(1).integers(0, 2, shape).astype(peer(dtype))
    values = values.view(dtype_of(dtype)) if dtype in FLOATS else values
    out = np.empty(stop - start, values.dtype)
    kept("w", values).fill(out, start)
    assert out.tobytes() == values.tobytes()[start * values.itemsize : stop * values.itemsize]


def test_a_kept_tensor_of_another_dtype_is_rounded():
    values = np.random.default_rng(2).normal(size=(20, 30)).astype(np.float32)
    tensor = kept("w", values, dtype_of("bfloat16"))
    out = np.empty(100, tensor.dtype)
    tensor.fill(out, 250)
    assert out.tobytes() == values.reshape(-1)[250:350].astype(ml_dtypes.bfloat16).tobytes()
    assert tensor.nbytes == 1200


@pytest.mark.parametrize("dtype", NARROW)
def test_all_patterns_of_a_narrow_dtype_are_read_as_ml_dtypes_does(dtype):
    kind = dtype_of(dtype)
    bits = np.arange(1 << 8 * kind.itemsize, dtype=f"u{kind.itemsize}")
    ours, theirs = decode(bits.view(kind)).astype(np.float32), bits.view(peer(dtype)).astype(np.float32)
    np.testing.assert_array_equal(ours, theirs)  # nan equals nan
    number = ~np.isnan(theirs)
    assert np.array_equal(np.signbit(ours[number]), np.signbit(theirs[number]))


@given(
    st.sampled_from(FLOATS),
    st.sampled_from(NARROW),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
)
def test_convert_rounds_as_ml_dtypes_does(source, target, numbers):
    with np.errstate(all="ignore"):
        values = np.array(numbers, np.float32).astype(peer(source))
        values = values[np.abs(values.astype(np.float64)) <= 448]  # beyond this, E4M3 has no infinity
        expected = values.astype(np.float32).astype(peer(target))
    out = np.empty(values.shape, dtype_of(target))
    convert(values.view(dtype_of(source)), out)
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("target", NARROW)
def test_convert_rounds_halves_to_even(target):
    """All numbers of the type, and the midpoints between neighbours."""
    bits = np.arange(1 << 8 * dtype_of(target).itemsize - 1, dtype=f"u{dtype_of(target).itemsize}")
    grid = decode(bits.view(dtype_of(target)))
    grid = grid[np.isfinite(grid)].astype(np.float64)
    values = np.concatenate([grid, (grid[1:] + grid[:-1]) / 2]).astype(np.float32)
    out = np.empty(values.shape, dtype_of(target))
    convert(values, out)
    assert out.tobytes() == values.astype(peer(target)).tobytes()
