"""benchmarks/quality/counting.c counts as NumPy does, and its samples are a stream's."""

import shutil

import numpy as np
import pytest
import quality.host
import quality.values
from quality.cells import CELLS, keys_of
from quality.host import RADII, TAILS, draws, samples_of_words, tally, walk
from quality.laws import SAMPLERS, law_of, tails_of_words

from pyinit import Stream
from pyinit.arrays import dtype_of

pytestmark = pytest.mark.skipif(
    not shutil.which(quality.host.COMPILER), reason=f"no C compiler {quality.host.COMPILER}"
)

ONE_WORD = [name for name in SAMPLERS if name not in ("bits", "normal")]


def far(x):
    """Move some samples three times as far out, so that tails have counts."""
    x[:: x.size // 50] *= x.dtype.type(3)
    return x


@pytest.mark.parametrize("dtype", ["uint32", "float32", "float64"])
def test_a_tally_is_numpys(monkeypatch, dtype):
    """With parts, chunks and blocks whose last ones are not full."""
    monkeypatch.setattr(quality.host, "CHUNK", 5000)
    monkeypatch.setattr(quality.host, "PART", 20_000)
    n, name = 46_002, "bits" if dtype == "uint32" else "normal"
    law = law_of(name, "float64" if dtype == "float64" else "float32")
    stream = Stream(3).child("tally")
    told, flaw = [], None if name == "bits" else far
    make = draws(stream, SAMPLERS[name][0], dtype)
    seen = tally(make, n, law.cells, law.centre, law.scale, told.append, flaw)
    chunks = [make(first, min(5000, n - first)) for first in range(0, n, 5000)]
    x = np.concatenate([flaw(chunk) if flaw else chunk for chunk in chunks])
    keys = keys_of(x.astype(np.float32) if dtype == "float64" else x)
    cells = np.searchsorted(law.cells.first, keys, side="right")
    assert sorted(told) == [6002, 20_000, 20_000]
    assert np.array_equal(seen["cells"], np.bincount(cells, minlength=CELLS))
    pairs = np.bincount((cells[0::2] >> 8) << 8 | cells[1::2] >> 8, minlength=CELLS)
    assert np.array_equal(seen["pairs"], pairs)
    z = (x.astype(np.float64) - law.centre) * law.scale
    for k, sum_of_powers in enumerate(seen["powers"], 1):
        assert sum_of_powers == pytest.approx(np.sum(z**k), abs=2e-6 * np.sum(np.abs(z) ** k))
    in_chunks = np.split(z, range(5000, n, 5000))
    for lag in range(1, 9):
        for i, moved in enumerate([in_chunks, [part**2 - 1 for part in in_chunks]]):
            products = np.concatenate([part[lag:] * part[:-lag] for part in moved])
            assert seen["products"][i, lag - 1] == pytest.approx(products.sum(), abs=2e-6 * np.abs(products).sum())
    values = x.astype(np.float32)
    assert seen["falls"] == sum((np.diff(part) < 0).sum() for part in np.split(values, range(5000, n, 5000)))
    if name == "normal":
        assert seen["tails"].tolist() == [(np.abs(values) > t).sum() for t in TAILS]
        assert seen["radii"].tolist() == [(np.hypot(*z.reshape(-1, 2).T) > t).sum() for t in RADII]
        assert seen["tails"][3] > 0


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "normal"])
def test_samples_of_words_are_those_of_a_stream(generator, name):
    words = Stream(1, generator).bits(100_003)
    kind = np.uint32 if name == "bits" else np.float32
    expected = Stream(1, generator).fill(np.empty(100_003, kind), SAMPLERS[name][0])
    assert np.array_equal(samples_of_words(SAMPLERS[name][0], words), expected)


@pytest.mark.parametrize("name", ONE_WORD)
def test_a_coarse_walk_is_close_to_the_law(name):
    law = law_of(name, stride=2**10)
    assert law.own.sum() == 1
    assert abs(law.own / law.ideal - 1).max() < 0.1
    assert law.moments[1:3] == pytest.approx([0, 1], abs=1e-5)


@pytest.mark.parametrize("name", ["normal_icdf", "truncated_normal from 1 on"])
def test_tails_of_words(name):
    """From the first and the last words, the only ones that reach this far."""
    words = np.concatenate([np.arange(2**18), np.arange(2**32 - 2**18, 2**32)]).astype(np.uint32)
    x = np.abs(samples_of_words(SAMPLERS[name][0], words))
    assert x.min() < 4.2
    found = tails_of_words(SAMPLERS[name][0]) * 2**32
    assert found[1:].tolist() == [(x > t).sum() for t in TAILS[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_WORD)
def test_all_words(name):
    """The walk over all words finds the tails of the bisection, and the ideal law's moments."""
    distribution = SAMPLERS[name][0]
    law = law_of(name)
    seen = walk(distribution, 1, law.cells, law.centre, law.scale)
    assert seen["cells"].sum() == 2**32
    assert np.array_equal(seen["tails"] / 2**32, law.tails)
    assert law.moments[1:3] == pytest.approx([0, 1], abs=1e-6)
    if name in ("uniform", "normal_icdf", "truncated_normal from 1 on"):  # others decrease by units in the last place
        assert law.falls == 0


@pytest.mark.parametrize("dtype", quality.values.DTYPES)
def test_values_are_those_of_the_dtype(dtype):
    """Each value once, and the edges at which rounding changes to the next one."""
    numpy_dtype = dtype_of(dtype)
    if numpy_dtype.names:
        numpy_dtype = np.dtype(getattr(pytest.importorskip("ml_dtypes"), dtype))
    values = quality.values.values_of(dtype)
    patterns = values.patterns.astype(f"u{numpy_dtype.itemsize}")
    x = patterns.view(numpy_dtype).astype(np.float64)
    assert (np.diff(x) > 0).all()
    with np.errstate(invalid="ignore"):  # nan
        every = np.arange(2 ** (8 * numpy_dtype.itemsize), dtype=patterns.dtype).view(numpy_dtype).astype(np.float64)
    assert len(x) == np.isfinite(every).sum() - 1  # -0
    below = np.nextafter(values.edges, np.float32(-np.inf))
    assert np.array_equal(values.edges.astype(numpy_dtype).astype(np.float64), x[1:])
    assert np.array_equal(below.astype(numpy_dtype).astype(np.float64), x[:-1])


@pytest.mark.parametrize("name", ["normal", "normal_icdf", "uniform"])
def test_probabilities_of_values_are_counts_of_words(name):
    """For float8_e5m2, counts of a stream's samples from 2^24 words, compared with the exact probabilities."""
    dtype = "float8_e5m2"
    values = quality.values.values_of(dtype)
    p = quality.values.probabilities_of_values(name, values, dtype)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    make = draws(Stream(8), SAMPLERS[name][0], dtype)
    counts = quality.values.value_counts(lambda *part: make(*part).view(np.uint8), 2**22)
    counts[0] += counts[128]
    counts, p = quality.values.pooled(counts[values.patterns], p)
    assert p.min() >= quality.values.LEAST
    expected = p * 2**22
    assert (abs(counts - expected) / np.sqrt(expected)).max() < 5


def test_a_sampler_that_needs_two_words_moves_by_two():
    make = draws(Stream(5), SAMPLERS["uniform"][0], "float64")
    assert np.array_equal(np.concatenate([make(0, 10), make(10, 6)]), Stream(5).uniform(16, "float64"))
