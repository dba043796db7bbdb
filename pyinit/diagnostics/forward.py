"""Measures the activations of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import verdicts
from pyinit.diagnostics.layers import Layer, numbers, outputs_of
from pyinit.diagnostics.moments import Measured, cell, percent, present
from pyinit.network.devices import on_host

__all__ = ["Activations", "activations"]

BINS = 41  # odd, so that 0 is in the middle of a bin
RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0)}

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Activations(Measured):
    """Statistics of each layer's output: arrays with one entry per layer, from the first to the last.

    Attributes
    ----------
    activation : tuple of str
        The name of each layer's activation function. In a PyTorch model it is "linear" if there is none, and "block"
        for the end of a block of layers.
    mean, std : float64 array of shape (layers,)
        Over all values of the batch; NaN if a value is not finite.
    row_std : float64 array of shape (layers,)
        The std of a unit over the rows of the batch, as the root mean square over units: how much of the input is
        left. NaN for a layer whose output has no batch axis, such as an embedding of positions.
    saturated : float64 array of shape (layers,), in [0, 1]
        For tanh, the share of values beyond ±0.99; for sigmoid, of values below 0.01 or above 0.99; for softmax, of
        rows whose largest output is above 0.99. NaN for other activations, which do not saturate like this.
    dead : float64 array of shape (layers,), in [0, 1]
        The share of units that are 0 for every row of the batch; a convolution's channel must also be 0 at every
        place. NaN for tanh, sigmoid and softmax.
    non_finite : float64 array of shape (layers,), in [0, 1]
        The share of values that are infinite or NaN.
    counts : int64 array of shape (layers, 41)
        Histograms of the finite values.
    edges : float64 array of shape (layers, 42)
        The edges of their bins: from -1 to 1 for tanh, from 0 to 1 for sigmoid and softmax. All other layers share
        one range, from their smallest to their largest value.
    name : tuple of str
        The name of each layer: its number from 1, or the module's name in a PyTorch model.
    """

    activation: tuple[str, ...]
    mean: Floats
    std: Floats
    row_std: Floats
    saturated: Floats
    dead: Floats
    non_finite: Floats
    counts: NDArray[np.int64]
    edges: Floats
    name: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", numbers(len(self.std)))

    @property
    def verdict(self) -> str:
        """What is wrong, in words; "healthy" if nothing is.

        - "overflows": a value is not finite.
        - "explodes", "vanishes": the std grows, or the std over the rows falls, by more than 1.375 times per layer.
          This is the geometric mean from each layer to the next with the same activation (and, in a PyTorch model,
          the same place in its block).
        - "silent": a layer gives the same output for every row.
        - "saturated": in some layer, at least a quarter of the values; the layer with the most is named.
        - "dead": in some layer, at least a tenth of the units; the layer with the most is named. With only two or
          three rows, this can happen by chance.
        """
        return verdicts.of_activations(
            self.activation, self.std, self.row_std, self.saturated, self.dead, self.non_finite, self.name
        )

    def table(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """Return the table's columns and rows as text, one row per layer, without empty columns.

        Returns
        -------
        columns : list of str
        rows : list of tuple of str
            The arguments of `pyinit.terminal.Output.table`.
        """
        return present(
            [
                ("layer", list(self.name)),
                ("activation", list(self.activation)),
                ("mean", [*map(cell, self.mean)]),
                ("std", [*map(cell, self.std)]),
                ("std of rows", [*map(cell, self.row_std)]),
                ("saturated", [*map(percent, self.saturated)]),
                ("dead", [*map(percent, self.dead)]),
                ("not finite", [percent(s) if s else "" for s in self.non_finite]),
            ]
        )


def activations(net: Any, x: Any, *, layers: Any = None) -> Activations:
    """Measure the output of every layer for a batch.

    Parameters
    ----------
    net : Network or torch.nn.Module
        With its weights set. It stays unchanged: a module runs in its current mode, and its buffers, gradients and
        hooks, and torch's random state, are restored.
    x : array_like of shape (batch, inputs)
        At least 2 rows of real numbers. For a module: a tensor, or an array of any shape whose first axis is the
        batch; a tuple of several inputs; a mapping of keyword arguments. Float arrays are converted to the module's
        dtype and moved to its device; tensors and integers, such as token ids, are passed unchanged.
    layers : str, type, callable, iterable of str or tuple of types, optional
        The modules of a `torch.nn.Module` to measure, instead of the default below: names, in which ``*`` stands for
        any text ("encoder.layers.*"); classes; or a function of name and module that returns whether to measure it.

    Returns
    -------
    Activations
        Numbers in float64, whatever the network's dtype. They show an overflow; there is no warning.

    Raises
    ------
    TypeError, ValueError
        If `x` is not such a batch, a weight is NaN or has no values, or `layers` names no layer.

    Notes
    -----
    A module's layers, in the order of computation, are:

    - each module with weights (linear, convolution, embedding, attention, recurrent, your own), with the
      normalization and the activation right behind it. If there is an activation, a module or a function like
      ``F.relu``, its output is measured; otherwise the module's own output, and the activation is "linear";
    - each activation module elsewhere, for example behind a sum;
    - each "block": a module with layers inside, of a class that the model has more than once, whose output is not
      its last layer's output. A residual block is one.

    A layer has the name of the module whose output is measured; a second call has the name "block.relu:2". If a module
    has several outputs, the first is measured. A unit is one value of a row; for `dead` alone, it is a
    convolution's channel at all places, or a feature at all tokens. A module that does not run as a module is not
    measured, such as a projection within `torch.nn.MultiheadAttention`, or the inside of a scripted model.

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, section 3:
    means, spreads and saturation by layer.

    Examples
    --------
    >>> from pyinit.network import Dense, Network
    >>> net = Network(100, [Dense(100, "tanh")] * 5)
    >>> net.initialize(seed=0, weights=pyinit.initializers.small())
    >>> activations(net, pyinit.Stream(0).child("x").normal((50, 100))).verdict
    'vanishes: std falls by 9.9 times a layer'

    A PyTorch model:

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(100, 30), nn.ReLU(), nn.Linear(30, 10))
    >>> found = activations(model, pyinit.Stream(0).child("x").normal((50, 100)))
    >>> found.name, found.activation
    (('1', '2'), ('relu', 'linear'))
    """
    with np.errstate(all="ignore"):
        found = outputs_of(net, x, layers)
        names = tuple(layer.activation for layer in found)
        mean, std, row_std, non_finite = np.array([layer.moments() for layer in found]).T
        counts, edges = histograms(names, [layer.values for layer in found])
    saturated, dead = (np.array([*map(measure, found)]) for measure in (saturated_share, dead_share))
    return Activations(
        names, mean, std, row_std, saturated, dead, non_finite, counts, edges, tuple(layer.name for layer in found)
    )


def saturated_share(layer: Layer) -> float:
    """Return the saturated share of a layer's output, as `Activations` defines it."""
    name, a = layer.activation, layer.values
    if name == "tanh":
        return float(np.mean(np.abs(a) > 0.99))
    if name == "sigmoid":
        return float(np.mean((a < 0.01) | (a > 0.99)))
    if name == "softmax":
        return float(np.mean(a.max(axis=layer.axis) > 0.99))
    return np.nan


