"""The distribution of the activations in every layer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import Activations
from pyinit.diagnostics.layers import numbers
from pyinit.diagnostics.moments import percent
from pyinit.diagnostics.verdicts import SATURATED
from pyinit.plots import strips
from pyinit.plots.canvas import COLOURS, ENDS, INK, WIDTH, figure, require, shortened, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure, SubFigure

__all__ = ["draw_histograms", "height", "histograms"]

PANELS = 5
ROWS = len(COLOURS)
"""With more schemes than colours, each becomes a strip."""


@style()
def histograms(activations: Mapping[str, Activations], *, title: str = "") -> Figure:
    """Draw the histogram of every layer: one row per scheme, or one strip per scheme if there are more than six.

    Parameters
    ----------
    activations : mapping of str to Activations
        The keys are the names above the rows or strips.
    title : str
        The network, for example `Diagnosis.network`.

    Returns
    -------
    matplotlib.figure.Figure
        At most five panels in a row: if there are more layers, five evenly spaced ones from the first to the last.
        Heights are shares of the values on a square-root scale, the same in all panels of a row. The outermost bins of
        tanh, sigmoid and softmax are orange. Above them is the saturated share; above other activations, the share of
        dead units. A strip has a column for every layer; the more frequent a value, the darker.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no activations.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> small = diagnose(layers=3, width=50, scheme="small")
    >>> figure = histograms({"small": small.activations})
    >>> [axes.get_title() for axes in figure.axes]
    ['layer 1', 'layer 2', 'layer 3']
    """
    require(activations)
    drawing = figure(WIDTH, height(activations) + 0.3 * bool(title), title)
    draw_histograms(drawing, activations)
    return drawing


def height(schemes: Sized) -> float:
    """Return the height in inches of these schemes' histograms."""
    return 0.7 + (1.8 * len(schemes) if len(schemes) <= ROWS else strips.height(schemes))


def draw_histograms(drawing: Figure | SubFigure, activations: Mapping[str, Activations]) -> None:
    """Draw one row of panels per scheme, or one strip."""
    if len(activations) > ROWS:
        strips.draw(drawing, activations)
        return
    rows = drawing.subfigures(len(activations), 1, squeeze=False)[:, 0]
    for row, (name, a) in zip(rows, activations.items()):
        heading = textwrap.fill(f"{name} \N{EN DASH} {a.verdict}", 62, max_lines=4, placeholder=" …")
        row.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="normal", parse_math=False)
        layers = panels(len(a.std))
        shares = a.counts / np.maximum(a.counts.sum(axis=1, keepdims=True), 1)
        grid = row.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for axes, layer in zip(grid, layers):
            draw_panel(axes, a, layer, shares[layer])
        scale_heights(grid[0], shares[layers].max())
    drawing.supylabel("share of values (root scale)", fontsize=11)
    drawing.supxlabel("\n".join(["activation", *notes(activations.values())]), fontsize=11)


def notes(activations: Iterable[Activations]) -> list[str]:
    """Explain the shares in the panels: saturated values, or dead units.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> notes([diagnose(layers=2, width=50).activations])
    ['orange: the ends of the range; %: values with |a| > 0.99']
    """
    kinds = dict.fromkeys(kind for a in activations for kind in a.activation)
    ends = " or ".join(f"{of} with {condition}" for of, condition in (SATURATED[k] for k in kinds if k in SATURATED))
    return [f"orange: the ends of the range; %: {ends}"] if ends else []


def panels(layers: int) -> list[int]:
    """Choose the layers to show: all, or five evenly spaced.

    Examples
    --------
    >>> panels(3), panels(101)
    ([0, 1, 2], [0, 25, 50, 75, 100])
    """
    return [round(float(i)) for i in np.linspace(0, layers - 1, min(layers, PANELS))]


def scale_heights(axes: Axes, highest: float) -> None:
    """Set a row's common scale of heights: the root shows low bins beside high ones. Leave room for a text above."""
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
    if a.activation[layer] in SATURATED:
        ends = share.copy()
        ends[1:-1] = 0
        axes.stairs(ends, edges, fill=True, color=ENDS)
        write(axes, 0.98, percent(a.saturated[layer]), ENDS)
    elif a.dead[layer] > 0:
        write(axes, 0.98, f"{percent(a.dead[layer])} dead", ENDS)
    if a.non_finite[layer]:
        write(axes, 0.6, f"{percent(a.non_finite[layer])}\nnot finite", INK)


def write(axes: Axes, y: float, text: str, colour: str) -> None:
    """Write a text in the middle of a panel, with its top at a height."""
    axes.text(0.5, y, text, transform=axes.transAxes, ha="center", va="top", color=colour, fontsize=10)
