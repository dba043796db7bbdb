"""Statistics of a sampler: each gives named p-values, which are tiny if the samples are wrong.

All p-values are two-sided: samples that fit too well are as bad as samples that do not fit. A statistic that looks in
many places at once gives the probability that the smallest of that many p-values is as small (Sidak).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

import pyinit

SEED = 20140707
ORIGIN = {"seed": SEED, "id": 0, "child": (), "position": 0}
CHUNK = 2**17  # samples at a time: they stay in the cache
MOMENTS = {
    "normal": [0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0, 10395, 0, 135135, 0, 2027025],  # (k - 1)!!
    "uniform": [0 if k % 2 else 3 ** (k / 2) / (k + 1) for k in range(1, 17)],  # on [-sqrt 3, sqrt 3]
}


@dataclass(frozen=True)
class Sampler:
    """Draws samples at an address: a seed, an id, the names that lead to a child, a position in words."""

    generator: str
    distribution: str
    dtype: str
    flaw: Callable[..., Any] | None = None  # draws instead of pyinit, from the right sampler

    def __call__(self, count, **address):
        if self.flaw:
            return self.flaw(replace(self, flaw=None), count, **ORIGIN | address)
        return getattr(self.stream(**ORIGIN | address), self.distribution)(count, self.dtype)

    def stream(self, seed, id, child, position):
        stream = pyinit.Stream(seed, self.generator, id=id)
        for name in child:
            stream = stream.child(name)
        stream.position = position
        return stream

    @property
    def words(self):
        return np.dtype(self.dtype).itemsize // 4

    def chunks(self, count):
        for first in range(0, count, CHUNK):
            yield self(min(CHUNK, count - first), position=first * self.words)

    def unit_chunks(self, count):
        return (self.to_unit(x) for x in self.chunks(count))

    def to_unit(self, x):
        """Scale samples to mean 0 and variance 1, in float64."""
        x = x.astype(np.float64)
        return x if self.distribution == "normal" else (x - 0.5) * np.sqrt(12)

    def from_unit(self, x):
        return (x if self.distribution == "normal" else x / np.sqrt(12) + 0.5).astype(self.dtype)

    def cdf(self, x):
        x = x.astype(np.float64)
        return special.ndtr(x) if self.distribution == "normal" else np.clip(x, 0, 1)

    def moment(self, k):
        return MOMENTS[self.distribution][k - 1]


def of_z(z):
    return float(special.erfc(abs(z) / np.sqrt(2)))


def of_many_z(z):
    return float(-np.expm1(np.size(z) * np.log1p(-min(of_z(np.max(np.abs(z))), 1 - 1e-16))))


def of_poisson(count, expected):
    below = special.gammaincc(count + 1, expected)
    above = special.gammainc(count, expected) if count else 1.0
    return float(min(1, 2 * min(below, above)))


def of_chi2(chi2, df):
    return float(min(1, 2 * min(special.chdtr(df, chi2), special.chdtrc(df, chi2))))


def of_cells(counts):
    """Pearson's chi-squared for cells of equal probability."""
    expected = counts.sum() / counts.size
    return of_chi2(np.sum((counts - expected) ** 2) / expected, counts.size - 1)


def of_gap(gap, count):
    """Kolmogorov's limit law of the largest gap between the empirical and the true distribution function."""
    return float(special.kolmogorov(np.sqrt(count) * gap))


def of_ks(probabilities):
    p, n = np.sort(probabilities), len(probabilities)
    return of_gap(max(np.max(np.arange(1, n + 1) / n - p), np.max(p - np.arange(n) / n)), n)


def cell_counts(phases, cells):
    """Count the numbers in [0, 1] in cells of equal width."""
    return np.bincount(np.minimum((phases * cells).astype(np.int64), cells - 1), minlength=cells)


def products(a, b):
    """Return sums of products over the first axis; not by BLAS, whose threads crawl on a busy machine."""
    return np.einsum("k,k" if a.ndim == 1 else "ki,kj", a, b)


def moments(sampler, count):
    sums = np.zeros(8)
    for x in sampler.unit_chunks(count):
        power = np.ones_like(x)
        for k in range(8):
            power *= x
            sums[k] += power.sum()
    result = {}
    for k in range(1, 9):
        variance = sampler.moment(2 * k) - sampler.moment(k) ** 2
        result[f"E x^{k}"] = of_z((sums[k - 1] / count - sampler.moment(k)) / np.sqrt(variance / count))
    return result


def equal_cells(sampler, count, cells=2**12):
    """Chi-squared. float32 samples that round across edges add half its standard deviation at 2^30 in 2^16 cells."""
    return {"chi2": of_cells(sum(cell_counts(sampler.cdf(x), cells) for x in sampler.chunks(count)))}


