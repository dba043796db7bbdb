"""Truncated normals next to their bounds, and their valid parameters."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from quality import evidence
from quality.evidence import SEED
from truncated_cases import ALPHA, DTYPES, INF, INTERVALS, probabilities, some_words

from pyinit import Stream

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
    """Return the float32 nearest to x on the side of `limit`."""
    with np.errstate(over="ignore"):
        nearest = np.float32(x)
        wrong = float(nearest) < x if limit > 0 else float(nearest) > x
        return np.nextafter(nearest, np.float32(limit)) if wrong else nearest


@pytest.mark.parametrize(("lower", "upper"), [(-2, 2), (0.5, 1), (5, 6), (-1, 3), (1, 1.05), (10, 12), (-6, -5)])
def test_nothing_gathers_at_the_ends(core, lower, upper):
    """At each end, the number of words that give the outermost floats fits their probability, error included."""
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
    """Return how many words give samples up to x, by bisection: a larger word gives no smaller sample."""
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
    """In far intervals that are just not narrow: the number of words fits the probability, if there are many."""
    for bound, inwards in ((np.float32(lower), np.inf), (np.float32(upper), -np.inf)):
        floats = [bound]
        while len(floats) < 6:
            floats.append(np.nextafter(floats[-1], np.float32(inwards)))
        if not lower <= float(bound) <= upper:
            floats = floats[1:]
        gap = float(abs(floats[1] - floats[0]))
        for i, x in enumerate(map(float, floats)):
            ends = sorted((np.clip(x - gap / 2, lower, upper), np.clip(x + gap / 2, lower, upper)))
            if i == 0:  # samples rounded beyond the bound return to it
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
        # The gap to the next value inwards; it is half as wide from a power of two towards 0.
        mantissa, exponent = math.frexp(abs(bound))
        gap = 2.0 ** (exponent - digits - (mantissa == 0.5 and inwards * bound < 0))
        p = probabilities(np.array([bound, bound + inwards * gap / 2]), lower, upper)
        assert evidence.of_poisson(np.count_nonzero(x == bound), n * abs(p[1] - p[0])) > ALPHA
        clamped = np.clip(Stream(SEED, generator).normal(n, kind), kind.type(lower), kind.type(upper))
        assert evidence.of_poisson(np.count_nonzero(clamped == bound), n * abs(p[1] - p[0])) < ALPHA


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
    # 2^24 - 2, - 1 and then even numbers: each gets the samples that round to it.
    edges = np.array([-2, -1.5, -0.5, 1, 2]) / 2
    assert values.tolist() == [2.0**24 + d for d in (-2, -1, 0, 2)]
    expected = n * np.diff(scipy.stats.truncnorm.cdf(edges, -1, 1))
    chi2 = np.sum((counts - expected) ** 2 / expected)
    assert scipy.special.chdtrc(3, chi2) > ALPHA


def test_an_interval_between_two_floats_gives_one_of_them(tier):
    x = Stream(2).truncated_normal(100, "float32", mean=2.0**24, lower=0.2, upper=0.4)
    assert set(x.tolist()) == {2.0**24}
