"""Measures the gradients that flow back through every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.diagnostics import verdicts
from pyinit.diagnostics.layers import flow_of, numbers
from pyinit.diagnostics.moments import Measured, cell, percent, present

__all__ = ["Gradients", "gradients"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Gradients(Measured):
    """Statistics of the gradient with respect to each layer's output: arrays with one entry per layer.

    Attributes
    ----------
    activation : tuple of str
        The name of each layer's activation function; see `Activations`.
    std : float64 array of shape (layers,)
        Over all values of the batch; NaN if a value is not finite. The last entry is for the given gradient.
    zero : float64 array of shape (layers,), in [0, 1]
        The share of values that are exactly 0. NaN if dropout or max pooling directly follows the layer, in a PyTorch
        model: these alone set many gradients to 0.
    non_finite : float64 array of shape (layers,), in [0, 1]
        The share of values that are infinite or NaN.
    name : tuple of str
        The name of each layer; see `Activations`.
    """

    activation: tuple[str, ...]
    std: Floats
    zero: Floats
    non_finite: Floats
    name: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", numbers(len(self.std)))

    @property
    def verdict(self) -> str:
        """What is wrong, in words; "healthy" if nothing is.

        - "overflows": a value is not finite.
        - "explodes", "vanishes": on the way back, the std grows or falls by more than 1.375 times per layer. This is
          the geometric mean from each layer to the next with the same activation (and, in a PyTorch model, the same
          place in its block).
        - "blocked": in some layer, at least a quarter of the gradient is exactly 0; the layer with the most is named.
          The limit is nine tenths for "linear" and "block", because a later activation alone may set half to 0.
        """
        return verdicts.of_gradients(self.activation, self.std, self.zero, self.non_finite, self.name)

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
                ("gradient std", [*map(cell, self.std)]),
                ("exactly 0", [*map(percent, self.zero)]),
                ("not finite", [percent(s) if s else "" for s in self.non_finite]),
            ]
        )


def gradients(net: Any, x: Any, gradient: Any = None, *, layers: Any = None) -> Gradients:
    """Measure the gradient with respect to every layer's output, as it flows back from the last layer.

    Parameters
    ----------
    net : Network or torch.nn.Module
        With its weights set. It stays unchanged, as with `activations`.
    x : array_like of shape (batch, inputs)
        At least 1 row of real numbers; for a module see `activations`.
    gradient : array_like of shape (batch, outputs), Stream, or None
        The gradient with respect to the network's output, or to a module's first output. A stream gives standard
        normal samples: with a std of 1, the results read as factors. None means ``Stream(0).child("gradient")``.
    layers : str, type, callable, iterable of str or tuple of types, optional
        The modules of a `torch.nn.Module` to measure; see `activations`.

    Returns
    -------
    Gradients
        Numbers in float64, whatever the network's dtype. They show an overflow; there is no warning.

    Raises
    ------
    TypeError, ValueError
        If `x` or `gradient` is not such an array, a weight is NaN or has no values, `layers` names no layer, or a
        module's output has no gradient.

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
    with np.errstate(all="ignore"):
        flow = flow_of(net, x, gradient, layers)
        _, std, _, non_finite = np.array([layer.moments() for layer in flow]).T
    zero = np.array([np.nan if layer.thinned else float(np.mean(layer.values == 0)) for layer in flow])
    names, kinds = (tuple(getattr(layer, part) for layer in flow) for part in ("name", "activation"))
    return Gradients(kinds, std, zero, non_finite, names)
