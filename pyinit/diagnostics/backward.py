"""The gradients that flow back through every layer, measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import verdicts
from pyinit.diagnostics.moments import cell, moments, percent, present
from pyinit.network import Network
from pyinit.streams import Stream

__all__ = ["Gradients", "gradients"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gradients:
    """What the gradient with respect to each layer's output looks like: arrays with one entry a layer.

    Attributes
    ----------
    activation : tuple of str
        The name of each layer's activation function.
    std : float64 array of shape (layers,)
        Over all values of the batch; NaN where a value is not finite. The last entry is of the gradient that was
        given.
    zero : float64 array of shape (layers,), in [0, 1]
        The share of values that are exactly 0.
    non_finite : float64 array of shape (layers,), in [0, 1]
        The share of values that are infinite or NaN.
    """

    activation: tuple[str, ...]
    std: Floats
    zero: Floats
    non_finite: Floats

    @property
    def verdict(self) -> str:
        """What is wrong, in words; "healthy" if nothing is.

        - "overflows": a value is not finite.
        - "explodes", "vanishes": on the way back the std grows or falls by more than 1.375 times a layer, in the
          geometric mean over neighbouring layers of the same activation.
        - "blocked": at least a quarter of what comes through is exactly 0, at the layer with the most.
        """
        return verdicts.of_gradients(self.activation, self.std, self.zero, self.non_finite)

    def table(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """Give columns and rows of text, one row a layer, without the columns in which nothing stands.

        Returns
        -------
        columns : list of str
        rows : list of tuple of str
            What `pyinit.terminal.Output.table` takes.
        """
        return present(
            [
                ("layer", [str(i + 1) for i in range(len(self.std))]),
                ("gradient std", [*map(cell, self.std)]),
                ("exactly 0", [*map(percent, self.zero)]),
                ("not finite", [percent(s) if s else "" for s in self.non_finite]),
            ]
        )


def gradients(net: Network, x: Any, gradient: Any = None) -> Gradients:
    """Measure the gradient with respect to every layer's output, as it flows back from the last.

    Parameters
    ----------
    net : Network
        With its weights set.
    x : array_like of shape (batch, inputs)
        At least 1 row of real numbers.
    gradient : array_like of shape (batch, outputs), Stream, or None
        With respect to the network's output. A stream gives standard normal samples, of std 1, so that the results
        read as factors; None is the stream ``Stream(0).child("gradient")``.

    Returns
    -------
    Gradients
        Numbers in float64, whatever the network's dtype. What overflows is told there, without a warning.

    Raises
    ------
    TypeError, ValueError
        If `x` or `gradient` is no such array, or a weight is NaN.

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, section 4:
    back-propagated gradients by layer, just after initialisation.

    Examples
    --------
    >>> from pyinit.network import Dense, Network
    >>> net = Network(100, [Dense(100, "tanh")] * 5)
    >>> net.initialize(seed=0, weights=pyinit.initializers.small())
    >>> gradients(net, pyinit.Stream(0).child("x").normal((50, 100))).verdict
    'vanishes: std falls by 9.9 times a layer on the way back'
    """
    x = net.batch(x)
    if len(x) == 0:
        raise ValueError("x must have at least 1 row; got 0")
    if gradient is None:
        gradient = Stream(0).child("gradient")
    if isinstance(gradient, Stream):
        gradient = gradient.normal((len(x), net.outputs), dtype=net.dtype)
    with np.errstate(all="ignore"):
        flow = net.gradient_flow(x, gradient)
        _, std, _, non_finite = np.array([moments(g) for g in flow]).T
    zero = np.array([float(np.mean(g == 0)) for g in flow])
    return Gradients(tuple(layer.activation.name for layer in net.layers), std, zero, non_finite)
