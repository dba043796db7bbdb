"""The kinds of fills in the tests: a case for each sampler and each way to compute it, in every dtype."""

import math

import numpy as np
import reference

from pyinit import _core
from pyinit.arrays import dtype_of
from pyinit.distributions import bits, constant, normal, truncated_normal, uniform

# Parameters that float32 cannot hold, so that their rounding is tested too.
CASES = {
    "bits": bits(),
    "uniform": uniform(-1.1, 2.3),
    "normal": normal(0.3, 1.7),
    "icdf": normal(0.3, 1.7, "icdf"),
    "centre": truncated_normal(0.1, 1.3, -1.5, 2.1),
    "mirrored": truncated_normal(0.7, 2.9, 0.5, 9.3),
    "tail": truncated_normal(0.1, 0.7, -math.inf, -6.1),
    "narrow": truncated_normal(0.1, 1.3, 1.0, 1.01),
    "subnormal": normal(0.0, 1.1e-39),
    "constant": constant(0.3),
}
# These share a kernel, and each has its own table of coefficients.
TAILS = [truncated_normal(0.0, 1.0, lower, math.inf) for lower in (0.6, 3.0, 9.0)]
DTYPES = {name: dtype_of(name) for name in _core.DTYPES}
KINDS = [(case, dtype) for case in CASES for dtype in DTYPES if (case == "bits") == (dtype == "uint32")]


def name(kind):
    """Return a kind's name for pytest."""
    return "-".join(kind)


def fill(stream, kind, out, **options):
    """Fill an array with samples of a kind."""
    return stream.fill(out, CASES[kind[0]], **options)


def empty(shape, kind):
    """Return a new array of a kind's dtype."""
    return np.zeros(shape, DTYPES[kind[1]])


def words(kind):
    """Return the words per sample; for a constant, which takes none, those that a kernel would skip."""
    return 2 if kind[1] == "float64" else 1


def claim(kind, position, count):
    """Return the start of a fill requested at a position, and the stream's position after it."""
    return reference.claim(position, CASES[kind[0]].sampler, kind[1], count)
