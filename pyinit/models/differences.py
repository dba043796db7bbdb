"""Compare two arrays of numbers: are they equal, scaled by a factor, or different?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.initializers.windows import decode

__all__ = ["FLOATS", "SAMPLE", "Difference", "difference", "integers", "is_float", "wide"]

SAMPLE = 4096  # so few elements already show that most tensors are not scaled, or not equal in another dtype

# Bits of the mantissa, and the smallest normal number.
PRECISION = {
    "float64": (52, 2.0**-1022),
    "float32": (23, 2.0**-126),
    "float16": (10, 2.0**-14),
    "bfloat16": (7, 2.0**-126),
    "float8_e5m2": (2, 2.0**-14),
    "float8_e4m3fn": (3, 2.0**-6),
}
FLOATS = tuple(PRECISION)  # the widest first


@dataclass
class Difference:
    """The result of comparing a tensor, or some of its elements; `add` joins results.

    Attributes
    ----------
    compared, different : int
        The number of elements.
    first : tuple of int or None
        The index of the first element that differs.
    largest : float
        The largest absolute difference; nan if one is nan.
    low, high : float
        The range of factors by which all initial values could have been multiplied, then rounded; empty if low > high.
    dtypes : set of str or None
        The other dtypes in which all values equal the initial ones; None: all are possible.
    """

    compared: int = 0
    different: int = 0
    first: tuple[int, ...] | None = None
    largest: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    dtypes: set[str] | None = None

    def add(self, other: Difference) -> None:
        """Add the result for other elements of the same tensor."""
        self.compared += other.compared
        self.different += other.different
        if other.first is not None:
            self.first = other.first if self.first is None else min(self.first, other.first)
        self.largest = math.nan if math.isnan(other.largest) else max(self.largest, other.largest)
        self.low, self.high = max(self.low, other.low), min(self.high, other.high)
        if other.dtypes is not None:
            self.dtypes = other.dtypes if self.dtypes is None else self.dtypes & other.dtypes

    @property
    def verdict(self) -> str:
        """The verdict if some values differ."""
        if self.dtypes:
            return f"equal in {min(self.dtypes, key=FLOATS.index)}"
        if self.compared > 1 and -math.inf < self.low <= self.high < math.inf and not self.low <= 1 <= self.high:
            return f"scaled by {factor(self.low, self.high)}"
        return "differs"


def factor(low: float, high: float) -> str:
    """Return the shortest decimal between two bounds.

    Examples
    --------
    >>> factor(0.4999, 0.5001), factor(0.17677, 0.17678)
    ('0.5', '0.17678')
    """
    middle = (low + high) / 2
    texts = (f"{middle:.{digits}g}" for digits in range(1, 18))
    return next((text for text in texts if low <= float(text) <= high), repr(middle))


def difference(values: NDArray[Any], made: NDArray[Any]) -> Difference:
    """Compare values with initial ones, of the same shape and dtype.

    Returns
    -------
    Difference
        Its `first` is an index in these arrays.
    """
    unequal = integers(values) != integers(made)
    count = int(np.count_nonzero(unequal))
    if not count:
        near = 1.0 if integers(made).any() else math.nan
        return Difference(values.size, low=near, high=near) if near == 1.0 else Difference(values.size)
    first = np.unravel_index(int(unequal.argmax()), unequal.shape)
    with np.errstate(invalid="ignore", over="ignore"):  # even a cast warns of a signalling nan
        there, expected = wide(values), wide(made)
        apart = there - expected
        largest = float(np.abs(apart).max())
    low, high = -math.inf, math.inf
    for part in (slice(SAMPLE), slice(None)):  # a few elements already show that most tensors are not scaled
        if low <= high:
            low, high = factors(there.reshape(-1)[part], expected.reshape(-1)[part], values.dtype)
    return Difference(values.size, count, tuple(map(int, first)), largest, low, high)


def is_float(dtype: np.dtype[Any] | None) -> bool:
    """Whether a dtype is a float dtype that pyinit fills."""
    row = None if dtype is None else _core.dtype_row(dtype)
    return row is not None and row.name in PRECISION


def wide(values: NDArray[Any]) -> NDArray[Any]:
    """Convert floats to float64 or float32, which hold all narrower ones exactly; other numbers to float64."""
    found = decode(values) if is_float(values.dtype) else values
    return found.astype(np.float64 if found.dtype.itemsize > 4 or found.dtype.kind != "f" else np.float32, copy=False)


def factors(there: NDArray[Any], expected: NDArray[Any], dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return bounds on the factor between two arrays, apart from rounding; low > high if there is none."""
    if not is_float(dtype) or not (np.isfinite(there).all() and np.isfinite(expected).all()):
        return math.inf, -math.inf
    bits, least = PRECISION[_core.dtype_row(dtype).name]
    normal = (np.abs(there) >= least) & (np.abs(expected) >= least)  # smaller ones have fewer bits
    if not normal.any() or np.any((there != 0) & (expected == 0)):
        return math.inf, -math.inf
    slack = 2.0**-bits * 1.001
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that are far apart
        ratio = there[normal].astype(np.float64) / expected[normal]
        bounds = ratio / (1 + slack), ratio / (1 - slack)
        low, high = float(np.minimum(*bounds).max()), float(np.maximum(*bounds).min())
        kept = (low + high) / 2 * expected[~normal].astype(np.float64)
        if low <= high and not np.all(np.abs(there[~normal] - kept) <= 2 * least):
            return math.inf, -math.inf
    return low, high


def integers(array: NDArray[Any]) -> NDArray[Any]:
    """View values as integers, so that nan equals itself and -0 differs from 0."""
    return array.view(f"u{array.itemsize}")