def kolmogorov_smirnov(sampler, count):
    return {"D": of_ks(sampler.cdf(sampler(count)))}


def triples(sampler, count):
    """Chi-squared in the cube of three consecutive samples, which begin at even and odd positions in turn."""
    counts = np.zeros(16**3, dtype=np.int64)
    for x in sampler.chunks(count):
        cell = np.minimum((sampler.cdf(x[: len(x) // 3 * 3]) * 16).astype(np.int64), 15).reshape(-1, 3)
        counts += np.bincount(cell @ [256, 16, 1], minlength=16**3)
    return {"chi2": of_cells(counts)}


def lags(sampler, count):
    """Correlations of samples 1 to 8 apart, and of their squares."""
    sums, pairs = np.zeros((2, 9)), np.zeros(9)
    for x in sampler.unit_chunks(count):
        s = (x * x - 1) / np.sqrt(sampler.moment(4) - 1)
        for k in range(1, 9):
            sums[:, k] += products(x[k:], x[:-k]), products(s[k:], s[:-k])
            pairs[k] += len(x) - k
    z = sums[:, 1:] / np.sqrt(pairs[1:])
    return {f"{what}, {k} apart": of_z(z[i, k - 1]) for i, what in enumerate(("x", "x^2")) for k in range(1, 9)}


def tails(sampler, count):
    """Compare the numbers of samples, and of radii of pairs, far out with the Poisson law."""
    samples, radii = dict.fromkeys((4, 5, 6), 0), dict.fromkeys((5.8, 6), 0)
    for x in sampler.chunks(count):
        far = np.flatnonzero(np.abs(x) > 4)  # a radius beyond 4 sqrt 2 has a component beyond 4
        pairs = x.reshape(-1, 2)[np.unique(far // 2)].astype(np.float64)
        for t in samples:
            samples[t] += np.count_nonzero(np.abs(pairs) > t)
        for t in radii:
            radii[t] += np.count_nonzero(np.hypot(*pairs.T) > t)
    result = {f"|x| > {t}": of_poisson(n, count * beyond(t, sampler.dtype)) for t, n in samples.items()}
    return result | {
        f"radius > {t}": of_poisson(n, count / 2 * radius_beyond(t, sampler.dtype)) for t, n in radii.items()
    }


def largest_radii(t):
    """The radii beyond t that Box-Muller makes from 32 bits, each with probability 2^-32."""
    u = (np.arange(2**32 * np.exp(-t * t / 2) + 1) + 0.5) / 2**32
    radii = np.sqrt(-2 * np.log(u))
    return radii[radii > t]


def beyond(t, dtype):
    """P(|x| > t). For a radius r, a component is beyond t for 2/pi arccos(t/r) of the directions."""
    if dtype == "float64":
        return special.erfc(t / np.sqrt(2))
    return np.sum(2 / np.pi * np.arccos(t / largest_radii(t))) / 2**32


def radius_beyond(t, dtype):
    return np.exp(-t * t / 2) if dtype == "float64" else len(largest_radii(t)) / 2**32


def halves(sampler, count):
    """Correlations between the two halves of a pair, which come from one radius and one angle."""
    sums = np.zeros(5)
    for z in sampler.unit_chunks(count):
        x, y = z[0::2], z[1::2]
        s, t = (x * x - 1) / np.sqrt(2), (y * y - 1) / np.sqrt(2)
        sums += products(x, y), products(s, t), products(s, y), products(x, t), np.sum(s - t) / np.sqrt(2)
    names = "x y", "x^2 y^2", "x^2 y", "x y^2", "x^2 - y^2"
    return {name: of_z(z) for name, z in zip(names, sums / np.sqrt(count // 2), strict=True)}


def polar(sampler, count, cells=2**12):
    """The angle of a pair is uniform, and so is exp(-r^2/2)."""
    angles = radii = 0
    for z in sampler.unit_chunks(count):
        x, y = z[0::2], z[1::2]
        angles = angles + cell_counts(np.arctan2(y, x) / (2 * np.pi) % 1, cells)
        radii = radii + cell_counts(np.exp(-(x * x + y * y) / 2), cells)
    return {"angle": of_cells(angles), "radius": of_cells(radii)}


def grain(sampler, count):
    """Check the resolution of u = exp(-r^2/2) and of the angle in half turns: 32 bits each (float64: 64).

    This takes the digits of a fraction below 2^-k, as chi-squared in 8 cells. Rounding hides them unless the fraction
    is small, so only small fractions count: the absolute error must stay below 2^-(k+4), half a cell. If the radius has
    a relative error of 2^-22 (float64: 2^-51), u has r^2 times that, which is -2 ln u times that.
    """
    fine = sampler.dtype == "float64"
    limits = (
        {20: 2.0**-8, 23: 2.0**-8, 32: 2.0**-8, 40: 2.0**-8, 48: 2.0**-8}
        if fine
        else {20: 2.0**-8, 23: 2.0**-9, 26: 2.0**-13, 29: 2.0**-16}
    )
    u, angle = [], []
    for x, y in (z.reshape(-1, 2).T for z in sampler.chunks(count)):
        far = np.flatnonzero(x * x + y * y > 11)
        u.append(np.exp(-(x[far].astype(np.float64) ** 2 + y[far].astype(np.float64) ** 2) / 2))
        flat = np.flatnonzero(np.abs(y) < 2.0**-9 * np.abs(x))
        angle.append(np.arctan(y[flat].astype(np.float64) / x[flat]) / np.pi)
    u, angle = np.concatenate(u), np.concatenate(angle)
    result = {f"radius below 2^-{k}": of_cells(cell_counts(u[u < most] * 2.0**k % 1, 8)) for k, most in limits.items()}
    # Multiples of 2^-31 of a half turn, moved by half a cell so that they are inside cells.
    for k in (20, 23, 32, 40, 48) if fine else (20, 23, 26, 28):
        result[f"angle below 2^-{k}"] = of_cells(cell_counts((angle * 2.0**k + 1 / 16) % 1, 8))
    return result


def bits(sampler, count):
    """Check that each bit of a uniform sample is fair, and that there are no further bits."""
    size = 24 if sampler.dtype == "float32" else 53
    scaled = np.ldexp(sampler(count).astype(np.float64), size)
    number = scaled.astype(np.int64)
    result = {f"2^-{k}": of_z(np.sum(2 * (number >> size - k & 1) - 1) / np.sqrt(count)) for k in range(1, size + 1)}
    inside = np.all(number == scaled) and np.all(number >> size == 0)
    return result | {f"a multiple of 2^-{size} in [0, 1)": float(inside)}


RELATED = {
    "seeds k, k+1": ({}, {"seed": SEED + 1}),
    "seeds 0, 1": ({"seed": 0}, {"seed": 1}),
    "seeds k, k+2^32": ({}, {"seed": SEED + 2**32}),
    # ARS xors the key with the counter before its first round: here both streams give the same state.
    "seeds with one key^counter": ({"seed": 0}, {"seed": 2**40, "position": 2**42}),
    "ids k, k+1": ({"id": 7}, {"id": 8}),
    "ids k, k+2^32": ({"id": 7}, {"id": 7 + 2**32}),
    "children a, b": ({"child": ["a"]}, {"child": ["b"]}),
    "children layers.0, layers.1": ({"child": ["layers.0.weight"]}, {"child": ["layers.1.weight"]}),
    "child, parent": ({"child": ["a"]}, {}),
    "child, grandchild": ({"child": ["b"]}, {"child": ["a", "b"]}),
    "child of seeds k, k+1": ({"child": ["a"]}, {"child": ["a"], "seed": SEED + 1}),
    "positions p, p+2^32": ({"position": 100}, {"position": 2**32 + 100}),
    "positions p, p+2^34": ({"position": 100}, {"position": 2**34 + 100}),
    "positions p, p+2^64": ({"position": 100}, {"position": 2**64 + 100}),
}


def related(sampler, count):
    """Correlations between two streams, and between their squares, at every shift between them."""
    result = {}
    for name, addresses in RELATED.items():
        x, y = (sampler.to_unit(sampler(count, **address)) for address in addresses)
        scale = np.sqrt(sampler.moment(4) - 1)
        for what, a, b in (("x", x, y), ("x^2", (x * x - 1) / scale, (y * y - 1) / scale)):
            z = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), count) / np.sqrt(count)
            result[f"{name}: {what}"] = of_many_z(z)
    return result


def across(sampler, addresses):
    """Return the first samples of many streams, as a table with a row for each stream."""
    table = np.stack([sampler(8, **address) for address in addresses])
    x = sampler.to_unit(table)
    s = (x * x - 1) / np.sqrt(sampler.moment(4) - 1)
    root = np.sqrt(len(x))
    return {
        "D": of_ks(sampler.cdf(table.ravel())),
        "columns": of_many_z(products(x, x)[np.triu_indices(8, 1)] / root),
        "neighbours": of_many_z(products(x[1:], x[:-1]) / root),
        "squares of neighbours": of_many_z(products(s[1:], s[:-1]) / root),
    }


def across_seeds(sampler, count):
    return across(sampler, [{"seed": k} for k in range(count)])


def across_children(sampler, count):
    return across(sampler, [{"child": [f"layers.{k}.weight"]} for k in range(count)])
