"""The distribution of the activations in every layer."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import Activations
from pyinit.diagnostics.forward import RANGES
from pyinit.diagnostics.layers import numbers
from pyinit.diagnostics.moments import percent
from pyinit.plots.canvas import COLOURS, ENDS, INK, WIDTH, figure, require, shortened, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure, SubFigure

__all__ = ["draw_histograms", "height", "histograms"]

PANELS = 10


@style()
def histograms(activations: Mapping[str, Activations]) -> Figure:
    """Draw the histogram of every layer, one row a scheme.

    Parameters
    ----------
    activations : mapping of str to Activations
        By the name that stands above the row.

    Returns
    -------
    matplotlib.figure.Figure
        Ten panels a row at most: of more layers, ten evenly spaced, the first and the last among them. Heights are
        shares of the values on a square-root scale, the same in all panels of a row. The outermost bins of tanh,
        sigmoid and softmax are orange, with the share that they hold.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no activations.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> figure = histograms({"small": diagnose(layers=3, width=50, scheme="small").activations})
    >>> [axes.get_title() for axes in figure.axes]
    ['layer 1', 'layer 2', 'layer 3']
    """
    require(activations)
    drawing = figure(WIDTH, height(activations))
    draw_histograms(drawing, activations)
    return drawing


def height(rows: Sized) -> float:
    """Give the height in inches that so many rows of histograms need."""
    return 0.7 + 1.7 * len(rows)


def draw_histograms(drawing: Figure | SubFigure, activations: Mapping[str, Activations]) -> None:
    """Draw one row of panels a scheme."""
    rows = drawing.subfigures(len(activations), 1, squeeze=False)[:, 0]
    for row, (name, a) in zip(rows, activations.items()):
        heading = textwrap.fill(f"{name} \N{EN DASH} {a.verdict}", 105, max_lines=4, placeholder=" …")
        row.suptitle(heading, x=0.01, ha="left", parse_math=False)
        layers = panels(len(a.std))
        shares = a.counts / np.maximum(a.counts.sum(axis=1, keepdims=True), 1)
        grid = row.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for axes, layer in zip(grid, layers):
            draw_panel(axes, a, layer, shares[layer])
        scale_heights(grid[0], shares[layers].max())
    drawing.supylabel("share of values (root scale)", fontsize=11)
    bounded = {name for a in activations.values() for name in a.activation} & set(RANGES)
    note = "   (orange: the outermost bins, and the share of the values that they hold)" if bounded else ""
    drawing.supxlabel("activation" + note, fontsize=11)


def panels(layers: int) -> list[int]:
    """Choose the layers that are shown: all, or ten evenly spaced.

    Examples
    --------
    >>> panels(3), panels(100)
    ([0, 1, 2], [0, 11, 22, 33, 44, 55, 66, 77, 88, 99])
    """
    return [round(float(i)) for i in np.linspace(0, layers - 1, min(layers, PANELS))]


def scale_heights(axes: Axes, highest: float) -> None:
    """Set a row's common scale of heights: the root shows low bins beside high ones. Above them is room for a text."""
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    ticks = [y for y in (0.01, 0.1, 0.5, 1.0) if y <= highest * 1.01] if highest > 0.1 else [0.01, 0.05]
    axes.set(ylim=(0, 1.6 * max(highest, 0.05)), yticks=ticks, yticklabels=[f"{y:g}" for y in ticks])


def draw_panel(axes: Axes, a: Activations, layer: int, share: NDArray[np.float64]) -> None:
    """Draw the histogram of one layer."""
    edges = a.edges[layer]
    low, high = edges[0], edges[-1]
    named = a.name != numbers(len(a.name))
    title = shortened(a.name[layer], 15) if named else f"layer {a.name[layer]}"
    axes.set_title(title, fontsize=8 if named else 10, parse_math=False)
    axes.stairs(share, edges, fill=True, color=COLOURS[0])
    axes.set(xlim=(low, high), xticks=(low, high), xticklabels=(f"{low:.2g}", f"{high:.2g}"))
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    if a.activation[layer] in RANGES:
        ends = share.copy()
        ends[1:-1] = 0
        axes.stairs(ends, edges, fill=True, color=ENDS)
        write(axes, 0.98, percent(ends.sum()), ENDS)
    if a.non_finite[layer]:
        write(axes, 0.6, f"{percent(a.non_finite[layer])}\nnot finite", INK)


def write(axes: Axes, y: float, text: str, colour: str) -> None:
    """Write in the middle of a panel, from a height downwards."""
    axes.text(0.5, y, text, transform=axes.transAxes, ha="center", va="top", color=colour, fontsize=10)
