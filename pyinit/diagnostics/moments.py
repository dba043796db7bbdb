"""Means and stds that neither lose digits nor overflow, and the format of numbers in tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit.terminal import lines

__all__ = ["Measured", "Moments", "cell", "moments", "percent"]


class Measured(ABC):
    """A measurement of every layer; it prints as its table, with its verdict below."""

    @property
    @abstractmethod
    def verdict(self) -> str:
        """What is wrong, in words; "healthy" if nothing is."""

    @abstractmethod
    def table(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """Return the table's columns and rows as text, one row per layer."""

    def __repr__(self) -> str:
        return "\n".join([*lines(*self.table()), "", self.verdict])


class Moments(NamedTuple):
    """The result of `moments`."""

    mean: float
    std: float
    row_std: float
    non_finite: float


def moments(values: NDArray[Any]) -> Moments:
    """Measure a layer's values, in float64 whatever their dtype.

    Parameters
    ----------
    values : array of shape (batch, units)

    Returns
    -------
    mean, std : float
        Over all values; NaN if one of them is not finite. The std divides by their number.
    row_std : float
        The std of a unit over the rows of the batch, as the root mean square over units. It is 0 if all rows are
        equal, whatever their values: nothing of the input is left.
    non_finite : float in [0, 1]
        The share of values that are infinite or NaN.

    Examples
    --------
    >>> moments(np.array([[1.0, 5.0], [1.0, 5.0]]))
    Moments(mean=3.0, std=2.0, row_std=0.0, non_finite=0.0)
    """
    non_finite = float(np.mean(~np.isfinite(values)))
    if non_finite:
        return Moments(np.nan, np.nan, np.nan, non_finite)
    # Divided by the largest, no square overflows or vanishes, and equal values become 1, with a std of exactly 0.
    scale = float(np.abs(values).max()) or 1.0
    scaled = values.astype(np.float64) / scale
    mean, std = scaled.mean(), scaled.std()
    row_std = np.sqrt((scaled - scaled[0]).var(axis=0).mean())
    return Moments(float(mean) * scale, float(std) * scale, float(row_std) * scale, 0.0)


def cell(value: float) -> str:
    """Format a number with three digits; an undefined one is empty.

    Examples
    --------
    >>> cell(0.0476), cell(2.963e-7), cell(float("nan"))
    ('0.0476', '2.96e-07', '')
    """
    return f"{value + 0.0:.3g}" if np.isfinite(value) else ""


def percent(share: float) -> str:
    """Format a share in per cent; only an exact 0 or 1 becomes 0% or 100%.

    Examples
    --------
    >>> [percent(share) for share in (0.0, 1e-5, 0.0313, 0.906, 0.99999, 1.0)]
    ['0%', '0.1%', '3.1%', '90.6%', '99.9%', '100%']
    """
    if not np.isfinite(share):
        return ""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def present(columns: Iterable[tuple[str, list[str]]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Make a table's columns and rows, without the empty columns."""
    kept = [(name, cells) for name, cells in columns if any(cells)]
    return [name for name, _ in kept], list(zip(*(cells for _, cells in kept), strict=True))
