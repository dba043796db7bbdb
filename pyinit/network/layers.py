"""Dense layers: the description that a user writes, and the layer with arrays that a network makes from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers import xavier_normal, zeros
from pyinit.network.activations import Activation, activation
from pyinit.network.buffers import Buffers
from pyinit.network.checks import Scheme, count, scheme

__all__ = ["Dense", "DenseLayer"]

Array = NDArray[Any]
NEW = Buffers()  # every result in a new array


@dataclass(frozen=True)
class Dense:
    """Describe a layer in which every unit is connected to every input.

    A description holds no arrays, so you can use it several times, even in several networks.

    Parameters
    ----------
    units : int, at least 1
        The number of outputs.
    activation : {"identity", "tanh", "sigmoid", "relu", "leaky_relu", "gelu", "softmax"}
    weights, bias : scheme or str
        The schemes with which `Network.initialize` fills the arrays; `pyinit.initializers.scheme` reads a str.

    Raises
    ------
    TypeError
        If `units` is not an integer, or a scheme cannot be called.
    ValueError
        If `units` is below 1, or the activation or scheme is unknown.

    Examples
    --------
    >>> Dense(4, "tanh")
    Dense(units=4, activation='tanh', weights=VarianceScaling(scale=1.0, mode='fan_avg'), bias=Constant(value=0.0))
    >>> Dense(4, weights="normal(std=0.02)").weights
    Normal(std=0.02)
    """

    units: int
    activation: str = "identity"
    weights: Scheme | str = field(default_factory=xavier_normal)
    bias: Scheme | str = field(default_factory=zeros)

    def __post_init__(self) -> None:
        # Python's way to set a field of a frozen dataclass.
        object.__setattr__(self, "units", count(self.units, 1, "units"))
        object.__setattr__(self, "activation", activation(self.activation).name)
        object.__setattr__(self, "weights", scheme(self.weights, "weights"))
        object.__setattr__(self, "bias", scheme(self.bias, "bias"))

    def connect(self, inputs: int, dtype: Any, xp: Any = np) -> DenseLayer:
        """Make the layer for a number of inputs, with arrays from the namespace `xp`.

        The weights start as NaN, so an uninitialised network shows. A network of zeros would run, and a sigmoid would
        give 0.5 for every input.
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
        The layer's description, with its schemes.
    """

    weights: Array
    bias: Array
    description: Dense

    @property
    def activation(self) -> Activation:
        """The activation function that the description names."""
        return activation(self.description.activation)

    def __repr__(self) -> str:
        out, inputs = self.weights.shape
        return f"DenseLayer({inputs} -> {out}, {self.activation.name!r})"

    def buffers(self, batch: int, xp: Any = np) -> Buffers:
        """Make the buffers for passes of batches of up to `batch` rows."""
        z, a, gradient, delta = (xp.empty((batch, len(self.bias)), dtype=self.weights.dtype) for _ in range(4))
        weights, bias = (xp.empty(array.shape, dtype=array.dtype) for array in (self.weights, self.bias))
        return Buffers(z, a, gradient, delta, weights, bias)

    def forward(self, x: Array, to: Buffers = NEW) -> tuple[Array, Array]:
        """Compute the outputs.

        Parameters
        ----------
        x : array of shape (batch, in)
        to : Buffers, optional
            The results are written to its `z` and `a`.

        Returns
        -------
        z, a : array of shape (batch, out)
            The pre-activations ``x @ weights.T + bias``, and the activation function's values.
        """
        z = np.matmul(x, self.weights.T, out=to.z)
        z += self.bias
        return z, self.activation.forward(z, out=to.a)

    def backward(self, x: Array, delta: Array, to: Buffers = NEW) -> tuple[Array, Array]:
        """Carry the loss's gradient from the pre-activations to the parameters.

        Parameters
        ----------
        x : array of shape (batch, in)
            The input of `forward`.
        delta : array of shape (batch, out)
            The gradient with respect to `z`, from `Activation.backward`.
        to : Buffers, optional
            The results are written to its `weights` and `bias`.

        Returns
        -------
        weights_gradient : array of shape (out, in)
        bias_gradient : array of shape (out,)
        """
        return np.matmul(delta.T, x, out=to.weights), np.sum(delta, axis=0, out=to.bias)

    def input_gradient(self, delta: Array, out: Array | None = None) -> Array:
        """Carry the loss's gradient from the pre-activations to the inputs.

        Parameters
        ----------
        delta : array of shape (batch, out)
        out : array of shape (batch, in), optional
            The array for the result.

        Returns
        -------
        array of shape (batch, in)
        """
        return np.matmul(delta, self.weights, out=out)
