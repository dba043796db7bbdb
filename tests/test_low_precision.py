"""float16 and bfloat16: the float32 samples, rounded to nearest even, and each value with its exact probability."""

import math

import numpy as np
import pytest
import reference
import scipy.stats
from evidence import SEED

from pyinit import Stream
from pyinit.arrays import BFLOAT16

ALPHA = 1e-9
HALVES = ("float16", "bfloat16")
FILLS = {
    "uniform": ("uniform", {"low": -1.0, "high": 2.0}),
    "normal": ("normal", {"mean": 0.5, "std": 2.0}),
    "icdf": ("normal", {"method": "icdf"}),
    "centre": ("truncated_normal", {"lower": -1.5}),
    "far": ("truncated_normal", {"lower": 6.0, "upper": math.inf}),
    "narrow": ("truncated_normal", {"lower": 1.0, "upper": 1.01}),
    "subnormal": ("normal", {"std": 3e-6}),
}


def dtype_of(half):
    return np.dtype("f2") if half == "float16" else BFLOAT16


def patterns(x):
    return x.view(np.uint16)


def rounded(x, half):
    """The bits of float32 numbers rounded to nearest even: by NumPy, and by half a unit on integers for bfloat16."""
    if half == "float16":
        with np.errstate(over="ignore", under="ignore"):
            return patterns(x.astype(np.float16))
    bits = x.view(np.uint32).astype(np.uint64)
    lower, rest = bits >> 16, bits & 0xFFFF
    return (lower + ((rest > 0x8000) | ((rest == 0x8000) & (lower & 1 == 1)))).astype(np.uint16)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", FILLS)
def test_halves_are_the_floats_rounded(tier, generator, name, half):
    method, parameters = FILLS[name]
    for position, n in ((0, 100_000), (3, 1), (1, 2), (2, 3), (5, 4099), (7, 61)):
        wide = getattr(Stream(3, generator, position=position), method)(n, np.float32, **parameters)
        stream = Stream(3, generator, position=position)
        x = getattr(stream, method)(n, dtype_of(half), **parameters)
        assert np.array_equal(patterns(x), rounded(wide, half))
        assert stream.position == position + n


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("std", [65504.0, 30000.0, 1e-4, 3e-6, 1e-7, 1e-8, 0.0])
def test_overflow_and_subnormals(tier, half, std):
    wide = Stream(3).normal(100_000, np.float32, 0.0, std)
    x = Stream(3).normal(100_000, dtype_of(half), 0.0, std)
    assert np.array_equal(patterns(x), rounded(wide, half))
    magnitudes = patterns(x) & 0x7FFF
    if half == "float16":
        assert (magnitudes == 0x7C00).any() == (std > 2e4)
        assert ((magnitudes > 0) & (magnitudes < 0x400)).any() == (1e-8 < std < 1e-3) or std == 1e-8


@pytest.mark.parametrize("std", [3.3e38, 1e38, 1e-38, 3e-39, 1e-40])
def test_overflow_and_subnormals_of_bfloat16(tier, std):
    wide = Stream(3).normal(100_000, np.float32, 0.0, std)
    x = patterns(Stream(3).normal(100_000, BFLOAT16, 0.0, std))
    assert np.array_equal(x, rounded(wide, "bfloat16"))
    assert ((x & 0x7FFF) == 0x7F80).any() == (std > 5e37)
    assert ((x & 0x7FFF > 0) & (x & 0x7FFF < 0x80)).any() == (std < 1e-36)


@pytest.mark.parametrize("half", HALVES)
def test_ties_go_to_even(tier, half):
    """Uniform samples of few bits, of which many lie in the middle of two values."""
    low, high = (2048.0, 4096.0) if half == "float16" else (256.0, 512.0)  # where values are 2 apart
    n = 1 << 21
    wide = Stream(3).uniform(n, np.float32, low, high)
    x = Stream(3).uniform(n, dtype_of(half), low, high)
    ties = np.flatnonzero(rounded(wide, half) != rounded(np.nextafter(wide, np.float32(0)), half))
    assert np.array_equal(patterns(x), rounded(wide, half))
    odd = np.flatnonzero(np.mod(wide, 2.0) == 1.0)
    assert len(odd) > 10
    assert len(ties) > 10
    assert not (patterns(x)[odd] & 1).any()


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("value", [1.0, 65504.0, 2.0**-24, 2.0**-25, 2.0**-26, 6.1e-5, 1.5 * 2.0**-24, 0.1])
def test_a_value_is_rounded_as_the_reference_rounds_it(tier, half, value):
    for sign in (1, -1):
        x = Stream(1).normal(37, dtype_of(half), sign * value, 0.0)
        exact = float(np.float32(sign * value))
        assert set(patterns(x).tolist()) == {reference.half_bits(exact, half)}


def test_the_reference_rounds_as_numpy_does():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x[np.isfinite(x)], np.float32(2.0) ** rng.integers(-30, 20, 500) * rng.integers(0, 9, 500) / 4])
    x = x.astype(np.float32)
    for half in HALVES:
        assert [reference.half_bits(float(v), half) for v in x] == rounded(x, half).tolist()


# The probability of each value.


def values_and_edges(half):
    """All finite values in order, and the middles between them, where rounding goes from one to the next."""
    bits = np.arange(0x7C00 if half == "float16" else 0x7F80, dtype=np.uint32)
    if half == "float16":
        positive = bits.astype(np.uint16).view(np.float16).astype(np.float64)
    else:
        positive = (bits << 16).view(np.float32).astype(np.float64)
    x = np.concatenate([-positive[:0:-1], positive])
    return x, (x[1:] + x[:-1]) / 2


