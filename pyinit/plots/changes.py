"""A picture of how much a checkpoint's tensors changed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyinit.plots.canvas import INK, WIDTH, figure, legend, line, require, shortened, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure

__all__ = ["changes"]

MOST_LAYERS = 100
MOST_KINDS = 6


@style()
def changes(values: Mapping[str, float | None], *, xlabel: str = "change", title: str = "What changed") -> Figure:
    """Draw how much each tensor changed: a row for each layer, a marker for each of its tensors.

    Parameters
    ----------
    values : mapping of str to float or None
        Each tensor's change by its name, at least 0. None if it could not be compared.
    xlabel : str
        The label of the values, with their unit.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        On a logarithmic scale. Beside it are tensors that did not change (0), that changed by infinity or NaN (∞),
        and that were not compared (n/a). If there are more than a hundred layers, those that changed most are shown.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no tensors.

    Examples
    --------
    >>> figure = changes({"fc1.weight": 0.02, "fc1.bias": 0.0, "fc2.weight": 0.5})
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['fc1', 'fc2']
    """
    require(values)
    layers: dict[str, dict[str, float | None]] = {}
    for name, value in values.items():
        layers.setdefault(layer_of(name), {})[name] = value
    rows = in_order(layers)
    ylabel = "layer"
    if len(rows) > MOST_LAYERS:
        largest = sorted(rows, key=lambda layer: max(map(weight, layers[layer].values())), reverse=True)[:MOST_LAYERS]
        ylabel = f"the {MOST_LAYERS} of {len(rows):,} layers that changed most"
        rows = [layer for layer in rows if layer in largest]
    drawing = figure(WIDTH, 2.2 + 0.24 * len(rows), title)
    axes = drawing.subplots()
    low, high = scale(axes, [value for layer in rows for value in layers[layer].values()])
    series: dict[str, list[tuple[float, int]]] = {}
    for y, layer in enumerate(rows):
        for name, value in layers[layer].items():
            kind = kind_of(name)
            kind = kind if kind in series or len(series) < MOST_KINDS else "others"
            series.setdefault(kind, []).append((place(value, low, high), y))
    for i, (kind, points) in enumerate(series.items()):
        axes.plot(*zip(*points), **line(i) | {"linestyle": "", "label": kind, "alpha": 0.8, "markersize": 7 - i / 2})
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
    axes.set_yticklabels([shortened(layer, 24) for layer in rows], fontsize=9, parse_math=False)
    legend(drawing, axes)
    return drawing


def scale(axes: Axes, values: Sequence[float | None]) -> tuple[int, int]:
    """Set the scale of powers of ten, with the places needed beside it; return its smallest and largest power."""
    powers = [math.log10(value) for value in values if value and math.isfinite(value)] or [0.0]
    low, high = math.floor(min(powers)), max(math.ceil(max(powers)), math.floor(min(powers)) + 1)
    ticks = {float(p): f"$10^{{{p}}}$" for p in range(low, high + 1, 1 + (high - low) // 6)}
    ticks |= {place(v, low, high): "0" if v == 0 else "n/a" if v is None else "∞" for v in values if is_beside(v)}
    if any(v == 0 for v in values):
        axes.axvspan(low - 1.5, low - 0.5, color=INK, alpha=0.1, linewidth=0)
    axes.set(xticks=list(ticks), xticklabels=list(ticks.values()), xlim=(min(ticks) - 0.5, max(ticks) + 0.5))
    return low, high


def is_beside(value: float | None) -> bool:
    """Whether a value has no place on a logarithmic scale."""
    return not value or not math.isfinite(value)


def place(value: float | None, low: int, high: int) -> float:
    """Return a value's place in powers of ten; one without a logarithm is placed beside the scale.

    Examples
    --------
    >>> [place(value, -6, 0) for value in (0.01, 0.0, float("inf"), None)]
    [-2.0, -7.0, 1.0, 2.0]
    """
    if value is None:
        return high + 2.0
    if not math.isfinite(value):
        return high + 1.0
    return math.log10(value) if value else low - 1.0


def layer_of(name: str) -> str:
    """Return a tensor's layer: its name up to the first number, or without its last part.

    Examples
    --------
    >>> layer_of("model.layers.3.mlp.up.weight"), layer_of("fc1.weight"), layer_of("scale")
    ('model.layers.3', 'fc1', 'scale')
    """
    parts = name.split(".")
    number = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return ".".join(parts[: number + 1] if number is not None else parts[:-1]) or name


def kind_of(name: str) -> str:
    """Return a tensor's kind: the last part of its name."""
    return name.rpartition(".")[2] if "." in name else "tensor"


def in_order(layers: Mapping[str, object]) -> list[str]:
    """Sort layers: names that differ in numbers only are grouped, and sorted by their numbers.

    Examples
    --------
    >>> in_order(dict.fromkeys(["wte", "h.0", "h.10", "h.2", "ln"]))
    ['wte', 'h.0', 'h.2', 'h.10', 'ln']
    """
    first: dict[str, int] = {}
    for i, layer in enumerate(layers):
        first.setdefault(re.sub(r"\d+", "#", layer), i)
    return sorted(layers, key=lambda layer: (first[re.sub(r"\d+", "#", layer)], [*map(int, re.findall(r"\d+", layer))]))


def weight(value: float | None) -> float:
    """Return a change's rank; a tensor that was not compared ranks lowest."""
    return -1.0 if value is None else math.inf if math.isnan(value) else value
