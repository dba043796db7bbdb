"""What the numbers mean, in words: each rule has a threshold, which stands here.

The trend of a spread is its geometric mean change from each layer to the next of the same kind, since a layer of
another (a softmax at the end, say) has a scale of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics.moments import percent

__all__ = ["DEAD", "SATURATED", "SHARE", "TREND", "of_activations", "of_gradients"]

TREND = 1.375
"""Times a layer: a std that grows or falls by more explodes or vanishes.

Nine steps then change it by more than 17 times. It lies between two cases: well scaled tanh layers fall by 1.29 times
at first (two layers of 50 units by as much as 1.35, by chance) and by less later; relu layers without Kaiming's factor
of 2 fall by sqrt(2) = 1.41 times.
"""

SHARE = 0.25
"""Of values saturated or of gradients exactly 0: as much in any layer is told."""

DEAD = 0.1
"""Of units dead: as much in any layer is told. A dead unit learns nothing from the batch, and gives the next layer
nothing; a saturated value still does a little of both. Ten relu layers of 500 units with Kaiming's weights have up to
9% of them."""

UNSEEN = 0.9
"""The same share of gradients, for layers that are linear or the end of a block: a relu that follows, after a sum for
one, lets half of the values through, and is no fault."""

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
    # What arrives at the output was given, and is not the weights' doing.
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
"""Of what a share is saturated, and what they have then, by activation."""


def trend(activation: Sequence[str], std: Floats, name: Sequence[str] = ()) -> float:
    """Give by how much a std is multiplied from one layer to the next: 1 if there is nothing to tell it by.

    Layers are compared that have the same activation and, but for numbers, the same name, as those of equal blocks; if
    no two are so alike, those of the same activation.

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
    """Give the mean change of a logarithm a layer, from each layer to the next of its kind; None if there is none."""
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
    """Give the index of the first layer for which something holds."""
    return int(np.argmax(condition))


def most(share: Floats, told: float = SHARE) -> int | None:
    """Give the index of the first layer with the largest share, if that is as large as is told."""
    share = np.nan_to_num(share)  # NaN: the layer's activation has no such thing
    return int(np.argmax(share)) if len(share) and share.max() >= told else None


def times(factor: float) -> str:
    """Write a factor with one decimal, and a very large one by its power of ten."""
    return f"{factor:,.1f}" if factor < 1000 else f"{factor:.1e}"