def chi2_of_values(samples, half, cdf, least=200):
    """Chi-squared over the values, the rare ones pooled with their neighbours."""
    x, edges = values_and_edges(half)
    counts = np.bincount(patterns(samples), minlength=1 << 16)
    positive = len(x) // 2
    order = np.concatenate([0x8000 + np.arange(positive, 0, -1), [0], np.arange(1, positive + 1)])
    observed = counts[order]
    observed[positive] += counts[0x8000]  # -0 is 0
    p = np.diff(np.concatenate([[0], cdf(edges), [1]]))
    expected = len(samples) * p
    cell = np.floor(np.cumsum(expected) / least).astype(np.int64)  # values of one cell are neighbours
    cell = np.unique(cell, return_inverse=True)[1]
    expected, observed = np.bincount(cell, expected), np.bincount(cell, observed)
    observed, expected = observed[expected > 20], expected[expected > 20]
    assert len(observed) > 100
    chi2 = np.sum((observed - expected) ** 2 / expected)
    return 2 * min(scipy.special.chdtrc(len(observed) - 1, chi2), scipy.special.chdtr(len(observed) - 1, chi2))


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ["normal", "icdf", "centre", "subnormal"])
def test_each_value_has_its_probability(generator, name, half):
    method, parameters = FILLS[name]
    n = 10_000_000
    samples = getattr(Stream(SEED, generator), method)(n, dtype_of(half), **parameters)
    law = {
        "normal": scipy.stats.norm(0.5, 2.0),
        "icdf": scipy.stats.norm(),
        "subnormal": scipy.stats.norm(0, 3e-6),
        "centre": scipy.stats.truncnorm(-1.5, 2.0),
    }[name]
    assert chi2_of_values(samples, half, law.cdf) > ALPHA


@pytest.mark.parametrize("half", HALVES)
def test_wrong_rounding_is_noticed(half):
    std = 3e-6 if half == "float16" else 1.0  # in subnormals float16 is as coarse
    wide = Stream(SEED).normal(10_000_000, std=std)
    x = wide.view(np.uint32)
    cdf = scipy.stats.norm(0, std).cdf
    # Towards 0, and away from it.
    if half == "bfloat16":
        cut = (x >> 16).astype(np.uint16)
        up = ((x >> 16) + 1).astype(np.uint16)
    else:
        near = wide.astype(np.float16)
        over = np.abs(near.astype(np.float32)) > np.abs(wide)
        cut = (patterns(near) - over).astype(np.uint16)
        up = (cut + 1).astype(np.uint16)
    assert chi2_of_values(cut, half, cdf) < ALPHA
    assert chi2_of_values(up, half, cdf) < ALPHA
    assert chi2_of_values(rounded(wide, half), half, cdf) > ALPHA


# Who has such types.


def test_ml_dtypes(tier):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    out = np.zeros((30, 7), ml_dtypes.bfloat16)
    assert Stream(1).fill_normal(out) is out
    expected = Stream(1).normal((30, 7)).astype(ml_dtypes.bfloat16)
    assert out.tobytes() == expected.tobytes()
    assert Stream(1).normal((30, 7), ml_dtypes.bfloat16).tobytes() == expected.tobytes()
    assert Stream(1).normal((30, 7), BFLOAT16).tobytes() == expected.tobytes()
    strided = np.zeros((7, 60), ml_dtypes.bfloat16)[:, ::2].T
    assert Stream(1).fill_normal(strided).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "int4"])
def test_other_small_types_are_refused(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    out = np.zeros(5, getattr(ml_dtypes, name))
    with pytest.raises(TypeError, match=f"bfloat16 in native byte order; got {name}"):
        Stream(1).fill_normal(out)


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("bfloat16", np.uint32)]),
        np.dtype([("half", np.uint16)]),
        np.dtype("u2"),
        np.dtype("f2").newbyteorder(),
        np.dtype([("bfloat16", np.dtype("u2").newbyteorder())]),
        np.dtype([("bfloat16", np.uint8), ("rest", np.uint8)]),
        np.dtype([("bfloat16", np.int16)]),
    ],
    ids=str,
)
def test_what_only_looks_like_one_is_refused(dtype):
    out = np.zeros(5, dtype)
    with pytest.raises(TypeError, match="out must have dtype"):
        Stream(1).fill_normal(out)
    assert not np.frombuffer(out.tobytes(), np.uint8).any()


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_torch_halves(tier, name):
    torch = pytest.importorskip("torch")
    dtype = getattr(torch, name)
    out = torch.zeros(30, 7, dtype=dtype)
    assert Stream(1).fill_normal(out) is out
    expected = torch.from_numpy(Stream(1).normal((30, 7))).to(dtype)
    assert torch.equal(out, expected)
    transposed = torch.zeros(7, 60, dtype=dtype)[:, ::2].T
    assert torch.equal(Stream(1).fill_normal(transposed), expected)
    parameter = torch.nn.Parameter(torch.zeros(30, 7, dtype=dtype))
    assert torch.equal(Stream(1).fill_normal(parameter).data, expected)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("parameters", [{"std": 7e4}, {"mean": -7e4}, {"std": -1.0}, {"std": math.nan}])
def test_parameters_have_to_fit(half, parameters):
    out = np.zeros(5, dtype_of(half))
    if half == "bfloat16" and abs(sum(parameters.values())) > 1e4:
        parameters = {name: 5e33 * value for name, value in parameters.items()}
    with pytest.raises(ValueError, match=next(iter(parameters))):
        Stream(1).fill_normal(out, **parameters)
