"""Intervals of truncated normals, with words and probabilities to test."""

import math

import mpmath
import numpy as np
import scipy.stats

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


def above(x):
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def some_words(dtype, count):
    """Return words at both ends and in the middle, some at every distance from the ends, and some random ones."""
    rng, n = np.random.default_rng(7), bits(dtype)
    near = [int(2**e) for e in rng.uniform(0, n - 1, count)]
    words = [0, 1, 2, 2 ** (n - 1) - 1, 2 ** (n - 1), *near, *(int(x) for x in rng.random(count) * 2.0**n)]
    return [w for word in words for w in (word, 2**n - 1 - word)]


def probabilities(x, lower, upper):
    """Return the CDF of standard samples, by SciPy."""
    if lower >= 0:  # where SciPy is most accurate
        return 1 - probabilities(-x, -upper, -lower)
    return scipy.stats.truncnorm.cdf(x.astype(np.float64), lower, upper)
