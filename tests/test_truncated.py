"""Truncated normals: the right distribution on every interval, and monotone in the word."""

import mpmath
import numpy as np
import pytest
import scipy.stats
from mpmath import mpf
from quality import evidence
from quality.evidence import SEED
from truncated_cases import (
    ALPHA,
    DTYPES,
    FAR,
    INF,
    INTERVALS,
    NARROW,
    STRADDLING,
    WIDE,
    above,
    bits,
    probabilities,
    some_words,
)

from pyinit import Stream


def quantile(lower, upper, u, guess):
    """Return x with P(lower < X < x) = u P(lower < X < upper), by Newton's method, in the smaller tail."""
    # With tails above 0: an interval below 0 is mirrored.
    if upper <= 0:
        return -quantile(-upper, -lower, 1 - u, -guess)
    if lower >= 0:
        p = above(mpf(lower)) - u * (above(mpf(lower)) - above(mpf(upper)))
    else:
        p = above(mpf(lower)) * (1 - u) + above(mpf(upper)) * u
        if p > 0.5:
            return -quantile(-upper, -lower, 1 - u, -guess)
    x = mpf(guess)
    for _ in range(100):
        density = mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)
        now = above(x)
        step = (now * mpmath.log(now / p) if x > 1 else now - p) / density
        x += step
        if abs(step) < mpf(10) ** -40 * abs(x) + mpf(10) ** -90:
            return x
    raise AssertionError("no convergence")


# In units of 2^-24 or 2^-53: relative to the larger of the sample and `floor` of the interval's ends.
BOUNDS = {
    ("centre", "float32"): 4.5,
    ("tail", "float32"): 2,
    ("narrow", "float32"): 1.5,
    ("centre", "float64"): 16,
    ("narrow", "float64"): 2,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), INTERVALS)
def test_samples_are_quantiles(core, lower, upper, dtype):
    words = some_words(dtype, 6)
    if lower < 0 < upper and upper - lower > 1e-6:  # and around the sample 0
        below = scipy.special.ndtr(lower)
        crossing = int((0.5 - below) / (scipy.special.ndtr(upper) - below) * 2.0 ** bits(dtype))
        words += [w for w in range(crossing - 3, crossing + 4) if 0 <= w < 2 ** bits(dtype)]
    samples, method = core.samples("truncated_normal", (0, 1, lower, upper), words, dtype)
    # If its probability is below 2^-33, the outermost word of a float32 gives the sample of twice that probability.
    unit = mpf(2) ** (-53 if dtype == "float64" else -24)
    scale = max(abs(lower), abs(upper)) + upper - lower if method == "narrow" else 0
    with mpmath.workdps(100):
        for word, sample in zip(words, samples, strict=True):
            exact = quantile(lower, upper, (word + mpf(1) / 2) / 2 ** bits(dtype), sample)
            # Around the median the samples are as fine as the words; float64's are not quite.
            size = max(abs(exact), scale, (upper - lower if upper - lower < 1 else 1) if dtype == "float64" else 2e-9)
            coarse = method == "tail" and min(abs(lower), abs(upper)) < 1
            bound = BOUNDS["centre" if coarse or method == "icdf" else method, dtype] * unit * size
            if abs(sample - exact) > bound:
                assert (method in ("centre", "tail"), dtype, min(word, 2**32 - 1 - word)) == (True, "float32", 0)
                inner = quantile(lower, upper, abs((word > 0) - mpf(2) ** -32), sample)
                assert min(mpf(6.337), abs(inner) - bound) <= abs(sample) < abs(exact)


def test_each_way_is_taken(core):
    ways = {
        core.samples("truncated_normal", (0, 1, *interval), [0], dtype)[1] for interval in INTERVALS for dtype in DTYPES
    }
    assert ways == {"icdf", "centre", "tail", "narrow"}


def failures(p):
    """Test numbers that should be uniform: chi-squared in 256 cells, Kolmogorov-Smirnov, and the mean."""
    p = np.clip(p, 0, 1)
    found = {
        "chi2": evidence.of_cells(evidence.cell_counts(p, 256)),
        "D": evidence.of_ks(p),
        "mean": evidence.of_z((p.mean() - 0.5) * np.sqrt(12 * len(p))),
    }
    return {name: value for name, value in found.items() if not value >= ALPHA}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), WIDE + FAR)
def test_wide_and_far_intervals_against_scipy(generator, lower, upper, dtype):
    x = Stream(SEED, generator).truncated_normal(2**17, dtype, lower=lower, upper=upper)
    assert not failures(probabilities(x, lower, upper))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "width"), NARROW)
def test_narrow_intervals(lower, width, dtype):
    # The mean moves the lower bound to 0, or there would be few numbers; the density is like exp(-lower x - x^2/2).
    upper = lower + width
    x = Stream(SEED).truncated_normal(2**17, dtype, -lower, 1, lower, upper).astype(np.float64)
    h = upper - lower
    assert x.min() >= 0
    assert x.max() <= h
    slope = lower + h / 2
    assert not failures(np.expm1(-slope * x) / np.expm1(-slope * h) if slope * h else x / h)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), STRADDLING)
