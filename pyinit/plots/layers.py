"""Pictures of activations and gradients, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import Activations, Diagnosis, Gradients
from pyinit.diagnostics.layers import numbers
from pyinit.plots.canvas import INK, WIDTH, figure, legend, line, require, shortened, style
from pyinit.plots.histograms import draw_histograms, height

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure

__all__ = ["gradient_flow", "network_of", "overview", "spread"]

Floats = NDArray[np.float64]


@style()
def spread(activations: Mapping[str, Activations], *, title: str = "") -> Figure:
    """Draw the means and the stds of the activations over the layers, one line per scheme.

    Parameters
    ----------
    activations : mapping of str to Activations
        The keys are the names in the legend.
    title : str
        The network, for example `Diagnosis.network`.

    Returns
    -------
    matplotlib.figure.Figure
        Made without pyplot: no window, no state. Its axes show means and, on a logarithmic scale, stds. A std of
        exactly 0 is marked below the scale, and a value that is not finite above it.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no activations.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> figure = spread({"small": diagnose(layers=3, width=50, scheme="small").activations})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['mean of activations', 'std of activations']
    """
    require(activations)
    drawing = figure(WIDTH, 5.5 + legend_height(activations), title)
    means, stds = drawing.subplots(2, 1, sharex=True)
    draw_means(means, activations)
    draw_stds(stds, activations)
    means.label_outer()
    legend(drawing, means)
    return drawing


@style()
def gradient_flow(gradients: Mapping[str, Gradients], *, title: str = "") -> Figure:
    """Draw the std of the gradient with respect to each layer's output, one line per scheme.

    Parameters
    ----------
    gradients : mapping of str to Gradients
        The keys are the names in the legend.
    title : str
        The network, for example `Diagnosis.network`.

    Returns
    -------
    matplotlib.figure.Figure
        On a logarithmic scale, marked as in `spread`. The gradient flows from right to left.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no gradients.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> small = diagnose(layers=3, width=50, scheme="small")
    >>> figure = gradient_flow({"small": small.gradients})
    >>> figure.axes[0].get_ylabel()
    'std of gradient'
    """
    require(gradients)
    drawing = figure(WIDTH, 3.5 + legend_height(gradients), title)
    axes = drawing.subplots()
    draw_gradients(axes, gradients)
    legend(drawing, axes)
    return drawing


@style()
def overview(diagnoses: Mapping[str, Diagnosis]) -> Figure:
    """Draw all in one figure: means, stds, the gradient's flow, and the histograms of every layer.

    Parameters
    ----------
    diagnoses : mapping of str to Diagnosis
        The keys are the names in the legend.

    Returns
    -------
    matplotlib.figure.Figure
        See `spread`, `gradient_flow` and `histograms`. Its title is the network, if all diagnoses have the same.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no diagnoses.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> schemes = ("small", "big")
    >>> figure = overview({s: diagnose(layers=3, width=50, scheme=s) for s in schemes})
    >>> len(figure.axes)
    9
    """
    require(diagnoses)
    activations = {name: d.activations for name, d in diagnoses.items()}
    heights = 6.0 + legend_height(diagnoses), height(activations)
    drawing = figure(WIDTH, sum(heights) + 0.3, network_of(diagnoses))
    above, below = drawing.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    means, stds, gradients = above.subplots(3, 1, sharex=True)
    draw_means(means, activations)
    draw_stds(stds, activations)
    draw_gradients(gradients, {name: d.gradients for name, d in diagnoses.items()})
    for axes in (means, stds):
        axes.label_outer()
    legend(above, means)
    draw_histograms(below, activations)
    return drawing


def network_of(diagnoses: Mapping[str, Diagnosis]) -> str:
    """Return the network of the diagnoses; an empty text if they have several.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> schemes = ("small", "big")
    >>> network_of({s: diagnose(layers=3, width=50, scheme=s, seed=7) for s in schemes})
    '3 tanh layers of 50 units, seed 7'
    """
    network, *others = {diagnosis.network for diagnosis in diagnoses.values()}
    return "" if others else network


def legend_height(names: Sized) -> float:
    """Return the height in inches that the legend of these names adds."""
    return 0.12 * len(names)


def draw_lines(axes: Axes, values: Mapping[str, Floats], ylabel: str) -> None:
    """Draw values over the layer's number."""
    deepest = max(map(len, values.values()))
    for i, (name, y) in enumerate(values.items()):
        axes.plot(np.arange(1, len(y) + 1), y, label=name, markevery=spacing(deepest), **line(i))
    if deepest <= 12:
        axes.set_xticks(np.arange(1, deepest + 1))
    else:
        axes.locator_params(axis="x", integer=True)
    axes.set(xlabel="layer", ylabel=ylabel, xlim=(0.5, deepest + 0.5))


def name_layers(axes: Axes, measured: Iterable[Activations | Gradients]) -> None:
    """Write the layers' names below the axes, twenty at most, if all lines have the same and not just numbers."""
    names, *others = {m.name for m in measured}
    if others or names == numbers(len(names)):
        return
    every = spacing(len(names) - 1)
    labels = [shortened(name, 20) for name in names[::every]]
    axes.set_xticks(range(1, len(names) + 1, every), labels, rotation=90, fontsize=8, parse_math=False)


def spacing(layers: int) -> int:
    """Return the number of layers from one marker to the next."""
    return 1 + layers // 20


