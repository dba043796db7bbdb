"""The 2^16 cells of program.py and gpu.py, with the probability of each, exact or to a relative 10^-10.

A cell is an interval of samples: the cell of x is the number of edges that are not above x. Samples are mapped to
unsigned integers in the same order, their *keys*. The leading 13 bits of a key choose one of 8192 *buckets*. A bucket
is cut into cells of equal width in keys; their number makes all cells about equally likely. So the kernel finds a
sample's cell with one table entry and one product, without a search.
"""

import math
from dataclasses import dataclass

import numpy as np

from pyinit import distributions

CELLS, BUCKETS, KEY_BITS = 2**16, 2**13, 19
WORDS = 2**32
DF = CELLS - 1
SIGMA = math.sqrt(2 * DF)  # the statistic's standard deviation
WINDOW = 256  # words on either side of an edge's first word that may be on the wrong side of the edge


def keys_of(samples):
    """Map float32 samples, or words with their halves exchanged, to unsigned integers in the same order."""
    if samples.dtype == np.uint32:
        return samples << np.uint32(16) | samples >> np.uint32(16)
    bits = samples.view(np.uint32)
    keys = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(2**31))
    return np.where(np.isnan(samples), np.uint32(WORDS - 1), keys)


def floats_of(keys):
    """Return the float32 numbers of keys; NaNs for the smallest and the largest."""
    keys = np.asarray(keys, np.uint32)
    return np.where(keys >> np.uint32(31), keys & np.uint32(2**31 - 1), ~keys).view(np.float32)


def reals_of(keys):
    """Return the real numbers of keys, infinite for a key without a number."""
    keys = np.asarray(keys, np.int64)
    x = floats_of(np.clip(keys, 0, WORDS - 1))
    with np.errstate(invalid="ignore"):  # all kinds of NaN
        return np.where(np.isnan(x), np.where(keys < 2**31, -np.inf, np.inf), x.astype(np.float64))


def rounded_from(keys):
    """Return the least real number that float32 rounds to a key's float or above: half way to the float below."""
    keys = np.asarray(keys, np.int64)
    x, below = reals_of(keys), reals_of(keys - 1)
    return np.where(np.isinf(below), below, (x + below) / 2)


erf, erfc = (np.vectorize(function, otypes=[np.float64]) for function in (math.erf, math.erfc))


def normal_mass(low, high):
    """P(low < Z < high) for a standard normal: a difference of the smaller tails, or of masses near 0."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    mirrored = -low < high
    low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)  # now |low| >= |high|
    low, high = low / math.sqrt(2), high / math.sqrt(2)
    return np.where(low < -0.5, erfc(-high) - erfc(-low), erf(high) - erf(low)) / 2


@dataclass(frozen=True)
class Normal:
    """Normals with mean 0 between two bounds: real numbers, then rounded to float32."""

    std: float = 1.0
    lower: float = -math.inf
    upper: float = math.inf

    def between(self, first, end):
        """The probability of the samples with keys in [first, end)."""
        low, high = (np.clip(rounded_from(keys), self.lower, self.upper) / self.std for keys in (first, end))
        return normal_mass(low, high) / normal_mass(self.lower / self.std, self.upper / self.std)


@dataclass(frozen=True)
class Uniform:
    """Multiples of 2^-24 in [0, 1), equally likely; with `cleared`, only every 2^`cleared`-th."""

    cleared: int = 0

    def between(self, first, end):
        """The probability of the samples with keys in [first, end)."""
        step, steps = 2.0 ** (self.cleared - 24), 2.0 ** (24 - self.cleared)
        low, high = (np.clip(np.ceil(reals_of(keys) / step), 0, steps) for keys in (first, end))
        return (high - low) / steps


@dataclass(frozen=True)
class Words:
    """32-bit words, equally likely, halves exchanged; with `cleared`, up to 16, only multiples of 2^`cleared`."""

    cleared: int = 0

    def between(self, first, end):
        """The probability of the samples with keys in [first, end)."""
        bits = 16 + self.cleared
        low, high = ((keys >> bits << 16) + np.minimum(keys % 2**bits, 2**16) for keys in (first, end))
        return (high - low) / 2.0 ** (32 - self.cleared)


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells for a law.

    Attributes
    ----------
    buckets : ndarray of uint32
        For the kernel: the number of a bucket's first cell times 2^16, plus the number of its cells.
    first : ndarray of int64
        The edges: the first key of each cell except the first. There are 2^16 - 1.
    """

    buckets: np.ndarray
    first: np.ndarray

    @property
    def edges(self):
        """The edges as float32 samples."""
        return floats_of(self.first)

    def probabilities(self, law):
        """The probability of each cell."""
        starts = np.concatenate([[0], self.first, [WORDS]])
        return law.between(starts[:-1], starts[1:])


