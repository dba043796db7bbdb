"""Histograms of schemes' values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyinit.plots.canvas import COLOURS, INK, WIDTH, figure, require, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure

__all__ = ["scheme_spreads"]

COLUMNS = 4
BINS = 41  # odd, so that 0 is in the middle of a bin


@style()
def scheme_spreads(values: Mapping[str, NDArray[Any]], *, title: str = "Values of each scheme") -> Figure:
    """Draw the histogram of each scheme's values, each on a scale of its own, with its standard deviation.

    Parameters
    ----------
    values : mapping of str to array
        Each scheme's values, by its name.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Four panels in each row. The horizontal axis is symmetric about 0 and ends at the largest absolute value;
        heights are shares of the values on a square-root scale.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no values.

    Examples
    --------
    >>> figure = scheme_spreads({"normal": pyinit.Stream(0).normal(1000)})
    >>> [axes.get_title() for axes in figure.axes]
    ['normal']
    """
    require(values)
    columns = min(COLUMNS, len(values))
    rows = -(-len(values) // columns)
    drawing = figure(max(WIDTH * columns / COLUMNS, 5.0), 1.0 + 1.5 * rows)
    drawing.suptitle(title)
    panels = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, drawn) in zip(panels, values.items()):
        draw(axes, name, np.asarray(drawn, np.float64).ravel())
    for axes in panels[len(values) :]:
        axes.remove()
    drawing.supxlabel("value", fontsize=11)
    drawing.supylabel("share (root scale)", fontsize=11)
    return drawing


def draw(axes: Axes, name: str, values: NDArray[np.float64]) -> None:
    """Draw one panel."""
    end = float(np.abs(values).max(initial=0)) or 1.0
    counts, edges = np.histogram(values, BINS, (-end, end))
    shares = counts / max(len(values), 1)
    axes.set_title(name, fontsize=9, parse_math=False)
    axes.stairs(shares, edges, fill=True, color=COLOURS[0])
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    axes.set(xlim=(-end, end), xticks=(-end, 0, end), xticklabels=(f"{-end:.2g}", "0", f"{end:.2g}"))
    axes.set(ylim=(0, 1.7 * shares.max()), yticks=[])
    left, _, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    spread = f"std {values.std():.3g}"
    axes.text(0.02, 0.97, spread, transform=axes.transAxes, ha="left", va="top", color=INK, fontsize=9)
