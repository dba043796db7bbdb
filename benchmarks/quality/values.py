"""float16, bfloat16 and float8: the exact probability of each value, and how often it occurs."""

from dataclasses import dataclass

import numpy as np

from pyinit import _core
from quality.cells import keys_of, probabilities_of_words, statistic
from quality.evidence import of_chi2
from quality.host import draws, samples_of_words, value_counts
from quality.laws import SAMPLERS

DTYPES = tuple(name for name, row in _core.DTYPES.items() if row.bytes < 4)
LEAST = 2.0**-18  # values are pooled until they are as likely as this


@dataclass(frozen=True, eq=False)
class Values:
    """A type's finite values in order, 0 only once, and the least float32 that rounds to each but the first."""

    patterns: np.ndarray
    edges: np.ndarray


def values_of(dtype):
    """Enumerate the values of a type from the columns of the core's table."""
    row = _core.DTYPES[dtype]
    patterns = np.arange(1 << (8 * row.bytes - 1))
    fraction = row.digits - 1
    exponent, digits = patterns >> fraction, patterns & ((1 << fraction) - 1)
    magnitude = np.ldexp(
        (digits + np.where(exponent > 0, 1 << fraction, 0)).astype(np.float64), np.maximum(exponent, 1) - 1 + row.least
    )
    patterns, magnitude = patterns[magnitude <= row.largest], magnitude[magnitude <= row.largest]
    order = np.concatenate([patterns[:0:-1], patterns])
    values = np.concatenate([-magnitude[:0:-1], magnitude])
    middle = ((values[1:] + values[:-1]) / 2).astype(np.float32)
    # A tie goes to the even pattern.
    edges = np.where(order[1:] % 2, np.nextafter(middle, np.float32(np.inf)), middle)
    sign = np.where(values < 0, 1 << (8 * row.bytes - 1), 0)
    return Values(order | sign, edges)


def probabilities_of_values(name, values, dtype):
    """Return each value's probability: from the words that give it or, for Box-Muller, the ideal law rounded twice."""
    distribution, law = SAMPLERS[name]
    if name == "normal":
        keys = np.concatenate([[0], keys_of(values.edges), [2**32]]).astype(np.int64)
        return law.between(keys[:-1], keys[1:])
    return probabilities_of_words(values, lambda words: samples_of_words(distribution, words, dtype))


def pooled(counts, probabilities):
    """Pool neighbours until each group is as likely as LEAST; the rest joins the last group."""
    total, groups, group = 0.0, np.empty(len(probabilities), np.int64), 0
    for i, p in enumerate(probabilities):
        groups[i] = group
        total += p
        if total >= LEAST:
            total, group = 0.0, group + 1
    groups = np.minimum(groups, group - 1)
    return tuple(np.bincount(groups, each, group) for each in (counts, probabilities))


def measure(stream, name, dtype, count, probabilities, flaw=None, tell=lambda samples: None):
    """Return the p-value of a type's values, and the number of groups compared.

    Parameters
    ----------
    stream : pyinit.Stream
    name, dtype : str
        A key of `SAMPLERS`, and one of `DTYPES`.
    count : int
        How many samples.
    probabilities : ndarray of float64
        The result of `probabilities_of_values`.
    flaw : callable, optional
        Changes the bit patterns of samples before they are counted.
    """
    values = values_of(dtype)
    make, unsigned = draws(stream, SAMPLERS[name][0], dtype), f"u{_core.DTYPES[dtype].bytes}"
    counts = value_counts(lambda *part: make(*part).view(unsigned), count, tell, flaw)
    counts[0] += counts[len(counts) // 2]  # -0
    seen = counts[values.patterns]
    assert seen.sum() == count, "no sample is infinite or nan"
    counts, probabilities = pooled(seen, probabilities)
    return of_chi2(statistic(counts, probabilities), len(counts) - 1), len(counts)


def truncating(patterns):
    """A flaw: one sample in 16 loses the last bit, as if a float were truncated instead of rounded."""
    patterns = patterns.copy()
    patterns[::16] &= patterns.dtype.type(~1 % 2 ** (8 * patterns.dtype.itemsize))
    return patterns
