"""Dense layers: the description that a person writes, and the layer with arrays that a network makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers import xavier_normal, zeros
from pyinit.network.activations import Activation, activation
from pyinit.network.checks import count, scheme

__all__ = ["Dense", "DenseLayer", "Scheme"]

Array = NDArray[Any]
Scheme = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Dense:
    """Describe a layer whose every unit sees every input.

    A description holds no arrays, so one may stand in a list several times, and in several networks.

    Parameters
    ----------
    units : int, at least 1
        The number of outputs.
    activation : {"identity", "tanh", "sigmoid", "relu"}
    weights, bias : scheme
        How `Network.initialize` fills the layer's arrays; see `pyinit.initializers`.

    Raises
    ------
    TypeError
        If `units` is not an integer, or a scheme cannot be called.
    ValueError
        If `units` is below 1, or there is no such activation.

    Examples
    --------
    >>> Dense(4, "tanh")
    Dense(units=4, activation='tanh', weights=VarianceScaling(scale=1.0, mode='fan_avg'), bias=Constant(value=0.0))
    """

    units: int
    activation: str = "identity"
    weights: Scheme = field(default_factory=xavier_normal)
    bias: Scheme = field(default_factory=zeros)

    def __post_init__(self) -> None:
        count(self.units, 1, "units")
        activation(self.activation)
        scheme(self.weights, "weights")
        scheme(self.bias, "bias")

    def connect(self, inputs: int, dtype: Any, xp: Any = np) -> DenseLayer:
        """Make the layer for a number of inputs, with arrays from the namespace `xp`.

        The weights start as NaN: an untouched network is then seen to be one. Zeros would not do, since a
        network of zeros runs, and answers a sigmoid's 0.5 to everything.
        """
        weights = xp.full((self.units, inputs), xp.nan, dtype=dtype)
        return DenseLayer(weights, xp.zeros(self.units, dtype=dtype), self)


@dataclass(eq=False)
class DenseLayer:
    """A layer that computes ``activation(x @ weights.T + bias)``.

    Attributes
    ----------
    weights : array of shape (out, in)
    bias : array of shape (out,)
    description : Dense
        What the layer was made from, with the schemes that fill it.
    """

    weights: Array
    bias: Array
    description: Dense

    @property
    def activation(self) -> Activation:
        """What the layer's description names."""
        return activation(self.description.activation)

    def __repr__(self) -> str:
        out, inputs = self.weights.shape
        return f"DenseLayer({inputs} -> {out}, {self.activation.name!r})"

    def forward(self, x: Array) -> Array:
        """Compute the output, of shape (batch, out), for inputs of shape (batch, in)."""
        return self.activation.function(x @ self.weights.T + self.bias)

    def backward(self, x: Array, a: Array, gradient: Array) -> tuple[Array, Array, Array]:
        """Carry the loss's gradient from the output to the weights, the bias and the input.

        Parameters
        ----------
        x : array of shape (batch, in)
            What `forward` was given.
        a : array of shape (batch, out)
            What it returned.
        gradient : array of shape (batch, out)
            The gradient of the loss with respect to `a`.

        Returns
        -------
        weights_gradient : array of shape (out, in)
        bias_gradient : array of shape (out,)
        input_gradient : array of shape (batch, in)
        """
        delta = gradient * self.activation.derivative(a)
        return delta.T @ x, delta.sum(axis=0), delta @ self.weights
