"""Activation functions, each with its derivative.

The derivative is a function of the *output*, which a forward pass has at hand, so that nothing else needs
to be kept. Everything here is a NumPy universal function or an operator: an array of another library
(CuPy's, say) answers those itself, and stays on its own device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIVATIONS", "Activation", "activation"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """An elementwise function ``a = f(z)`` and its derivative ``f'(z)`` written in terms of ``a``."""

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def _sigmoid(z: Array) -> Array:
    # 1 / (1 + exp(-z)) overflows for z << 0; its twin through tanh never does.
    return 0.5 * np.tanh(0.5 * z) + 0.5


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("tanh", np.tanh, lambda a: 1 - a * a),
        Activation("sigmoid", _sigmoid, lambda a: a * (1 - a)),
        Activation("relu", lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(a.dtype)),
        Activation("identity", lambda z: z, np.ones_like),
    )
}


def activation(name: str) -> Activation:
    """Look an activation up by its name.

    Parameters
    ----------
    name : {"tanh", "sigmoid", "relu", "identity"}

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> relu = activation("relu")
    >>> a = relu.function(np.array([-1.0, 0.0, 2.0]))
    >>> a, relu.derivative(a)
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, ACTIVATIONS))}; got {name!r}")
    return ACTIVATIONS[name]