def dead_share(layer: Layer) -> float:
    """Return the share of a layer's dead units, as `Activations` defines it."""
    if layer.activation in RANGES:
        return np.nan
    others = tuple(axis for axis in range(layer.values.ndim) if axis != layer.axis)
    return float(np.mean((layer.values == 0).all(axis=others)))


def histograms(names: Sequence[str], outputs: Sequence[Array]) -> tuple[NDArray[np.int64], Floats]:
    """Count each layer's finite values in equal bins; layers without a fixed range share one."""
    # The difference of two float64 beyond 1e300 may overflow; such values count in the outermost bin.
    values = [a[np.isfinite(a)].astype(np.float64).clip(-1e300, 1e300) for a in outputs]
    unbounded = [v for name, v in zip(names, values) if name not in RANGES and v.size]
    shared = (
        span(min(float(v.min()) for v in unbounded), max(float(v.max()) for v in unbounded))
        if unbounded
        else (0.0, 1.0)
    )
    made = [np.histogram(v, BINS, RANGES.get(name, shared)) for name, v in zip(names, values)]
    counts = np.array([on_host(counts) for counts, _ in made])
    # Of values beyond 2**53 CuPy 14.2 leaves out the largest, which the last bin includes.
    counts[:, -1] += np.array([v.size for v in values]) - counts.sum(1)
    return counts, np.array([on_host(edges) for _, edges in made])


def span(low: float, high: float) -> tuple[float, float]:
    """Return a histogram's range that holds two values and is wide enough to divide into bins.

    Examples
    --------
    >>> span(-2.0, 3.0), span(0.0, 0.0)
    ((-2.0, 3.0), (-0.5, 0.5))
    """
    largest = max(abs(low), abs(high))
    if high - low <= 1e-6 * largest or largest < 1e-300:
        half = max(largest, 1.0) / 2
        return low - half, high + half
    return low, high
