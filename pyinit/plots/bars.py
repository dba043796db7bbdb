"""Bars for the throughput of fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyinit.plots.canvas import COLOURS, INK, WIDTH, figure, require, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Axes, Figure

__all__ = ["throughput"]

Rates = dict[str, dict[str, float]]  # GB/s, by kind of fill, then by generator


@style()
def throughput(results: Mapping[str, Any]) -> Figure:
    """Draw a bar for every fill: its throughput in GB/s.

    Parameters
    ----------
    results : mapping
        The output of `pyinit bench --json`: its ``fills``, and the ``cpu`` and ``tier`` of its ``machine``.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each number of threads, with one colour per generator, NumPy's included. A dashed line is memset,
        which only writes. Extrapolated fills, and fills with any instruction set but the best, are left out.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no fills.

    Examples
    --------
    >>> fill = {"name": "philox normal float32", "tier": "avx2", "threads": 1}
    >>> fill |= {"bytes": 4e6, "median_seconds": 1e-3}
    >>> machine = {"cpu": "A processor", "tier": "avx2"}
    >>> figure = throughput({"machine": machine, "fills": [fill]})
    >>> figure.axes[0].get_title(), float(figure.axes[0].patches[0].get_width())
    ('1 thread', 4.0)
    """
    machine, fills = results["machine"], results["fills"]
    require(fills)
    best = [f for f in fills if f["tier"] in (None, machine["tier"]) and not f.get("extrapolated")]
    panels: dict[int, Rates] = {}
    for fill in best:
        generator, what = split(fill["name"])
        rates = panels.setdefault(fill["threads"], {})
        rates.setdefault(what, {})[generator] = fill["bytes"] / fill["median_seconds"] / 1e9
    names = list(dict.fromkeys(what for rates in panels.values() for what in rates if what != "memset"))
    rows = {what: list(dict.fromkeys(g for rates in panels.values() for g in rates.get(what, ()))) for what in names}
    generators = list(dict.fromkeys(generator for row in rows.values() for generator in row))
    colours = {generator: COLOURS[i % len(COLOURS)] for i, generator in enumerate(generators)}
    bars = sum(map(len, rows.values()))
    drawing = figure(WIDTH, 1.8 + 0.14 * bars + 0.14 * len(rows), f"{machine['cpu']}, {machine['tier']}")
    grid = drawing.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (threads, rates) in zip(grid, panels.items()):
        draw(axes, rates, rows, colours)
        axes.set_title(f"{threads} thread{'s' * (threads != 1)}")
    drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing


def split(name: str) -> tuple[str, str]:
    """Split a fill's name into its generator and its kind.

    Examples
    --------
    >>> split("philox normal float32"), split("NumPy PCG64 normal float32"), split("memset")
    (('philox', 'normal float32'), ('NumPy PCG64', 'normal float32'), ('', 'memset'))
    """
    words = name.split()
    most = len(words) - 2
    return " ".join(words[:most]), " ".join(words[most:]) if most > 0 else name


def draw(axes: Axes, rates: Rates, rows: Mapping[str, list[str]], colours: Mapping[str, str]) -> None:
    """Draw the bars for one number of threads, grouped by row."""
    place, middles, seen = 0, [], set()
    for what, generators in rows.items():
        middles.append(place + (len(generators) - 1) / 2)
        for generator in generators:
            rate = rates.get(what, {}).get(generator, 0.0)
            label = "" if generator in seen else generator
            seen.add(generator)
            axes.barh(place, rate, height=0.9, color=colours[generator], label=label)
            place += 1
        place += 1
    if "memset" in rates:
        axes.axvline(*rates["memset"].values(), color=INK, linestyle="--", linewidth=1, label="memset")
    axes.set_xlabel("GB/s written")
    axes.set(yticks=middles, yticklabels=[what.replace("_", " ") for what in rows], ylim=(place - 0.5, -1))
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
