"""The distribution of many schemes' activations: one heat map of layers and values for each scheme."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import Activations
from pyinit.diagnostics.layers import numbers

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure, SubFigure

__all__ = ["draw", "height"]

COLUMNS = 2


def height(schemes: Sized) -> float:
    """Return the height in inches of these schemes' strips."""
    return 1.7 * -(-len(schemes) // COLUMNS)


def draw(drawing: Figure | SubFigure, activations: Mapping[str, Activations]) -> None:
    """Draw one strip per scheme."""
    grid = drawing.subplots(-(-len(activations) // COLUMNS), COLUMNS, squeeze=False).ravel()
    for axes, (name, a) in zip(grid, activations.items()):
        draw_strip(axes, a)
        title = [textwrap.shorten(text, 42, placeholder=" …") for text in (name, a.verdict)]
        axes.set_title("\n".join(title), loc="left", fontsize=9, parse_math=False)
    for axes in grid[len(activations) :]:
        axes.remove()
    drawing.supylabel("activation", fontsize=11)
    drawing.supxlabel("layer\nstrongest colour: the values that a layer has most often", fontsize=11)


def draw_strip(axes: Axes, a: Activations) -> None:
    """Draw a column for every layer; its most frequent value is the darkest."""
    layers = len(a.std)
    for first, last in runs(a.edges):
        counts = a.counts[first:last]
        share = counts / np.maximum(counts.max(axis=1, keepdims=True), 1)
        borders = np.arange(first, last + 1) + 0.5
        axes.pcolormesh(borders, a.edges[first], np.sqrt(share).T, cmap="Blues", vmin=0, vmax=1, rasterized=True)
    low, high = a.edges.min(), a.edges.max()
    axes.set(xlim=(0.5, layers + 0.5), ylim=(low, high), yticks=(low, high), yticklabels=(f"{low:.2g}", f"{high:.2g}"))
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.grid(visible=False)
    if a.name != numbers(layers):
        axes.set_xlabel(f"{a.name[0]} … {a.name[-1]}", fontsize=8, parse_math=False)


def runs(edges: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield [first, last) for each run of layers with the same bins."""
    first = 0
    for _, run in itertools.groupby(edges.tolist()):
        last = first + len(list(run))
        yield first, last
        first = last
