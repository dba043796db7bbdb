"""float16, bfloat16 and float8: the float32 samples rounded to nearest even, and each value with its probability."""

import math

import ml_dtypes
import numpy as np
import pytest
import reference
import scipy.stats
from quality.evidence import SEED

from pyinit import Stream, _core
from pyinit.arrays import BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2, dtype_of
from pyinit.distributions import normal, truncated_normal, uniform
from pyinit.initializers import scheme

ALPHA = 1e-9
# The reference rounding: NumPy's and ml_dtypes'.
PEERS = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}
DISTRIBUTIONS = {
    "uniform": uniform(-1.1, 2.3),
    "normal": normal(0.3, 1.7),
    "icdf": normal(method="icdf"),
    "centre": truncated_normal(lower=-1.5),
    "tail": truncated_normal(lower=6.0, upper=math.inf),
    "narrow": truncated_normal(lower=1.0, upper=1.01),
    "subnormal": normal(std=3e-6),
}
each_type = pytest.mark.parametrize("dtype", PEERS)


def bits(x):
    return x.view(f"u{x.itemsize}")


def numbers(x, dtype):
    """Return samples as float64."""
    with np.errstate(all="ignore"):
        return bits(x).view(PEERS[dtype]).astype(np.float64)


def rounded(x, dtype):
    """Round float32 numbers with the type's own package, and return them as float64."""
    with np.errstate(all="ignore"):
        return x.astype(PEERS[dtype]).astype(np.float64)


def values(dtype):
    """Return all finite values that are not negative, in order."""
    size = np.dtype(PEERS[dtype]).itemsize
    positive = numbers(np.arange(1 << (8 * size - 1)).astype(f"u{size}"), dtype)
    return positive[np.isfinite(positive)]


def draw(stream, distribution, n, dtype):
    return stream.fill(np.empty(n, dtype_of(dtype)), distribution)


def outermost(distribution, dtype):
    """Return the first and the last value between the bounds of a uniform or truncated distribution."""
    p = distribution.parameters
    if distribution.sampler == "uniform":
        low, high = np.float32(p["low"]), np.nextafter(np.float64(np.float32(p["high"])), -math.inf)
    elif distribution.sampler == "truncated_normal":
        low, high = (np.float64(np.float32(p["mean"])) + np.float32(p["std"]) * p[b] for b in ("lower", "upper"))
    else:
        return -math.inf, math.inf
    x = np.concatenate([-values(dtype)[::-1], values(dtype)])
    inside = x[(x >= low) & (x <= high)]
    return (inside[0], math.inf if high == math.inf else inside[-1]) if len(inside) else (None, None)


@each_type
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_samples_are_the_floats_rounded_and_within_the_bounds(tier, generator, name, dtype):
    distribution = DISTRIBUTIONS[name]
    first, last = outermost(distribution, dtype)
    for position, n in ((0, 100_000), (3, 1), (1, 2), (2, 3), (5, 4099), (7, 61)):
        wide = draw(Stream(3, generator, position=position), distribution, n, "float32")
        stream = Stream(3, generator, position=position)
        x = numbers(draw(stream, distribution, n, dtype), dtype)
        if first is None:  # there is no value between the bounds
            assert len(set(x.tolist())) == 1
        else:
            assert np.array_equal(x, np.clip(rounded(wide, dtype), first, last), equal_nan=True)
        assert stream.position == reference.claim(position, distribution.sampler, dtype, n)[1]


@each_type
def test_high_is_never_drawn_nor_what_is_below_low(tier, dtype):
    """Rounding alone would give 1.0 with half of the last place's probability."""
    n, led_out = 1 << 22, False
    for low, high in ((0.0, 1.0), (-0.1, 0.1), (0.3, 7.7), (1.0, 1.26)):
        distribution = uniform(low, high)
        x = numbers(draw(Stream(SEED), distribution, n, dtype), dtype)
        first, last = outermost(distribution, dtype)
        assert np.float32(low) <= first == x.min()
        assert x.max() == last < np.float32(high)
        wide = rounded(draw(Stream(SEED), distribution, n, "float32"), dtype)
        led_out |= wide.min() < low or wide.max() >= high
    assert led_out


@each_type
@pytest.mark.parametrize("std", [65504.0, 30000.0, 300.0, 1e-1, 1e-4, 3e-6, 1e-7, 1e-8, 0.0])
def test_overflow_and_subnormals(tier, dtype, std):
    largest = _core.DTYPES[dtype].largest
    if std > largest:
        pytest.skip("the type does not hold that std")
    wide = Stream(3).normal(100_000, std=std)
    x = numbers(Stream(3).normal(100_000, dtype, std=std), dtype)
    assert np.array_equal(x, rounded(wide, dtype), equal_nan=True)
    beyond = np.abs(wide) > largest * (1 + 2.0 ** -_core.DTYPES[dtype].digits)
    assert (np.isnan(x) if dtype == "float8_e4m3fn" else np.isinf(x))[beyond].all()


