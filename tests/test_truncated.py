"""Truncated normals: the right distribution on every interval, bounds that hold and gather nothing."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scipy.stats
from mpmath import mpf
from quality import evidence
from quality.evidence import SEED

from pyinit import Stream

INF = math.inf
ALPHA = 1e-9  # about 500 p-values
WIDE = [
    (-2, 2),
    (-1, 1),
    (0, 2),
    (-3, 1),
    (-0.2, 5),
    (1, 2),
    (-2.5, -0.5),
    (0.7, INF),
    (0.4, 0.6),
    (-INF, 1),
    (-1, INF),
    (0, INF),
    (-INF, 0),
    (2, INF),
    (-INF, -3),
    (-INF, INF),
    (-30, 30),
]
FAR = [
    (5, 6),
    (-6, -5),
    (5, INF),
    (-INF, -6),
    (5.9, 9),
    (10, 12),
    (-12, -10),
    (30, 31),
    (-31, -30),
    (34.9, INF),
    (-35.5, -35),
]
NARROW = [(a, width) for a in (-5, -1, 0, 1, 5, 20) for width in (1e-3, 1e-6, 1e-9)]
STRADDLING = [(-w * share, w * (1 - share)) for w in (1e-1, 1e-3, 1e-9, 1e-30, 1e-36) for share in (0.5, 0.1)]
INTERVALS = WIDE + FAR + [(a, a + w) for a, w in NARROW] + STRADDLING
DTYPES = ("float32", "float64")


def bits(dtype):
    return 64 if dtype == "float64" else 32


# The truth, by mpmath.


def above(x):
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def quantile(lower, upper, u, guess):
    """x with P(lower < X < x) = u P(lower < X < upper), by Newton's method, in the tail that is the smaller."""
    # By tails both above 0: that of an interval below it is the mirror image.
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


def some_words(dtype, count):
    """The words at both ends and in the middle, some at every distance from the ends, and some anywhere."""
    rng, n = np.random.default_rng(7), bits(dtype)
    near = [int(2**e) for e in rng.uniform(0, n - 1, count)]
    words = [0, 1, 2, 2 ** (n - 1) - 1, 2 ** (n - 1), *near, *(int(x) for x in rng.random(count) * 2.0**n)]
    return [w for word in words for w in (word, 2**n - 1 - word)]


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
    if lower < 0 < upper and upper - lower > 1e-6:  # and where the samples go through 0
        below = scipy.special.ndtr(lower)
        crossing = int((0.5 - below) / (scipy.special.ndtr(upper) - below) * 2.0 ** bits(dtype))
        words += [w for w in range(crossing - 3, crossing + 4) if 0 <= w < 2 ** bits(dtype)]
    samples, method = core.samples("truncated_normal", (0, 1, lower, upper), words, dtype)
    # The outermost word of a float32 gives what belongs to half as rare a probability, where that is below 2^-33.
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


# The distribution.


def probabilities(x, lower, upper):
    """The distribution function of standard samples, by SciPy."""
    if lower >= 0:  # where SciPy is at its best
        return 1 - probabilities(-x, -upper, -lower)
    return scipy.stats.truncnorm.cdf(x.astype(np.float64), lower, upper)


def failures(p):
    """Chi-squared in 256 cells, Kolmogorov-Smirnov, and the mean of what should be uniform."""
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
    # The mean takes the lower bound to 0, or the samples would be few; their density goes like exp(-lower x - x^2/2).
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
    assert failures(probabilities(z[abs(z) < 1.95], -2, 2))  # rejected beyond another bound
    x = Stream(SEED).truncated_normal(2**18, "float64", lower=2.0, upper=2.04)
    assert not failures(probabilities(x, 2.0, 2.04))
    # What taking the middle of an interval for its median does.
    assert failures(probabilities(x + 2.02 * 0.04**2 / 8, 2.0, 2.04))
    assert failures(probabilities(Stream(SEED).uniform(2**18, low=5.0, high=6.0), 5, 6))  # no slope


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lower", "upper"), WIDE + FAR)
def test_more_samples_against_scipy(lower, upper, dtype):
    x = Stream(SEED + 1).truncated_normal(2**24, dtype, lower=lower, upper=upper)
    assert not failures(probabilities(x, lower, upper))


# The ends.