def cells_for(law):
    """Cut the keys into 2^16 cells of about the same probability.

    Most cells of uniform samples hold 255 or 257 multiples of 2^-24: an even number would hide a lowest bit that is
    stuck at 0.
    """
    bounds = np.arange(BUCKETS + 1) << KEY_BITS
    mass = law.between(bounds[:-1], bounds[1:]) * CELLS
    starts = np.concatenate([[0], np.cumsum(mass)])
    if isinstance(law, Uniform):
        starts[1:-1:2] += mass[1::2] / 256
    starts = np.rint(starts).astype(np.int64)
    widths = np.diff(starts)
    assert starts[-1] == CELLS
    assert widths.min() >= 0
    assert widths.max() << KEY_BITS <= WORDS  # the kernel's product has 32 bits
    # A bucket without cells belongs to the cell before it.
    numbers = np.where(widths > 0, starts[:-1], np.maximum(starts[:-1] - 1, 0))
    bucket = np.repeat(np.arange(BUCKETS), widths)
    within = np.arange(CELLS) - starts[bucket]
    first = (bucket << KEY_BITS) + -(-(within << KEY_BITS) // widths[bucket])
    return Cells((numbers << 16 | widths).astype(np.uint32), first[1:])


def probabilities_of_words(cells, samples_of):
    """Return the probability of each cell if all 2^32 words are equally likely, for a sampler of one word per sample.

    Parameters
    ----------
    cells : Cells
    samples_of : callable
        Maps an array of words to their samples, which rise with the word except for a few units in the last place.

    Notes
    -----
    Bisection finds a word at which the samples pass an edge. Rounding can put a few samples on the wrong side of the
    edge; they are near that word and are counted one by one.
    """
    edges = cells.edges
    low, high = np.zeros(len(edges), np.int64), np.full(len(edges), WORDS, np.int64)
    for _ in range(32):
        middle = (low + high) // 2
        below = samples_of(middle) < edges
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    offsets = np.arange(-WINDOW, WINDOW)
    below = np.empty(len(edges), np.int64)
    for part in np.array_split(np.arange(len(edges)), 16):
        words = low[part, None] + offsets
        passed = samples_of(np.clip(words, 0, WORDS - 1)) < edges[part, None]
        passed = np.where(words < 0, True, passed & (words < WORDS))
        below[part] = low[part] - WINDOW + passed.sum(axis=1)
    return np.diff(below, prepend=0, append=WORDS) / WORDS


def noncentrality(true, assumed):
    """Return the amount that each sample adds to the expected statistic if the assumed probabilities are wrong."""
    return float(((true - assumed) ** 2 / assumed).sum())


def statistic(counts, probabilities):
    """Pearson's chi-squared."""
    expected = counts.sum() * probabilities
    return float(((counts - expected) ** 2 / expected).sum())


def p_value(chi2, df=DF):
    """Return the two-sided p-value by Wilson and Hilferty's cube root; for this many degrees it has three digits."""
    spread = 2 / (9 * df)
    return math.erfc(abs((chi2 / df) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


TAIL = {"lower": 1.0, "upper": math.inf}
LAWS = {
    "bits": (distributions.bits(), Words()),
    "uniform": (distributions.uniform(), Uniform()),
    "normal": (distributions.normal(), Normal()),
    "normal_icdf": (distributions.normal(method="icdf"), Normal()),
    "truncated_normal": (distributions.truncated_normal(), Normal(lower=-2.0, upper=2.0)),
    "truncated_normal from 1 on": (distributions.truncated_normal(**TAIL), Normal(**TAIL)),
}