def test_intervals_around_the_median(lower, upper, dtype):
    x = Stream(SEED, "ars5").truncated_normal(2**17, dtype, lower=lower, upper=upper)
    linear = upper - lower < 0.01
    assert not failures((x.astype(np.float64) - lower) / (upper - lower) if linear else probabilities(x, lower, upper))
    assert lower <= x.min()
    assert x.max() <= upper


def test_wrong_samplers_are_noticed():
    z = Stream(SEED).normal(2**18, method="icdf")
    assert failures(probabilities(np.clip(z, -2, 2), -2, 2))  # clamped
    assert failures(probabilities(z[abs(z) < 1.95], -2, 2))  # rejected beyond a wrong bound
    x = Stream(SEED).truncated_normal(2**18, "float64", lower=2.0, upper=2.04)
    assert not failures(probabilities(x, 2.0, 2.04))
    # The effect of taking the middle of an interval for its median.
    assert failures(probabilities(x + 2.02 * 0.04**2 / 8, 2.0, 2.04))
    assert failures(probabilities(Stream(SEED).uniform(2**18, low=5.0, high=6.0), 5, 6))  # a density without slope


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), WIDE + FAR)
def test_more_samples_against_scipy(lower, upper, dtype):
    x = Stream(SEED + 1).truncated_normal(2**24, dtype, lower=lower, upper=upper)
    assert not failures(probabilities(x, lower, upper))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), INTERVALS)
def test_a_larger_word_gives_a_larger_sample(core, lower, upper, dtype):
    n = 2 ** bits(dtype)
    unit = 2.0**-24 if dtype == "float32" else 2.0**-53
    rng = np.random.default_rng(3)
    centre = (scipy.stats.norm.cdf(0) - scipy.stats.norm.cdf(lower)) / (
        scipy.stats.norm.cdf(upper) - scipy.stats.norm.cdf(lower) or 1
    )
    starts = [0, n // 2 - 500, n - 1000, *(int(s) * n // 1000 for s in rng.integers(1, 999, 8))]
    if 0 < centre < 1:
        starts.append(min(max(int(centre * n) - 500, 0), n - 1000))
    runs = [np.arange(1000, dtype=np.uint64) + np.uint64(s) for s in starts]
    words = np.unique([*runs, np.arange(1000, dtype=np.uint64) * np.uint64(n // 1000)])
    x, method = core.samples("truncated_normal", (0, 1, lower, upper), words, dtype)
    falls = np.maximum.accumulate(x) - x
    if method == "tail":
        assert falls.max() == 0
    elif method in ("icdf", "centre") and dtype == "float32":
        assert falls.max() <= 1e-37 + 2 * unit * np.abs(x[falls.argmax()])
    else:
        assert falls.max() <= 8 * unit * np.abs(x).max()


def test_coefficients_of_tails_are_far_from_subnormal(core):
    """simd_vector_fma.h needs 0 or at least 2**-60; the least coefficient of these intervals is 2**-20.3."""
    rng = np.random.default_rng(4)
    near = rng.uniform(0.5, 35, 20_000)
    width = np.exp(rng.uniform(-12, 6, near.size))
    least = [core.call("least_coefficient", a, a + w) for a, w in zip(near, width, strict=True)]
    least += [core.call("least_coefficient", -INF, -a) for a in near[:2000]]
    assert 2.0**-60 < min(least) < 2.0**-15
    assert np.isfinite(least).sum() > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("interval", [(1, INF), (20, 20.006), (0.5, 2.5), (-INF, -3)])
def test_no_word_of_all_gives_less_than_the_one_before(core, interval):
    run, last = 2**22, -INF
    for start in range(0, 2**32, run):
        x, method = core.samples("truncated_normal", (0, 1, *interval), np.arange(start, start + run, dtype=np.uint64))
        assert method == "tail"
        assert last <= x[0]
        assert (np.diff(x) >= 0).all()
        last = x[-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), INTERVALS)
def test_the_mirror_image(core, lower, upper, dtype):
    words = some_words(dtype, 50)
    mirrored = [2 ** bits(dtype) - 1 - w for w in words]
    x, method = core.samples("truncated_normal", (0, 1, lower, upper), words, dtype)
    y, _ = core.samples("truncated_normal", (0, 1, -upper, -lower), mirrored, dtype)
    if method == "narrow" or lower < 0 < upper:
        # Rounded at other points.
        size = np.maximum(abs(x), min(1, upper - lower)) * (2.0**-20 if dtype == "float32" else 2.0**-48)
        assert (abs(x + y) <= size).all()
    else:
        assert np.array_equal(x, -y)


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
def test_without_bounds_it_is_the_inverse_of_normals(tier, generator, dtype):
    x = Stream(4, generator).truncated_normal(100_000, dtype, 0.5, 2.0, -INF, INF)
    assert x.tobytes() == Stream(4, generator).normal(100_000, dtype, 0.5, 2.0, method="icdf").tobytes()
