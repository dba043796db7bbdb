"""Activation functions: each is a small class with a forward and a backward pass.

All of them use only NumPy's universal functions, array functions and operators. Another library's array, such as
CuPy's, implements these itself, and stays on its device. With `out`, no array is allocated, so a training reuses the
same memory from batch to batch.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyinit._core import text_of

__all__ = ["ACTIVATIONS", "Activation", "activation"]

Array = NDArray[Any]


class Activation:
    """A function ``a = f(z)`` of a layer's pre-activations, and its backward pass."""

    name: ClassVar[str]

    def __repr__(self) -> str:
        return f"activation({self.name!r})"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        """Compute the outputs of a layer.

        Parameters
        ----------
        z : array of shape (batch, units)
            The pre-activations; only read.
        out : array of shape (batch, units), optional
            The array for the result; not `z`.

        Returns
        -------
        array of shape (batch, units)
        """
        raise NotImplementedError

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        """Carry the loss's gradient from the outputs to the pre-activations.

        Parameters
        ----------
        z, a : array of shape (batch, units)
            The input and the result of `forward`.
        gradient : array of shape (batch, units)
            The gradient with respect to `a`; only read.
        out : array of shape (batch, units), optional
            The array for the result. With it, `z` is scratch space and is overwritten.

        Returns
        -------
        array of shape (batch, units)
            The gradient with respect to `z`.
        """
        raise NotImplementedError


class Identity(Activation):
    """``a = z``."""

    name = "identity"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.positive(z, out=out)

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        return np.positive(gradient, out=out)


class Tanh(Activation):
    """``a = tanh z``, with the derivative ``1 - a²``."""

    name = "tanh"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.tanh(z, out=out)

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        out = np.multiply(a, a, out=out)
        np.subtract(1, out, out=out)
        return np.multiply(gradient, out, out=out)


class Sigmoid(Activation):
    """``a = 1 / (1 + exp -z)``, with the derivative ``a (1 - a)``."""

    name = "sigmoid"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        # If exp(-z) overflows, a is 0, as it should be. (1 + tanh z/2) / 2 is equal, but rounds every small a to 0.
        out = np.negative(z, out=out)
        with np.errstate(over="ignore"):
            np.exp(out, out=out)
        out += 1
        return np.reciprocal(out, out=out)

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        out = np.subtract(1, a, out=out)
        out *= a
        return np.multiply(gradient, out, out=out)


class ReLU(Activation):
    """``a = max(z, 0)``, with the derivative 1 above 0 and 0 elsewhere."""

    name = "relu"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        return np.maximum(z, 0, out=out)

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        # The sign of a is 1 or 0, and NaN for NaN: an overflowed unit does not look dead.
        return np.multiply(gradient, np.sign(a, out=out), out=out)


class LeakyReLU(Activation):
    """``a = max(z, z / 100)``: like relu, but with the derivative 0.01 below 0, so that no unit dies.

    Source
    ------
    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    name = "leaky_relu"
    slope = 0.01

    def forward(self, z: Array, out: Array | None = None) -> Array:
        out = np.multiply(z, self.slope, out=out)
        return np.maximum(z, out, out=out)

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        out = np.multiply(np.greater(a, 0, out=out), 1 - self.slope, out=out, dtype=a.dtype)
        out += self.slope
        return np.multiply(gradient, out, out=out)


class GELU(Activation):
    """``a = z/2 (1 + tanh(√(2/π) (z + 0.044715 z³)))``: the form with tanh, because NumPy has no erf.

    It is within 5e-4 of z Φ(z). PyTorch calls it ``GELU(approximate="tanh")``.

    Source
    ------
    Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415, section 2.
    """

    name = "gelu"
    cubic = 0.044715
    factor = math.sqrt(2 / math.pi)

    def forward(self, z: Array, out: Array | None = None) -> Array:
        out = self.argument(z, out)
        np.tanh(out, out=out)
        out += 1
        out *= 0.5
        out *= z
        return out

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        # With u the argument of tanh and t = tanh u: da/dz = (1 + t)/2 (1 + (1 - t) z u'), and z u' = 3 u - 2 √(2/π) z.
        # Beyond ±10 it is exactly 0 or 1; within, nothing overflows.
        z = np.clip(z, -10, 10, out=None if out is None else z)
        out = self.argument(z, out)
        z *= -2 / 3 * self.factor
        z += out
        z *= 3  # z u'
        np.tanh(out, out=out)
        np.subtract(1, out, out=out)
        z *= out
        z += 1
        np.subtract(2, out, out=out)
        out *= z
        out *= 0.5
        return np.multiply(gradient, out, out=out)

    def argument(self, z: Array, out: Array | None) -> Array:
        """Compute the argument of tanh."""
        out = np.multiply(z, z, out=out)
        out *= self.cubic
        out += 1
        out *= z
        out *= self.factor
        return out


class Softmax(Activation):
    """``a_i = exp z_i / Σ_j exp z_j``: each row becomes probabilities, so a unit's output depends on its whole row."""

    name = "softmax"

    def forward(self, z: Array, out: Array | None = None) -> Array:
        # The largest becomes exp 0 = 1, and nothing overflows.
        out = np.subtract(z, np.max(z, axis=-1, keepdims=True), out=out)
        np.exp(out, out=out)
        out /= np.sum(out, axis=-1, keepdims=True)
        return out

    def backward(self, z: Array, a: Array, gradient: Array, out: Array | None = None) -> Array:
        # The Jacobian is diag(a) - a aᵀ, and symmetric.
        out = np.multiply(gradient, a, out=out)
        np.subtract(gradient, np.sum(out, axis=-1, keepdims=True), out=out)
        out *= a
        return out


ACTIVATIONS: dict[str, Activation] = {
    kind.name: kind() for kind in (Identity, Tanh, Sigmoid, ReLU, LeakyReLU, GELU, Softmax)
}


def activation(name: str) -> Activation:
    """Look up an activation by its name.

    Parameters
    ----------
    name : {"identity", "tanh", "sigmoid", "relu", "leaky_relu", "gelu", "softmax"}

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> relu, z = activation("relu"), np.array([[-1.0, 0.0, 2.0]])
    >>> a = relu.forward(z)
    >>> a, relu.backward(z, a, np.ones_like(a))
    (array([[0., 0., 2.]]), array([[0., 0., 1.]]))
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, ACTIVATIONS))}; got {text_of(name)}")
    return ACTIVATIONS[name]