def draw_means(axes: Axes, activations: Mapping[str, Activations]) -> None:
    """Draw the means of the activations."""
    values = {name: a.mean for name, a in activations.items()}
    draw_lines(axes, values, "mean of activations")
    every = finite(values.values())
    largest = np.abs(every).max(initial=0.0)
    if largest > 10:
        # Exploding: powers of ten on either side of 0, without those that would crowd near 0.
        least, most = np.arcsinh([every.min(), every.max()])
        margin = max(0.05 * (most - least), 0.1)
        low, high = np.sinh([least - margin, most + margin])
        axes.set_yscale("asinh", linear_width=1.0)
        axes.set_ylim(low, high)
        axes.set_yticks([y for y in axes.get_yticks() if low <= y <= high and (y == 0 or abs(y) > largest**0.1)])
    elif largest < (room := finite(a.std for a in activations.values()).max(initial=0.0) / 4):
        axes.set_ylim(-room, room)  # compared with the stds, such small means are 0
    mark_not_finite(axes, values)
    name_layers(axes, activations.values())


def draw_stds(axes: Axes, activations: Mapping[str, Activations]) -> None:
    """Draw the stds of the activations."""
    draw_logarithmic(axes, {name: a.std for name, a in activations.items()}, "std of activations")
    name_layers(axes, activations.values())


def draw_gradients(axes: Axes, gradients: Mapping[str, Gradients]) -> None:
    """Draw the stds of the gradients."""
    draw_logarithmic(axes, {name: g.std for name, g in gradients.items()}, "std of gradient")
    axes.set_xlabel("layer  (← gradients flow back)")
    name_layers(axes, gradients.values())


def draw_logarithmic(axes: Axes, values: Mapping[str, Floats], ylabel: str) -> None:
    """Draw stds on a logarithmic scale, with a line below it for those that are exactly 0."""
    draw_lines(axes, values, ylabel)
    every = finite(values.values())
    positive = every[every > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    margin = max(high**0.05 / low**0.05, 1.3)
    axes.set_ylim(low / margin, high * margin)
    axes.set_yscale("log", nonpositive="mask")
    set_ticks(axes, ticks(low / margin, high * margin))
    if (every == 0).any():
        mark_zeros(axes, values, low / margin, high * margin)
    mark_not_finite(axes, values)


def mark_zeros(axes: Axes, values: Mapping[str, Floats], bottom: float, top: float) -> None:
    """Add a grey band below a logarithmic scale from `bottom` to `top`, with a tick and the markers of exact zeros."""
    half = top**0.05 / bottom**0.05
    floor = bottom / half**2
    axes.axhspan(floor / half, floor * half, color=INK, alpha=0.1, linewidth=0)
    set_ticks(axes, {floor: "0", **ticks(bottom, top)})
    for i, y in enumerate(values.values()):
        hollow(axes, np.flatnonzero(y == 0), floor, i, spacing(len(y)))
    axes.set_ylim(bottom=floor / half)


def set_ticks(axes: Axes, texts: Mapping[float, str]) -> None:
    """Set the ticks of a logarithmic scale."""
    axes.set_yticks(list(texts), list(texts.values()))
    axes.set_yticks([], minor=True)


def ticks(low: float, high: float) -> dict[float, str]:
    """Choose round numbers for a logarithmic scale, with their texts.

    Examples
    --------
    >>> ticks(0.02, 200.0)
    {0.1: '$10^{-1}$', 1.0: '$10^{0}$', 10.0: '$10^{1}$', 100.0: '$10^{2}$'}
    >>> list(ticks(0.18, 0.82).values()), list(ticks(0.75, 1.25).values())
    (['0.2', '0.3', '0.5', '0.7'], ['0.8', '0.9', '1', '1.1', '1.2'])
    """
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if len(powers) > 1:
        return {10.0**p: f"$10^{{{p}}}$" for p in powers[:: 1 + len(powers) // 8]}
    steps = (1, 1.5, 2, 3, 5, 7) if high > 3 * low else (1, 1.1, 1.2, 1.5, *range(2, 10))
    plain = (float(f"{m}e{p}") for p in range(powers.start - 1, powers.stop) for m in steps)
    return {y: f"{y:g}" for y in plain if low <= y <= high}


def mark_not_finite(axes: Axes, values: Mapping[str, Floats]) -> None:
    """Mark layers with a value that is not finite, above the axes."""
    for i, y in enumerate(values.values()):
        hollow(axes, np.flatnonzero(~np.isfinite(y)), 1.04, i, spacing(len(y)), transform=axes.get_xaxis_transform())
    if any(not np.isfinite(y).all() for y in values.values()):
        axes.set_title("not finite:", loc="left", fontsize=10, pad=18)


def hollow(axes: Axes, layers: NDArray[np.intp], y: float, i: int, every: int, **keywords: Any) -> None:
    """Draw unfilled markers of line number i, at a place that is not its value."""
    looks = line(i)
    if not layers.size:
        return
    layers = layers[::every] + 1
    axes.scatter(
        layers,
        np.full(len(layers), y),
        s=32,
        marker=looks["marker"],
        facecolors="none",
        edgecolors=looks["color"],
        clip_on=False,
        zorder=3,
        **keywords,
    )


def finite(values: Iterable[Floats]) -> Floats:
    """Return all finite values in one array."""
    every: Floats = np.concatenate(list(values))
    return every[np.isfinite(every)]
