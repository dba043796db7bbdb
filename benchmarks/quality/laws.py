"""The exact laws that program.py compares samples with: of the cells, of moments and of tails."""

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

NARROW = {"lower": 0.0, "upper": 0.09375}  # where a bucket of the cells ends
# The samplers, with bounds that make every method of the truncated normal do its work.
SAMPLERS = LAWS | {"truncated_normal from 0 to 0.09": (distributions.truncated_normal(**NARROW), Normal(**NARROW))}
FARTHEST = 13.0  # beyond it the 16th power of a normal adds less than 10^-19 to a moment


@dataclass(frozen=True)
class Reals:
    """Uniform numbers of [0, 1), fine enough to be taken for real ones, and then rounded to float32."""

    def between(self, first, end):
        """The probability of the samples with keys in [first, end)."""
        low, high = (np.clip(rounded_from(keys), 0, 1) for keys in (first, end))
        return high - low


@dataclass(frozen=True, eq=False)
class Law:
    """What is expected of a sampler's samples.

    Attributes
    ----------
    cells : Cells
    own, ideal : ndarray of float64
        The probability of each cell by the sampler's own law and by the ideal one.
    centre, scale : float
        Of z = (x - centre) scale, which has mean 0 and variance 1 by the ideal law.
    moments : ndarray of float64
        E z^k for k = 0, 1, ..., 16.
    tails, radii : ndarray of float64
        The probabilities of |x| and of a pair's radius beyond TAILS and RADII; radii empty for all but Box-Muller.
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
    """The law of a sampler.

    Parameters
    ----------
    name : str
        A key of `SAMPLERS`.
    dtype : {"float32", "float64"}
        That of the samples. float64 is taken to be fine enough for the ideal law, and so is Box-Muller in float32,
        but for its tails, which end at 6.66. Words have it. The others' own law in float32 is counted: all words are
        walked.
    stride : int
        Only every `stride`-th word is.
    tell : callable
        Called with how many more words have been walked.
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
    """The mean, one over the standard deviation, and E z^k for k up to 16."""
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
    """What `probabilities_of_words` wants of cells."""

    edges: np.ndarray


def tails_of_words(distribution):
    """P(|x| > t) for each t of TAILS, of a sampler of one word; exact whatever the stride of a walk."""
    t = TAILS.astype(np.float32)
    between = Edges(np.concatenate([-t[::-1], np.nextafter(t, np.float32(np.inf))]))
    p = probabilities_of_words(between, lambda words: samples_of_words(distribution, words))
    return np.cumsum(p)[: len(t)][::-1] + np.cumsum(p[::-1])[: len(t)][::-1]


def ideal_tails(law):
    """P(|x| > t) for each t of TAILS."""
    if not isinstance(law, Normal):
        return np.zeros(len(TAILS))
    below = normal_mass(np.minimum(law.lower, -TAILS), -TAILS)
    above = normal_mass(TAILS, np.maximum(law.upper, TAILS))
    return (below + above) / normal_mass(law.lower, law.upper)
