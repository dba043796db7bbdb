"""Stored values next to initial ones: equal, rounded to another dtype, scaled or different, and from which element."""

import functools
import math
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, checkpoint, initializers
from pyinit.arrays import dtype_of
from pyinit.models import comparison
from pyinit.models.comparison import Block, compare
from pyinit.models.tensors import boxes, drawn, kept

FLOATS = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
}
SHAPE = (37, 11, 5)
SMALL = 256  # bytes of a block, so that a tensor has many


class Memory(NamedTuple):
    """A stored tensor whose values are in memory."""

    values: np.ndarray

    @property
    def shape(self):
        return self.values.shape

    @property
    def kind(self):
        return self.values.dtype

    problem = None

    def part(self, where, empty):
        return self.values[where]

    def blocks(self, nbytes):
        step = max(1, nbytes // self.values.itemsize)
        for start in range(0, self.values.size, step):
            for offset, shape in boxes(self.shape, start, min(start + step, self.values.size)):
                where = tuple(slice(o, o + n) for o, n in zip(offset, shape))
                yield Block(offset, shape, functools.partial(self.part, where))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(comparison, "BLOCK_BYTES", SMALL)


def tensor(scheme="normal(std=0.02)", seed=3, dtype="float32", shape=SHAPE, native=None):
    return drawn("w", shape, dtype_of(dtype), scheme, Stream(seed).child("w"), native)


def values_of(tensor, dtype="float32"):
    """Return all values of a tensor, in a dtype with arithmetic."""
    out = np.empty(tensor.shape, FLOATS[dtype])
    tensor.make(out, (0,) * out.ndim, 1)
    return out


def verdict(values, expected):
    [row] = compare({"w": Memory(values)}, {"w": expected})
    return row


@pytest.mark.parametrize("scheme", ["normal", "orthogonal", "zeros", "sparse(0.5)", "uniform(-3.0, 3.0)"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_initial_values_are_equal_in_every_dtype(scheme, dtype):
    expected = tensor(scheme, shape=(24, 40))
    assert verdict(values_of(expected, dtype), expected) == ("w", "equal", None, None, None)


@given(place=st.integers(0, math.prod(SHAPE) - 1), others=st.integers(0, 5), seed=st.integers(0, 2**64 - 1))
@settings(deadline=None, max_examples=30)
def test_the_first_difference_the_share_and_the_largest(place, others, seed):
    expected = tensor(seed=seed)
    values = values_of(expected)
    rng = np.random.default_rng(seed)
    places = {place, *rng.integers(place, values.size, others).tolist()}
    change = rng.uniform(1, 2, len(places)).astype(np.float32)
    values.reshape(-1)[sorted(places)] += change
    row = verdict(values, expected)
    assert (row.verdict, row.first) == ("differs", tuple(map(int, np.unravel_index(place, SHAPE))))
    assert row.share == len(places) / values.size
    assert row.largest == pytest.approx(change.max(), rel=1e-6)


def test_minus_zero_and_nan_are_differences_and_a_nan_is_told():
    expected = tensor("zeros")
    values = values_of(expected)
    values[1, 2, 3] = -0.0
    assert (verdict(values, expected).verdict, verdict(values, expected).first) == ("differs", (1, 2, 3))
    values[0, 0, 1] = np.nan
    row = verdict(values, expected)
    assert row.first == (0, 0, 1)
    assert math.isnan(row.largest)


@pytest.mark.parametrize("rounded", FLOATS)
@pytest.mark.parametrize("held", FLOATS)
def test_values_that_were_rounded_before_they_were_stored(rounded, held):
    expected = tensor("normal(std=3.0)")
    with np.errstate(over="ignore"):
        values = values_of(expected, rounded).astype(FLOATS[held])
    own = values_of(expected, held)
    row = verdict(values, expected)
    if values.tobytes() == own.tobytes():
        assert row.verdict == "equal"
    elif np.isfinite(values.astype(np.float32)).all():
        assert row.verdict == f"equal in {rounded}"


def test_a_tensor_of_a_dtype_of_its_own_is_rounded_to_that_of_the_file():
    expected = tensor(native=np.dtype(np.float32))
    assert verdict(values_of(tensor()).astype(ml_dtypes.bfloat16), expected).verdict == "equal in bfloat16"
    assert verdict(values_of(tensor()).astype(np.float64), expected).verdict == "equal in float64"
    assert verdict(values_of(tensor()), expected).verdict == "equal"
    narrow = tensor(dtype="bfloat16", native=dtype_of("bfloat16"))
    assert (
        verdict(values_of(tensor()).astype(ml_dtypes.bfloat16).astype(np.float32), narrow).verdict == "equal in float32"
    )


@pytest.mark.parametrize("half", [slice(0, 18), slice(18, None)])
def test_a_tensor_of_which_a_part_is_rounded_is_not_equal_in_another_dtype(half):
    """Equal blocks alone could not show this: their values do not fit the other dtype."""
    expected = tensor()
    values = values_of(expected)
    values[half] = values[half].astype(ml_dtypes.bfloat16).astype(np.float32)
    assert verdict(values, expected).verdict == "differs"


@given(
    factor=st.floats(-8, 8).filter(lambda x: abs(x) > 0.05 and abs(x - 1) > 0.05),
    dtype=st.sampled_from(["float64", "float32", "float16", "bfloat16"]),
    scheme=st.sampled_from(["normal(std=0.02)", "uniform(0.5, 1.0)", "ones", "sparse(0.5)"]),
)
@settings(deadline=None, max_examples=60)
def test_scaled_values(factor, dtype, scheme):
    expected = tensor(scheme, shape=(60, 50))
    scaled = (values_of(expected, dtype).astype(np.float64) * factor).astype(FLOATS[dtype])
    row = verdict(scaled, expected)
    assert row.verdict.startswith("scaled by ")
    found = float(row.verdict.removeprefix("scaled by "))
    assert found == pytest.approx(
        factor, rel={"float64": 1e-12, "float32": 1e-6, "float16": 3e-3, "bfloat16": 2e-2}[dtype]
    )


@pytest.mark.parametrize(("dtype", "large"), [("float32", 3e38), ("float64", 1e308), ("bfloat16", 3e38)])
def test_numbers_that_are_far_apart(dtype, large):
    expected = drawn("w", (50,), dtype_of(dtype), "uniform(0.0, 1e-30)", Stream(0))
    values = values_of(expected, dtype)
    values[:] = large
    assert verdict(values, expected).verdict == "differs"
    values[7] = np.inf
    assert verdict(values, expected).largest == np.inf


def test_what_is_nearly_scaled_is_not():
    expected = tensor()
    values = values_of(expected) * np.float32(0.5)
    values[20, 5, 2] *= 1.001
    assert verdict(values, expected).verdict == "differs"
    assert verdict(values_of(expected) * np.float32(0.5) + np.float32(0.001), expected).verdict == "differs"
    mixed = values_of(expected)
    mixed[18:] *= np.float32(0.5)
    assert verdict(mixed, expected).verdict == "differs"


def test_another_seed_differs_nearly_everywhere():
    row = verdict(values_of(tensor(seed=4)), tensor())
    assert (row.verdict, row.first) == ("differs", (0, 0, 0))
    assert row.share > 0.999


def test_names_and_shapes(tmp_path):
    rows = list(
        compare(
            {
                "a": Memory(np.ones(3, np.float32)),
                "b": Memory(np.ones(3, np.float32)),
                "c": Memory(np.ones(3, np.int32)),
            },
            {
                "a": drawn("a", (4,), np.dtype("f4"), "ones", Stream(0)),
                "c": drawn("c", (3,), np.dtype("f4"), "ones", Stream(0)),
            },
        )
    )
    assert [row.verdict for row in rows] == [
        "shape (3,), made with (4,)",
        "unexpected",
        "not compared: its dtype is int32, made as float32",
    ]


def test_verify_by_a_plan_names_what_is_missing_and_what_is_unexpected(tmp_path):
    checkpoint.write({n: {"shape": [8, 4], "scheme": "xavier_normal"} for n in ("a", "b.w", "c")}, tmp_path / "m", 5)
    rows = checkpoint.verify(tmp_path / "m", {"a": "xavier_normal", "b.*": "xavier_normal", "z*": "ones"}, 5)
    assert {row.name: row.verdict for row in rows} == {"a": "equal", "b.w": "equal", "c": "unexpected", "z*": "missing"}
    assert not rows.equal
    assert checkpoint.verify(tmp_path / "m", {"*": "xavier_normal"}, 5).equal
    assert not checkpoint.verify(tmp_path / "m", {"*": "xavier_normal"}, 6).equal
    assert checkpoint.verify(tmp_path / "m").equal


def random_pair(seed, dtype):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(40, 30)).astype(FLOATS[dtype])
    after = before.copy()
    after[rng.random(after.shape) < 0.3] += np.asarray(0.25, FLOATS[dtype])
    return before, after


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("seed", [0, 1])
def test_against_has_numpys_numbers(tmp_path, dtype, seed, monkeypatch):
    torch_like = pytest.importorskip("safetensors.numpy")
    before, after = random_pair(seed, dtype)
    same = np.arange(5.0)
    for name, values in (("before", before), ("after", after)):
        torch_like.save_file({"moved": values, "same": same, name: same}, tmp_path / f"{name}.safetensors")
    rows = {
        row.name: row for row in checkpoint.against(tmp_path / "after.safetensors", tmp_path / "before.safetensors")
    }
    assert [rows[n].verdict for n in ("moved", "same", "after", "before")] == [
        "moved",
        "same",
        "only here",
        "only there",
    ]
    apart = np.abs(after.astype(np.float64) - before.astype(np.float64))
    moved = rows["moved"]
    assert moved.mean == pytest.approx(apart.mean(), rel=1e-5)
    assert moved.relative == pytest.approx(apart.mean() / np.abs(before.astype(np.float64)).mean(), rel=1e-5)
    assert moved.share == np.mean(after != before)
    assert moved.largest == pytest.approx(apart.max(), rel=1e-5)


def test_against_compares_dtypes_and_refuses_shapes(tmp_path):
    save = pytest.importorskip("safetensors.numpy").save_file
    values = initializers.normal()(np.empty((6, 4), np.float32), Stream(0)).astype(np.float16)
    save({"w": values, "v": values}, tmp_path / "a.safetensors")
    save({"w": values.astype(np.float64), "v": values.T.copy()}, tmp_path / "b.safetensors")
    rows = {row.name: row.verdict for row in checkpoint.against(tmp_path / "a.safetensors", tmp_path / "b.safetensors")}
    assert rows == {"w": "same", "v": "shape (6, 4), there (4, 6)"}


@pytest.mark.parametrize("dtype", [*FLOATS, "uint32", "int64"])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_number(dtype, shape):
    kind = np.dtype(FLOATS.get(dtype, dtype))
    expected = kept("w", np.full(shape, 3).astype(kind))
    assert verdict(np.full(shape, 3).astype(kind), expected).verdict == "equal"
    row = verdict(np.full(shape, 1).astype(kind), expected)
    assert (row.verdict, row.first, row.share, row.largest) == ("differs", (0,) * len(shape), 1.0, 2.0)


def test_initial_values_that_are_not_finite():
    for first in (np.nan, -np.inf):
        expected = kept("w", np.array([first, 1, 2], np.float32))
        assert verdict(np.array([-1e9, 2, 4], np.float32), expected).verdict == "differs"
        assert verdict(np.array([first, 2, 4], np.float32), expected).verdict == "differs"


class Elsewhere(Memory):
    """A stored tensor on a device, which only reports that a block is equal."""

    def blocks(self, nbytes):
        equal = values_of(tensor())
        for block in super().blocks(nbytes):
            where = tuple(slice(o, o + n) for o, n in zip(block.offset, block.shape))
            same = np.array_equal(equal[where], self.values[where])
            yield block._replace(read=(lambda empty: None) if same else block.read)


@pytest.mark.parametrize("change", [lambda x: x * np.float32(0.5), lambda x: x.astype(np.float16).astype(np.float32)])
def test_blocks_that_are_known_to_be_equal_are_evidence_too(change):
    values = values_of(tensor())
    assert verdict(change(values), tensor()).verdict != "differs"
    values[18:] = change(values[18:])
    [row] = compare({"w": Elsewhere(values)}, {"w": tensor()})
    assert row.verdict == "differs"


def test_a_model_of_float32_is_rounded_and_not_drawn_anew():
    """A uniform bfloat16 is never the upper bound, but a rounded float32 can be."""
    model = tensor("uniform(0.0, 1.0)", dtype="bfloat16", native=np.dtype(np.float32), shape=(200, 300))
    wide = values_of(tensor("uniform(0.0, 1.0)", shape=(200, 300)))
    assert verdict(wide.astype(ml_dtypes.bfloat16), model).verdict == "equal in bfloat16"
    assert model.scheme is None
    assert tensor("normal", dtype="bfloat16", native=np.dtype(np.float32)).scheme is not None


def test_against_infinities(tmp_path):
    save = pytest.importorskip("safetensors.numpy").save_file
    for name, last in (("a", 1.0), ("b", 3.0)):
        save({"w": np.array([-np.inf, np.nan, last], np.float32)}, tmp_path / f"{name}.safetensors")
    [row] = checkpoint.against(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert (row.share, row.largest, row.mean) == (1 / 3, 2.0, pytest.approx(2 / 3))
