"""The cells of benchmarks/quality/gpu.py: their probabilities, by the law and by a sampler's arithmetic."""

import math

import mpmath
import numpy as np
import pytest
import quality.cells
import quality.devices
import quality.gpu
from mpmath import mpf
from opencl_device import queue
from quality.cells import CELLS, LAWS, WORDS, cells_for

from pyinit import Stream

__all__ = ["queue"]

REALS = [name for name, (_, law) in LAWS.items() if isinstance(law, quality.cells.Normal)]
ONE_WORD = [name for name in REALS if name != "normal"]
BOUNDS = {"truncated_normal": (-2, 2), "truncated_normal from 1 on": (1, math.inf)}


@pytest.fixture(scope="module")
def device(queue):
    return quality.devices.OpenCL(queue)


@pytest.mark.parametrize("name", LAWS)
def test_cells_are_about_equally_likely(name):
    law = LAWS[name][1]
    cells = cells_for(law)
    p = cells.probabilities(law)
    assert len(cells.first) == len(p) - 1 == CELLS - 1
    assert (np.diff(cells.first) > 0).all()
    assert abs(p.sum() - 1) < 1e-14
    assert p.min() > 0.39 / CELLS
    assert p.max() < 1.68 / CELLS
    if name != "bits":
        assert (np.diff(cells.edges) > 0).all()


def exact(name, low, high):
    """Return the probability that a real number of the distribution is rounded to [low, high)."""
    low, high = ((mpf(float(x)) + mpf(float(np.nextafter(x, np.float32(-np.inf))))) / 2 for x in (low, high))
    a, b = map(mpf, BOUNDS.get(name, (-math.inf, math.inf)))
    low, high = max(low, a), min(high, b)
    return (mpmath.ncdf(-low) - mpmath.ncdf(-high)) / (mpmath.ncdf(-a) - mpmath.ncdf(-b))


@pytest.mark.parametrize("name", REALS)
def test_probabilities_are_those_of_mpmath(name):
    law = LAWS[name][1]
    cells = cells_for(law)
    p, edges = cells.probabilities(law), cells.edges
    middle = np.searchsorted(edges, 0)
    some = np.random.default_rng(1).integers(1, CELLS - 1, 300)
    with mpmath.workdps(50):
        for i in {*some.tolist(), 1, 2, CELLS - 2, *range(max(middle - 3, 1), min(middle + 4, CELLS - 1))}:
            assert abs(p[i] / exact(name, edges[i - 1], edges[i]) - 1) < 1e-10, i
        for got, ends in ((p[0], (-np.inf, edges[0])), (p[-1], (edges[-1], np.inf))):
            assert abs(got / exact(name, *np.float32(ends)) - 1) < 1e-10


@pytest.mark.parametrize("cleared", [0, 1, 3])
def test_probabilities_of_uniform_samples_are_counts(cleared):
    samples = (np.arange(2**24) >> cleared << cleared).astype(np.float32) * np.float32(2.0**-24)
    cells = cells_for(quality.cells.Uniform())
    counts = np.bincount(np.searchsorted(cells.edges, samples, side="right"), minlength=CELLS)
    assert np.array_equal(cells.probabilities(quality.cells.Uniform(cleared)), counts / 2**24)
    assert cleared or np.mean(counts % 2) > 0.93  # odd, so that a lowest bit shows


@pytest.mark.parametrize("cleared", [0, 1, 5])
def test_probabilities_of_words(cleared):
    cells = cells_for(quality.cells.Words())
    assert np.array_equal(cells.first, np.arange(1, CELLS) << 16)  # a cell is a lower half
    expected = np.where(np.arange(CELLS) % 2**cleared, 0, 2.0**cleared / CELLS)
    assert np.array_equal(cells.probabilities(quality.cells.Words(cleared)), expected)


def test_p_values_are_those_of_scipy():
    chi2 = pytest.importorskip("scipy.stats").chi2(quality.gpu.DF)
    for z in (-6, -4, -1, 0.3, 1, 4, 6):
        x = quality.gpu.DF + z * quality.gpu.SIGMA
        assert quality.gpu.p_value(x) == pytest.approx(2 * min(chi2.cdf(x), chi2.sf(x)), rel=5e-3)


@pytest.mark.parametrize("name", ONE_WORD)
def test_samples_of_words_are_those_of_a_stream(device, name):
    words = Stream(1).bits(100_000)
    expected = Stream(1).fill(np.empty(100_000, np.float32), LAWS[name][0])
    assert np.array_equal(device.samples(LAWS[name][0], words), expected)


@pytest.mark.parametrize("name", ONE_WORD)
def test_the_own_law_counts_words(device, name):
    distribution, law = LAWS[name]
    cells = cells_for(law)
    own = quality.cells.probabilities_of_words(cells, lambda words: device.samples(distribution, words))
    assert own.sum() == 1
    begins = np.concatenate([[0], np.cumsum(own * WORDS)]).astype(np.int64)
    median = int(np.searchsorted(cells.edges, 0))
    for i in (0, 1, 20_000, min(median, CELLS - 3), 50_000, CELLS - 3):
        words = np.arange(max(begins[i] - 5000, 0), min(begins[i + 3] + 5000, WORDS))
        found = np.searchsorted(cells.edges, device.samples(distribution, words), side="right")
        for j in range(i, i + 3):
            assert np.count_nonzero(found == j) == own[j] * WORDS, j


def test_words_that_rounding_puts_in_another_order():
    """A sampler whose samples decrease by up to 64 words, at the edges too."""
    cells = cells_for(quality.cells.Normal())

    def of_words(words):
        shuffled = words + (words * 2654435761 >> 7) % 64 - 32
        return np.take(cells.edges, np.clip(shuffled * CELLS // WORDS - 1, 0, CELLS - 2))

    own = quality.cells.probabilities_of_words(cells, of_words)
    words = np.arange(10 * CELLS)
    found = np.searchsorted(cells.edges, of_words(words), side="right")
    assert np.array_equal(own[1:9] * WORDS, np.bincount(found)[1:9])


def test_box_muller_differs_from_the_ideal_law_as_stated():
    """The atom at the mean, and the rings: radii of u = 1 - k 2^-24, with all angles."""
    law = LAWS["normal"][1]
    cells = cells_for(law)
    p, edges = cells.probabilities(law), quality.cells.rounded_from(cells.first)
    zero = int(np.searchsorted(edges, 0))  # the cell of 0 and the cells above it
    x = edges[zero : zero + 200]
    rings, steps = 20_000, 40

    def beyond(v):
        """P(r cos < -x) for radii with u = 1 - v."""
        radius = np.sqrt(-2 * np.log1p(-v))
        return np.arccos(np.minimum(x[:, None] / radius, 1)) / math.pi

    made = real = 0
    for k in np.array_split(np.arange(1, rings), 100):
        v = (k[:, None] - 0.5 + (np.arange(steps) + 0.5) / steps).ravel() * 2.0**-24
        made, real = made + beyond(k * 2.0**-24).sum(axis=1), real + beyond(v).sum(axis=1) / steps
    within = (np.arange(10_000) + 0.5) / 10_000 * 2.0**-25
    wrong = np.diff(2.0**-24 * (made - real) - 2.0**-25 * beyond(within).mean(axis=1))
    total = 2 * (wrong**2 / p[zero + 1 : zero + 200]).sum() + (2.0**-25) ** 2 / p[zero]
    assert total == pytest.approx(quality.gpu.BOX_MULLER, rel=0.1)