@pytest.mark.parametrize("std", [2e37, 1e-38, 3e-39, 1e-40])
@pytest.mark.parametrize("mean", [0.0, 3.3e38])
def test_overflow_and_subnormals_of_bfloat16(tier, mean, std):
    wide = Stream(3).normal(100_000, mean=mean, std=std)
    x = numbers(Stream(3).normal(100_000, "bfloat16", mean, std), "bfloat16")
    assert np.array_equal(x, rounded(wide, "bfloat16"))
    assert np.isinf(x).any() == (mean > 0 and std > 1)


@each_type
def test_ties_go_to_even(tier, dtype):
    """Midway between two values, normal and subnormal; also in uniform samples of halves, which have some ties."""
    half = 2.0 ** -_core.DTYPES[dtype].digits
    least = 2.0 ** _core.DTYPES[dtype].least
    for middle, even in (
        (1 + half, 1.0),
        (1 + 3 * half, 1 + 4 * half),
        (1.5 * least, 2 * least),
        (2.5 * least, 2 * least),
    ):
        if middle < 2.0**-126:  # float32 holds this with fewer bits
            continue
        for sign in (1, -1):
            assert set(numbers(Stream(1).normal(37, dtype, sign * middle, 0.0), dtype)) == {sign * even}
    if dtype in ("float16", "bfloat16"):
        low = 1 / half
        wide = Stream(3).uniform(1 << 21, low=low, high=2 * low)
        odd = np.flatnonzero((np.mod(wide, 2.0) == 1.0) & (wide < 2 * low - 1))
        assert len(odd) > 10
        assert not (bits(Stream(3).uniform(1 << 21, dtype, low, 2 * low))[odd] & 1).any()


@each_type
@pytest.mark.parametrize("value", [1.0, 448.0, 2.0**-24, 2.0**-25, 2.0**-26, 6.1e-5, 1.5 * 2.0**-24, 0.1, 0.0078])
def test_a_value_is_rounded_as_the_reference_rounds_it(tier, dtype, value):
    for sign in (1, -1):
        x = Stream(1).normal(37, dtype, sign * value, 0.0)
        assert set(bits(x).tolist()) == {reference.bits(float(np.float32(sign * value)), dtype)}


@each_type
def test_the_reference_rounds_as_the_types_own_package(dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x[np.isfinite(x)], np.float32(2.0) ** rng.integers(-30, 20, 500) * rng.integers(0, 9, 500) / 4])
    with np.errstate(all="ignore"):
        expected = bits(x.astype(np.float32).astype(PEERS[dtype]))
    assert [reference.bits(float(v), dtype) for v in x.astype(np.float32)] == expected.tolist()
    assert _core.rounded(x, dtype_of(dtype)).view(expected.dtype).tolist() == expected.tolist()


# The probability of each value.


def chi2_of_values(x, dtype, cdf, least=200):
    """Chi-squared over the values of samples of a dtype, the rare ones pooled with their neighbours."""
    positive = values(dtype)
    all_values = np.concatenate([-positive[:0:-1], positive])
    edges = (all_values[1:] + all_values[:-1]) / 2
    count = np.bincount(bits(x), minlength=1 << (8 * x.itemsize))
    plus, minus = count[: len(positive)], count[len(count) // 2 :][: len(positive)]
    observed = np.concatenate([minus[:0:-1], [minus[0] + plus[0]], plus[1:]])
    # From half a place beyond the last value on, samples are infinite or nan.
    top = all_values[-1] + (all_values[-1] - edges[-1])
    below, above = cdf(np.array([-top, top]))
    expected = observed.sum() * np.diff(np.concatenate([[below], cdf(edges), [above]])) / (above - below)
    cell = np.floor(np.cumsum(expected) / least).astype(np.int64)  # the values of a cell are neighbours
    cell = np.unique(cell, return_inverse=True)[1]
    expected, observed = np.bincount(cell, expected), np.bincount(cell, observed)
    observed, expected = observed[expected > 20], expected[expected > 20]
    assert len(observed) > 20
    chi2 = np.sum((observed - expected) ** 2 / expected)
    return 2 * min(scipy.special.chdtrc(len(observed) - 1, chi2), scipy.special.chdtr(len(observed) - 1, chi2))


LAWS = {
    "normal": scipy.stats.norm(0.3, 1.7),
    "icdf": scipy.stats.norm(),
    "subnormal": scipy.stats.norm(0, 3e-6),
    "centre": scipy.stats.truncnorm(-1.5, 2.0),
}


@each_type
@pytest.mark.parametrize("name", LAWS)
def test_each_value_has_its_probability(generator, name, dtype):
    if (name, np.dtype(PEERS[dtype]).itemsize) == ("subnormal", 1):
        pytest.skip("of so small ones float8 has but a few values")
    x = draw(Stream(SEED, generator), DISTRIBUTIONS[name], 10_000_000, dtype)
    assert chi2_of_values(x, dtype, LAWS[name].cdf) > ALPHA


@each_type
def test_the_values_at_the_ends_of_a_uniform(generator, dtype):
    """The last value also gets samples that round to `high`; the first also gets those that round below `low`."""
    n, distribution = 10_000_000, uniform(-1.1, 2.3)
    x = numbers(draw(Stream(SEED, generator), distribution, n, dtype), dtype)
    all_values = np.concatenate([-values(dtype)[:0:-1], values(dtype)])
    for value, inwards in zip(outermost(distribution, dtype), (1, -1)):
        at = int(np.searchsorted(all_values, value))
        edge = (all_values[at] + all_values[at + inwards]) / 2
        share = ((edge + 1.1) if inwards > 0 else (2.3 - edge)) / 3.4
        assert abs((x == value).sum() - n * share) < 6 * math.sqrt(n * share)


@each_type
def test_wrong_rounding_is_noticed(dtype):
    std = 3e-6 if dtype == "float16" else 1.0  # among subnormals, float16 is as coarse as bfloat16
    wide = Stream(SEED).normal(2_000_000, std=std)
    cdf, size, all_values = scipy.stats.norm(0, std).cdf, np.abs(wide.astype(np.float64)), values(dtype)
    for side, step in (("right", -1), ("left", 0)):  # towards 0, away from it
        x = np.copysign(all_values[np.searchsorted(all_values, size, side) + step], wide)
        assert chi2_of_values(x.astype(PEERS[dtype]), dtype, cdf) < ALPHA
    assert chi2_of_values(wide.astype(PEERS[dtype]), dtype, cdf) > ALPHA


# The libraries with such types.


@pytest.mark.parametrize("dtype", [d for d in PEERS if d != "float16"])
def test_ml_dtypes(tier, dtype):
    peer = PEERS[dtype]
    out = np.zeros((30, 7), peer)
    assert Stream(1).fill_normal(out) is out
    expected = Stream(1).normal((30, 7)).astype(peer)
    assert out.tobytes() == expected.tobytes()
    assert Stream(1).normal((30, 7), peer).tobytes() == expected.tobytes()
    assert Stream(1).normal((30, 7), dtype).tobytes() == expected.tobytes()
    strided = np.zeros((7, 60), peer)[:, ::2].T
    assert Stream(1).fill_normal(strided).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [d for d in PEERS if d != "float16"])