PLACES = [(0, 1), (0.5, 0.02), (-3, 1.7), (1e6, 1e-3), (0.1, 1e-30), (1.0, 1e30), (0.0, 1e-38), (0.0, 2e36)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("mean", "std"), PLACES)
def test_every_sample_is_within_the_bounds(core, mean, std, dtype):
    kind = np.dtype(dtype).type
    m, s = Fraction(float(kind(mean))), Fraction(float(kind(std)))
    words = some_words(dtype, 40)
    for lower, upper in INTERVALS:
        samples, _ = core.samples("truncated_normal", (mean, std, lower, upper), words, dtype)
        assert not np.isnan(samples).any()
        low, high = (float(m + s * Fraction(b)) if abs(b) < INF else b for b in (lower, upper))
        if dtype == "float32" and inwards(low, INF) > inwards(high, -INF):
            assert len(set(samples)) == 1  # there is no float32 between the bounds
            low, high = inwards(low, -INF), inwards(high, INF)
        assert low <= samples.min(), (lower, upper)
        assert samples.max() <= high, (lower, upper)


def inwards(x, limit):
    """The float32 nearest to x on the side of `limit`."""
    with np.errstate(over="ignore"):
        nearest = np.float32(x)
        wrong = float(nearest) < x if limit > 0 else float(nearest) > x
        return np.nextafter(nearest, np.float32(limit)) if wrong else nearest


@pytest.mark.parametrize(("lower", "upper"), [(-2, 2), (0.5, 1), (5, 6), (-1, 3), (1, 1.05), (10, 12), (-6, -5)])
def test_nothing_gathers_at_the_ends(core, lower, upper):
    """Of the words at each end, as many give the outermost floats as their probability says, error included."""
    n = 2**16
    ends = {lower: np.arange(n), upper: 2**32 - 1 - np.arange(n)}
    mass = scipy.stats.norm.sf(lower) - scipy.stats.norm.sf(upper)
    mass = mass or scipy.stats.norm.cdf(upper) - scipy.stats.norm.cdf(lower)
    for bound, words in ends.items():
        x, _ = core.samples("truncated_normal", (0, 1, lower, upper), words)
        cell = float(np.spacing(np.float32(abs(bound))))
        due = 2**32 * scipy.stats.norm.pdf(bound) * 4 * cell / mass
        at_end = np.count_nonzero(abs(x - bound) < cell / 4)
        assert at_end <= due + 1, bound
        if 2**32 * scipy.stats.norm.cdf(-abs(bound)) > n:
            clamped = np.clip(core.samples("normal_icdf", (0, 1), words)[0], lower, upper)
            assert np.count_nonzero(abs(clamped - bound) < cell / 4) > due + 1


def words_up_to(core, interval, x):
    """How many words give samples up to x: by halving, for a larger word gives no smaller sample."""
    below, above = 0, 2**32
    while below < above:
        middle = (below + above) // 2
        if core.samples("truncated_normal", (0, 1, *interval), [middle])[0][0] <= x:
            below = middle + 1
        else:
            above = middle
    return below


@pytest.mark.parametrize(
    ("lower", "upper"), [(20, 20.006), (34.9, 35), (12, 12.02), (-20.006, -20), (-12.02, -12), (5, 5.1), (15, 15.5)]
)
def test_each_of_the_outermost_floats_has_its_due(core, lower, upper):
    """Of far intervals that are just not narrow: as many words as its probability says, where those are many."""
    for bound, inwards in ((np.float32(lower), np.inf), (np.float32(upper), -np.inf)):
        floats = [bound]
        while len(floats) < 6:
            floats.append(np.nextafter(floats[-1], np.float32(inwards)))
        if not lower <= float(bound) <= upper:
            floats = floats[1:]
        gap = float(abs(floats[1] - floats[0]))
        for i, x in enumerate(map(float, floats)):
            ends = sorted((np.clip(x - gap / 2, lower, upper), np.clip(x + gap / 2, lower, upper)))
            if i == 0:  # what is rounded beyond the bound comes back to it
                ends[inwards < 0] = upper if inwards < 0 else lower
            p = probabilities(np.array(ends), lower, upper)
            due = 2**32 * (p[1] - p[0])
            count = words_up_to(core, (lower, upper), x) - words_up_to(core, (lower, upper), np.nextafter(x, -np.inf))
            assert count == pytest.approx(due, rel=0.05, abs=2 * 2**8), (x, i)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("lower", "upper"), [(-2, 2), (0.5, 4), (-INF, 1), (5, 6)])
