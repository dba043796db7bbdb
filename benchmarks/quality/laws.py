"""The exact laws that program.py compares samples with: probabilities of cells, moments and tails."""

import math
from dataclasses import dataclass

import numpy as np

from pyinit import distributions
from quality import evidence
from quality.cells import (
    LAWS,
    Cells,
    Normal,
    Uniform,
    Words,
    cells_for,
    normal_mass,
    probabilities_of_words,
    rounded_from,
)
from quality.host import RADII, TAILS, samples_of_words, walk

NARROW = {"lower": 0.0, "upper": 0.09375}  # the end of one of the cells' buckets
# The samplers, with bounds that use every method of the truncated normal.
SAMPLERS = LAWS | {"truncated_normal from 0 to 0.09": (distributions.truncated_normal(**NARROW), Normal(**NARROW))}
FARTHEST = 13.0  # beyond this, the 16th power of a normal adds less than 10^-19 to a moment


@dataclass(frozen=True)
class Reals:
    """Uniform numbers in [0, 1), fine enough to count as real, then rounded to float32."""

    def between(self, first, end):
        """The probability of the samples with keys in [first, end)."""
        low, high = (np.clip(rounded_from(keys), 0, 1) for keys in (first, end))
        return high - low


@dataclass(frozen=True, eq=False)
class Law:
    """The expected properties of a sampler's samples.

    Attributes
    ----------
    cells : Cells
    own, ideal : ndarray of float64
        The probability of each cell by the sampler's own law and by the ideal one.
    centre, scale : float
        They define z = (x - centre) scale, which has mean 0 and variance 1 by the ideal law.
    moments : ndarray of float64
        E z^k for k = 0, 1, ..., 16.
    tails, radii : ndarray of float64
        The probabilities of |x| beyond TAILS and of a pair's radius beyond RADII; radii is empty except for Box-Muller.
    falls : int or None
        How often a larger word gives a smaller sample; None if the words were not walked.
    """

    cells: Cells
    own: np.ndarray
    ideal: np.ndarray
    centre: float
    scale: float
    moments: np.ndarray
    tails: np.ndarray
    radii: np.ndarray
    falls: int | None = None


def law_of(name, dtype="float32", stride=1, tell=lambda words: None):
    """Return the law of a sampler.

    Parameters
    ----------
    name : str
        A key of `SAMPLERS`.
    dtype : {"float32", "float64"}
        The samples' dtype. float64 is assumed to be fine enough for the ideal law, and so is Box-Muller in float32
        except for its tails, which end at 6.66. Words have the ideal law. The own law of other samplers in float32 is
        counted by walking all words.
    stride : int
        Walk only every `stride`-th word.
    tell : callable
        Called with the number of words walked since the last call.
    """
    distribution, law = SAMPLERS[name]
    if dtype == "float64" and isinstance(law, Uniform):
        law = Reals()
    cells = cells_for(law)
    ideal = cells.probabilities(law)
    centre, scale, moments = ideal_moments(law)
    if name in ("bits", "normal") or dtype == "float64":
        of_one, radii = ideal_tails(law), np.zeros(0)
        if name == "normal":
            radii = np.array([evidence.radius_beyond(t, dtype) for t in RADII])
            of_one = np.array([evidence.beyond(t, dtype) for t in TAILS])
        return Law(cells, ideal, ideal, centre, scale, moments, of_one, radii)
    seen, count = walk(distribution, stride, cells, centre, scale, tell), 2**32 // stride
    moments, falls = np.concatenate([[1.0], seen["powers"] / count]), int(seen["falls"])
    tails = tails_of_words(distribution)
    return Law(cells, seen["cells"] / count, ideal, centre, scale, moments, tails, np.zeros(0), falls)


def ideal_moments(law):
    """Return the mean, the reciprocal of the standard deviation, and E z^k for k up to 16."""
    low, high = (0.0, 1.0) if not isinstance(law, Normal) else np.clip([law.lower, law.upper], -FARTHEST, FARTHEST)
    low, high = (0.0, 2.0**32) if isinstance(law, Words) else (low, high)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    ends = np.linspace(low, high, 101)
    half = np.diff(ends)[:, None] / 2
    x, weight = ends[:-1, None] + half * (1 + nodes), half * weights
    density = np.exp(-x * x / 2) if isinstance(law, Normal) else np.ones_like(x)
    weight = weight * density / (weight * density).sum()
    mean = (weight * x).sum()
    scale = 1 / math.sqrt((weight * (x - mean) ** 2).sum())
    return mean, scale, np.array([(weight * ((x - mean) * scale) ** k).sum() for k in range(17)])


@dataclass(frozen=True, eq=False)
class Edges:
    """The part of cells that `probabilities_of_words` needs."""

    edges: np.ndarray


def tails_of_words(distribution):
    """P(|x| > t) for each t of TAILS, for a sampler of one word; exact for any stride of a walk."""
    t = TAILS.astype(np.float32)
    between = Edges(np.concatenate([-t[::-1], np.nextafter(t, np.float32(np.inf))]))
    p = probabilities_of_words(between, lambda words: samples_of_words(distribution, words))
    return np.cumsum(p)[: len(t)][::-1] + np.cumsum(p[::-1])[: len(t)][::-1]


def ideal_tails(law):
    """P(|x| > t) for each t of TAILS, by the ideal law."""
    if not isinstance(law, Normal):
        return np.zeros(len(TAILS))
    below = normal_mass(np.minimum(law.lower, -TAILS), -TAILS)
    above = normal_mass(TAILS, np.maximum(law.upper, TAILS))
    return (below + above) / normal_mass(law.lower, law.upper)