@pytest.mark.parametrize("text", ["orthogonal(1.3)", "delta_orthogonal(1.3)", "identity(1.3)", "dirac", "sparse(0.3)"])
def test_schemes_whose_values_are_encoded(text, dtype):
    shape = (6, 4, 3) if text in ("delta_orthogonal(1.3)", "dirac") else (6, 4)
    expected = scheme(text)(np.zeros(shape, np.float32), Stream(1)).astype(PEERS[dtype])
    for kind in (PEERS[dtype], dtype_of(dtype)):
        assert scheme(text)(np.zeros(shape, kind), Stream(1)).tobytes() == expected.tobytes()


def test_the_records_have_names():
    assert [t.names for t in (BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2)] == [
        ("bfloat16",),
        ("float8_e4m3fn",),
        ("float8_e5m2",),
    ]


@pytest.mark.parametrize("name", ["float8_e4m3", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "int4"])
def test_other_small_types_are_refused(name):
    out = np.zeros(5, getattr(ml_dtypes, name))
    with pytest.raises(TypeError, match=f"in native byte order; got {name}"):
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
        np.dtype([("float8_e5m2", np.int8)]),
    ],
    ids=str,
)
def test_what_only_looks_like_one_is_refused(dtype):
    out = np.zeros(5, dtype)
    with pytest.raises(TypeError, match="out must have dtype"):
        Stream(1).fill_normal(out)
    assert not np.frombuffer(out.tobytes(), np.uint8).any()


@each_type
def test_torch(tier, dtype):
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    expected = Stream(1).normal((30, 7), dtype)

    def raw(tensor):
        return tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()

    out = torch.zeros(30, 7, dtype=kind)
    assert Stream(1).fill_normal(out) is out
    assert raw(out) == expected.tobytes()
    if dtype != "float8_e4m3fn":  # torch rounds too large values differently for this type
        assert torch.equal(out.float(), torch.from_numpy(Stream(1).normal((30, 7))).to(kind).float())
    assert raw(Stream(1).fill_normal(torch.zeros(7, 60, dtype=kind)[:, ::2].T)) == expected.tobytes()
    assert raw(Stream(1).fill_normal(torch.nn.Parameter(torch.zeros(30, 7, dtype=kind), requires_grad=False))) == raw(
        out
    )


@each_type
@pytest.mark.parametrize("parameters", [{"std": 7e4}, {"mean": -7e4}, {"std": -1.0}, {"std": math.nan}])
def test_parameters_have_to_fit(dtype, parameters):
    out = np.zeros(5, dtype_of(dtype))
    if dtype == "bfloat16" and abs(sum(parameters.values())) > 1e4:
        parameters = {name: 5e33 * value for name, value in parameters.items()}
    with pytest.raises(ValueError, match=next(iter(parameters))):
        Stream(1).fill_normal(out, **parameters)
    assert not bits(out).any()
