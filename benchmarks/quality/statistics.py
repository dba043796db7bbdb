"""The p-values that program.py computes from counts, by name, and the flaws that must be noticed.

Each p-value is uniform for right samples, so all of them together can be tested too. The p-values of a Poisson law
with few expected events are not uniform; `of_few` tells which.
"""

from functools import cache

import numpy as np

from quality.cells import DF, SIGMA, noncentrality, p_value, statistic
from quality.evidence import of_gap, of_poisson, of_z
from quality.host import CHUNK, RADII, TAILS

FEW = 50  # with fewer events a p-value takes few values
MOMENTS = 8
CONTROL = 85.0  # a control's standard deviation is too large by this divided by the root of the number of samples


def p_values(seen, law, count):
    """Return the p-values of a tally, by family and name.

    Parameters
    ----------
    seen : dict
        The result of `host.tally`.
    law : quality.laws.Law
    count : int
        The number of samples.

    Returns
    -------
    dict of str to dict of str to float
    """
    own = law.own
    bytes_of = own.reshape(256, 256).sum(axis=1)
    return {
        "cells": {"chi2": p_value(statistic(seen["cells"], own))},
        "kolmogorov_smirnov": {"D": of_ks_cells(seen["cells"], own)},
        "anderson_darling": {"A2": of_anderson_darling(anderson_darling(seen["cells"], own))},
        "moments": moments(seen["powers"], law.moments, count),
        "pairs": {"chi2": p_value(statistic(seen["pairs"], np.outer(bytes_of, bytes_of).ravel()))},
        "lags": lags(seen["products"], law.moments, count),
        "tails": tails(seen, law, count),
    }


def ideal_distance(seen, law, count):
    """Return the cells' distance from the ideal law and its expectation, in standard deviations of chi-squared."""
    return {
        "z": (statistic(seen["cells"], law.own) - DF) / SIGMA,
        "z_ideal": (statistic(seen["cells"], law.ideal) - DF) / SIGMA,
        "z_ideal_expected": count * noncentrality(law.own, law.ideal) / SIGMA,
    }


def of_ks_cells(counts, probabilities):
    """Kolmogorov and Smirnov's largest gap, at the edges of the cells."""
    count = counts.sum()
    gap = np.abs(np.cumsum(counts) / count - np.cumsum(probabilities)).max()
    return of_gap(gap, count)


def anderson_darling(counts, probabilities):
    """Anderson and Darling's A^2, summed over the edges of the cells."""
    count = counts.sum()
    below = np.cumsum(probabilities)[:-1]
    gap = np.cumsum(counts)[:-1] / count - below
    weight = (probabilities[1:] + probabilities[:-1]) / 2
    return float(count * np.sum(gap**2 / (below * (1 - below)) * weight))


@cache
def anderson_darling_law():
    """The logarithm at t of the characteristic function of A^2's limit, a sum of (normals squared) / (j (j + 1)).

    The terms beyond j = 200 are replaced by their mean, 1/201.

    Source: T. W. Anderson, D. A. Darling, "Asymptotic theory of certain goodness of fit criteria based on stochastic
    processes", Annals of Mathematical Statistics 23 (1952), 193-212.
    """
    t = np.exp(np.linspace(np.log(1e-6), np.log(1500), 40_001))
    logarithm = 1j * t / 201
    for j in range(1, 201):
        logarithm -= 0.5 * np.log(1 - 2j * t / (j * (j + 1)))
    return t, logarithm


def of_anderson_darling(a2):
    """The p-value of A^2 by its limit law, from the inverted characteristic function (Gil-Pelaez)."""
    if not a2 < 40:  # p is less than 10^-17
        return 0.0
    t, logarithm = anderson_darling_law()
    integrand = np.exp(logarithm - 1j * t * a2).imag  # over t, times dt = t d(log t)
    step = np.log(t[1] / t[0])
    beyond = 0.5 + (np.sum(integrand) - (integrand[0] + integrand[-1]) / 2) * step / np.pi
    return float(np.clip(beyond + (1 - a2) * t[0] / np.pi, 0, 1))  # below the first t, the integrand is E - a2


def moments(powers, expected, count):
    """The moments up to 8, each without its correlation to the ones before: eight uncorrelated normals."""
    k = np.arange(1, MOMENTS + 1)
    covariance = expected[np.add.outer(k, k)] - np.outer(expected[k], expected[k])
    deviations = (powers[:MOMENTS] / count - expected[k]) * np.sqrt(count)
    z = np.linalg.solve(np.linalg.cholesky(covariance), deviations)
    return {f"E x^{i}": of_z(value) for i, value in zip(k, z, strict=True)}


def lags(products, moments, count):
    """Correlations of samples 1 to 8 apart, and of their squares."""
    k = np.arange(1, products.shape[1] + 1)
    pairs = count - k * -(-count // CHUNK)
    spread = moments[2], moments[4] - 2 * moments[2] + 1
    return {
        f"{what}, {lag} apart": of_z(z)
        for what, sums, each in zip(("x", "x^2"), products, spread, strict=True)
        for lag, z in zip(k, sums / (each * np.sqrt(pairs)), strict=True)
    }


def tails(seen, law, count):
    """Compare the numbers of samples, and of radii of pairs, between limits far out with the Poisson law."""
    result = {}
    for what, limits, numbers, far, mean in (
        ("|x|", TAILS, seen["tails"], law.tails, count),
        ("radius", RADII, seen["radii"], law.radii, count / 2),
    ):
        for i in range(len(far)):
            n, expected = int(numbers[i] - sum(numbers[i + 1 : i + 2])), mean * (far[i] - sum(far[i + 1 : i + 2]))
            name = f"{what} from {limits[i]:g} ({'few' if expected < FEW else 'many'} expected)"
            if expected or n:
                result[name] = of_poisson(n, expected)
    return result


def of_few(name):
    """Whether a p-value takes so few values that it is not uniform."""
    return name.endswith("(few expected)")


# The flaws, by name: their change to a part's samples, and the families that must notice it.


def widened(count):
    """Make a standard deviation, or a range, too large."""

    def change(x):
        x *= x.dtype.type(1 + CONTROL / np.sqrt(count))
        return x

    return change


def repeating(x):
    """Make one sample in 64 repeat the one 1, 2, ..., 8 places before it, in turn."""
    at = np.arange(63, x.size, 64)
    x[at] = x[at - 1 - np.arange(at.size) % 8]
    return x


def clipped(x):
    """Clip samples to 4.25."""
    return np.clip(x, -4.25, 4.25)


def without_low_bits(x):
    """Clear the lowest five bits of a word, or of a multiple of 2^-24."""
    if x.dtype == np.uint32:
        return x & np.uint32(2**32 - 2**5)
    return np.floor(x * x.dtype.type(2**19)) / x.dtype.type(2**19)


def controls_of(name, dtype, count):
    """Return the flaws for a sampler: names, with the change and the families that must notice it."""
    found = {"repeats samples": (repeating, ("pairs", "lags"))}
    if name != "bits":
        found["is too wide"] = widened(count), ("cells", "kolmogorov_smirnov", "anderson_darling", "moments")
    if name in ("bits", "uniform") and dtype != "float64":
        found["lacks five bits"] = without_low_bits, ("cells",)
    if name in ("normal", "normal_icdf", "truncated_normal from 1 on"):
        found["ends at 4.25"] = clipped, ("tails",)
    return found
