"""Verdicts in words, and the threshold of each rule.

The trend of a std is its geometric mean change from each layer to the next of the same kind. A layer of another kind,
such as a softmax at the end, has another scale.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics.moments import percent

__all__ = ["DEAD", "SATURATED", "SHARE", "TREND", "of_activations", "of_gradients"]

TREND = 1.375
"""A std that grows or falls by a larger factor per layer explodes or vanishes.

Nine steps then change it by more than 17 times. The threshold separates two cases: in well scaled tanh layers the std
falls by 1.29 times at first (up to 1.35 by chance, in two layers of 50 units) and by less later; in relu layers without
Kaiming's factor of 2 it falls by sqrt(2) = 1.41 times.
"""

SHARE = 0.25
"""The share of saturated values, or of gradients exactly 0, from which a layer is named."""

DEAD = 0.1
"""The share of dead units from which a layer is named. It is below `SHARE`, because a dead unit learns nothing from the
batch and passes nothing on, while a saturated value still does a little of both. Ten relu layers of 500 units with
Kaiming's weights have up to 9% dead units."""

UNSEEN = 0.9
"""The share of gradients exactly 0 from which a linear layer or the end of a block is named. A relu that follows, after
a sum for example, lets half of the values through, and this is no fault."""

Floats = NDArray[np.float64]


def of_activations(
    activation: Sequence[str],
    std: Floats,
    row_std: Floats,
    saturated: Floats,
    dead: Floats,
    non_finite: Floats,
    name: Sequence[str],
) -> str:
    """Say what is wrong with activations, or "healthy"; see `pyinit.diagnostics.Activations.verdict`."""
    found = []
    if non_finite.any():
        found.append(f"overflows: not finite from layer {name[first(non_finite > 0)]} on")
    if (growth := trend(activation, std, name)) > TREND:
        found.append(f"explodes: std grows by {times(growth)} times a layer")
    if (row_std == 0).any():
        found.append(f"silent: every row gives the same from layer {name[first(row_std == 0)]} on")
    if (growth := trend(activation, row_std, name)) < 1 / TREND:
        what = "std" if trend(activation, std, name) < 1 / TREND else "std of rows, as all rows become alike,"
        found.append(f"vanishes: {what} falls by {times(1 / growth)} times a layer")
    if (worst := most(saturated)) is not None:
        of, condition = SATURATED[activation[worst]]
        found.append(f"saturated: {percent(saturated[worst])} of {of} have {condition} in layer {name[worst]}")
    if (worst := most(dead, DEAD)) is not None:
        found.append(f"dead: {percent(dead[worst])} of units 0 for every row in layer {name[worst]}")
    return "; ".join(found) or "healthy"


def of_gradients(activation: Sequence[str], std: Floats, zero: Floats, non_finite: Floats, name: Sequence[str]) -> str:
    """Say what is wrong with gradients, or "healthy"; see `pyinit.diagnostics.Gradients.verdict`."""
    found = []
    if non_finite.any():
        found.append(f"overflows: not finite from layer {name[::-1][first(non_finite[::-1] > 0)]} back")
    growth = trend(activation[::-1], std[::-1], name[::-1])
    if growth > TREND:
        found.append(f"explodes: std grows by {times(growth)} times a layer on the way back")
    # The gradient at the output was given; the weights did not make it.
    told = np.array([UNSEEN if kind in ("linear", "block") else SHARE for kind in activation])
    if (worst := most(np.where(zero >= told, zero, 0)[:-1][::-1])) is not None:
        layer = len(zero) - 2 - worst
        found.append(f"blocked: {percent(zero[layer])} exactly 0 at layer {name[layer]}")
    if growth < 1 / TREND:
        found.append(f"vanishes: std falls by {times(1 / growth)} times a layer on the way back")
    return "; ".join(found) or "healthy"


SATURATED = {
    "tanh": ("values", "|a| > 0.99"),
    "sigmoid": ("values", "a < 0.01 or a > 0.99"),
    "softmax": ("rows", "an a > 0.99"),
}
"""What is counted as saturated, and its condition, by activation."""


def trend(activation: Sequence[str], std: Floats, name: Sequence[str] = ()) -> float:
    """Return the mean factor of a std from one layer to the next; 1 if no two layers can be compared.

    It compares layers with the same activation and the same name but for numbers, as in equal blocks. If there are no
    two of these, it compares layers with the same activation.

    Examples
    --------
    >>> trend(["tanh"] * 3, np.array([0.8, 0.2, 0.05]))
    0.25
    >>> names = ["0.act", "0.out", "1.act", "1.out"]
    >>> trend(["relu", "linear"] * 2, np.array([0.6, 0.1, 0.6, 0.1]), names)
    1.0
    """
    places = (".".join("#" if part.isdigit() else part for part in n.split(".")) for n in name)
    change = mean_change([*zip(activation, places)], std) if name else None
    change = mean_change(activation, std) if change is None else change
    with np.errstate(over="ignore"):
        return 1.0 if change is None else float(np.exp(change))


def mean_change(kind: Sequence[Hashable], std: Floats) -> float | None:
    """Return the mean change of log(std) per layer, from each layer to the next of its kind; None if there is none."""
    steps, distance, latest = [], 0, dict[Hashable, int]()
    for here, (now, value) in enumerate(zip(kind, std)):
        before = latest.pop(now, None)
        if 0 < value < np.inf:
            latest[now] = here
            if before is not None:
                steps.append(np.log(value) - np.log(std[before]))
                distance += here - before
    return float(np.sum(steps)) / distance if steps else None


def first(condition: NDArray[np.bool_]) -> int:
    """Return the index of the first layer for which a condition holds."""
    return int(np.argmax(condition))


def most(share: Floats, told: float = SHARE) -> int | None:
    """Return the index of the first layer with the largest share, if it is at least `told`."""
    share = np.nan_to_num(share)  # NaN: the share is undefined for the layer's activation
    return int(np.argmax(share)) if len(share) and share.max() >= told else None


def times(factor: float) -> str:
    """Format a factor with one decimal, or a very large one in scientific notation."""
    return f"{factor:,.1f}" if factor < 1000 else f"{factor:.1e}"