def test_the_outermost_halves_have_their_due(generator, lower, upper, dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = np.dtype(np.float16 if dtype == "float16" else ml_dtypes.bfloat16)
    n, digits = 2**22, 11 if dtype == "float16" else 8
    x = Stream(SEED, generator).truncated_normal(n, kind, lower=lower, upper=upper).astype(np.float64)
    for bound, inwards in ((lower, 1), (upper, -1)):
        if abs(bound) == INF:
            continue
        # The gap to the next value inwards, which is half as wide where that is towards 0 from a power of two.
        mantissa, exponent = math.frexp(abs(bound))
        gap = 2.0 ** (exponent - digits - (mantissa == 0.5 and inwards * bound < 0))
        p = probabilities(np.array([bound, bound + inwards * gap / 2]), lower, upper)
        assert evidence.of_poisson(np.count_nonzero(x == bound), n * abs(p[1] - p[0])) > ALPHA
        clamped = np.clip(Stream(SEED, generator).normal(n, kind), kind.type(lower), kind.type(upper))
        assert evidence.of_poisson(np.count_nonzero(clamped == bound), n * abs(p[1] - p[0])) < ALPHA


# The word.


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
    """simd_vector_fma.h: those that are not 0 are at least 2**-60; the least of these intervals' is 2**-20.3."""
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
        # Rounded in other places.
        size = np.maximum(abs(x), min(1, upper - lower)) * (2.0**-20 if dtype == "float32" else 2.0**-48)
        assert (abs(x + y) <= size).all()
    else:
        assert np.array_equal(x, -y)


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
def test_without_bounds_it_is_the_inverse_of_normals(tier, generator, dtype):
    x = Stream(4, generator).truncated_normal(100_000, dtype, 0.5, 2.0, -INF, INF)
    assert x.tobytes() == Stream(4, generator).normal(100_000, dtype, 0.5, 2.0, method="icdf").tobytes()


# Parameters.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lower": math.nan}, "lower must be below upper; got nan and 2.0"),
        ({"upper": math.nan}, "lower must be below upper; got -2.0 and nan"),
        ({"lower": 2.0}, "lower must be below upper; got 2.0 and 2.0"),
        ({"lower": 3.0}, "lower must be below upper; got 3.0 and 2.0"),
        ({"lower": INF, "upper": INF}, "lower must be below upper"),
        ({"lower": -INF, "upper": -INF}, "lower must be below upper"),
        ({"lower": 35.1, "upper": INF}, "within 35.*35.1"),
        ({"lower": -INF, "upper": -35.1}, "within 35.*-35.1"),
        ({"std": -1.0}, "std.*-1.0"),
        ({"std": math.nan}, "std.*nan"),
        ({"mean": INF}, "mean.*inf"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_bad_parameters(parameters, message, dtype):
    out, stream = np.full(5, 7, dtype), Stream(1)
    with pytest.raises(ValueError, match=message):
        stream.fill_truncated_normal(out, **parameters)
    assert (out == 7).all()
    assert stream.position == 0


def test_bounds_have_to_be_numbers():
    with pytest.raises(TypeError, match="lower must be a real number; got str"):
        Stream(1).truncated_normal(3, lower="1")
    with pytest.raises(TypeError, match="upper must be a real number; got NoneType"):
        Stream(1).truncated_normal(3, upper=None)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("interval", [(-2, 2), (5, 6), (1, 1.001), (-INF, INF), (-INF, -5)])
def test_std_zero_gives_the_mean(tier, dtype, interval):
    assert set(Stream(1).truncated_normal(100, dtype, 2.5, 0.0, *interval).tolist()) == {2.5}


@pytest.mark.parametrize("std", [1e-38, 1e-20, 1e20, 1e37])
@pytest.mark.parametrize("interval", [(-2, 2), (5, 6), (1, 1.5), (10, 11)])
def test_a_scale_scales(generator, std, interval):
    x = Stream(2, generator).truncated_normal(1000, "float32", 0.0, std, *interval).astype(np.float64)
    y = Stream(2, generator).truncated_normal(1000, "float32", 0.0, 1.0, *interval).astype(np.float64)
    assert np.allclose(x, y * float(np.float32(std)), rtol=4e-7, atol=2.0**-148)


def test_a_large_mean_leaves_the_few_values_that_there_are(generator):
    n = 2**18
    x = Stream(2, generator).truncated_normal(n, "float32", mean=2.0**24, std=2.0, lower=-1.0, upper=1.0)
    values, counts = np.unique(x, return_counts=True)
    # 2^24 - 2, - 1 and then even numbers: each has what rounding sends it.
    edges = np.array([-2, -1.5, -0.5, 1, 2]) / 2
    assert values.tolist() == [2.0**24 + d for d in (-2, -1, 0, 2)]
    expected = n * np.diff(scipy.stats.truncnorm.cdf(edges, -1, 1))
    chi2 = np.sum((counts - expected) ** 2 / expected)
    assert scipy.special.chdtrc(3, chi2) > ALPHA


def test_an_interval_between_two_floats_gives_one_of_them(tier):
    x = Stream(2).truncated_normal(100, "float32", mean=2.0**24, lower=0.2, upper=0.4)
    assert set(x.tolist()) == {2.0**24}
