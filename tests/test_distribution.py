"""Are the samples normal, uniform, and independent? And would these tests notice if they were not?"""

import numpy as np
import pytest
import reference
from conftest import GENERATORS
from quality import evidence
from quality.evidence import SEED, Sampler
from quality.flaws import ALPHA, FEWER, FLAWS, STATISTICS, coarse

from pyinit import Stream

DTYPES = ("float32", "float64")


BY_NAME = {statistic.measure.__name__: statistic for statistic in STATISTICS}


def cases(statistics):
    return pytest.mark.parametrize(
        ("statistic", "distribution"),
        [pytest.param(s, d, id=f"{s.measure.__name__}-{d}") for s in statistics for d in s.distributions],
    )


# ars7 is ars5 with two more rounds.
@cases(STATISTICS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("generator", ["philox", "ars5", pytest.param("ars7", marks=pytest.mark.slow)])
def test_samples(generator, dtype, statistic, distribution):
    _, failures = statistic.failures(Sampler(generator, distribution, dtype))
    assert not failures


@pytest.mark.slow
@cases([s for s in STATISTICS if s.slow])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("generator", GENERATORS)
def test_more_samples(generator, dtype, statistic, distribution):
    _, failures = statistic.failures(Sampler(generator, distribution, dtype), **statistic.slow)
    assert not failures


def flawed(statistic, distribution, dtype, flaw, **arguments):
    arguments = {"count": FEWER[flaw]} if flaw in FEWER else arguments
    return statistic.failures(Sampler("philox", distribution, dtype, FLAWS[flaw]), **arguments)


@cases(STATISTICS)
def test_each_flaw_is_noticed_and_each_number_notices_one(statistic, distribution):
    # If the numbers depend on the dtype, each must be able to fail.
    for dtype in DTYPES if statistic.measure in (evidence.bits, evidence.grain) else DTYPES[:1]:
        found = {flaw: flawed(statistic, distribution, dtype, flaw) for flaw in statistic.flaws}
        for flaw, (_, failures) in found.items():
            assert failures, flaw
        names = next(iter(found.values()))[0]
        assert names == set().union(*(failures for _, failures in found.values()))


@pytest.mark.slow
def test_23_bits_have_no_tail_beyond_6():
    tails = BY_NAME["tails"]
    _, failures = flawed(tails, "normal", "float32", "23 bits", **tails.slow)
    assert {"|x| > 6", "radius > 5.8", "radius > 6"} <= set(failures)


@pytest.mark.parametrize(
    ("name", "distribution", "dtype", "bits"),
    [
        ("grain", "normal", "float32", 32),
        ("grain", "normal", "float64", 64),
        ("bits", "uniform", "float32", 24),
        ("bits", "uniform", "float64", 53),
    ],
)
def test_all_bits_are_enough_and_half_are_not(name, distribution, dtype, bits):
    for count, right in ((bits, True), (bits // 2, False)):
        _, failures = BY_NAME[name].failures(Sampler("philox", distribution, dtype, coarse(count)))
        assert bool(failures) != right


# low, high, and whether one rounding of low + (high - low) u gives high for the largest 24-bit u.
INSIDE = [(0.0, 1.0, False), (0.0, 3.0, False), (-1.0, 1.0, False), (-1e-30, 1e-30, False), (-1.5e38, 1.5e38, False)]
REACHED = [(1.0, 2.0, True), (1.0, 1.0 + 2.0**-22, True), (16777216.0, 16777218.0, True), (0.0, 2.0**-149, True)]


@pytest.fixture(scope="module")
def largest():
    """Return, for each generator, positions of words whose 24 leading bits are set."""
    return {name: np.flatnonzero(Stream(SEED, name).bits(2**26) >= 0xFFFFFF00).tolist() for name in GENERATORS}


@pytest.mark.parametrize(("low", "high", "reached"), INSIDE + REACHED)
def test_uniform_never_is_high(generator, largest, low, high, reached):
    low, high, u = np.float32(low), np.float32(high), np.float32(1 - 2.0**-24)
    assert (reference.fma(u, high - low, low) == high) == reached
    assert largest[generator]
    for position in largest[generator]:
        x = Stream(SEED, generator, position=position).uniform(1, low=low, high=high)
        assert x == min(reference.fma(u, high - low, low), np.nextafter(high, low))
    x = Stream(SEED, generator).uniform(2**20, low=low, high=high)
    assert low <= x.min()
    assert x.max() < high


@pytest.mark.parametrize(("dtype", "step"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_two_values_between_low_and_high(generator, dtype, step):
    """Rounding to nearest maps u < 1/4 to low, and the bound maps results of high to the value below it."""
    n = 2**20
    x = Stream(SEED, generator).uniform(n, dtype, low=1.0, high=1.0 + 2 * step)
    lows = np.count_nonzero(x == 1.0)
    assert np.count_nonzero(x == 1.0 + step) == n - lows
    assert evidence.of_z((lows - n / 4) / np.sqrt(n * 3 / 16)) > ALPHA


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_and_std_round_once(generator, dtype):
    twice = 0
    for mean, std in ((0.0, 0.02), (5.0, 0.1), (-0.3, 1.7), (1e6, 1e-3), (1.0, 1e-30), (0.0, 1e30)):
        mean, std = dtype(mean), dtype(std)
        z = Stream(SEED, generator).normal(2000, dtype, method="icdf")
        x = Stream(SEED, generator).normal(2000, dtype, mean, std, method="icdf")
        assert x.tolist() == [reference.fma(value, std, mean) for value in z]
        twice += np.count_nonzero(x != z * std + mean)
    assert twice > 100  # so a second rounding would have shown
