"""Initialisation by data. LSUV: weights that are orthogonal at first and then scaled, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers.base import real
from pyinit.network.checks import count, scheme
from pyinit.network.network import Network
from pyinit.streams import Stream

__all__ = ["lsuv"]

Array = NDArray[Any]


def lsuv(net: Network, x: Any, seed: int | Stream | None, tolerance: float = 0.01, max_iterations: int = 10) -> Array:
    """Initialise a network in place so that every layer's pre-activations have unit variance on a batch.

    Weights are orthogonal at first, from the streams that `Network.initialize` uses, and biases 0. Then, from the
    first layer to the last, a layer's weights are divided by the standard deviation of its pre-activations
    ``x @ weights.T + bias``, over all rows and units, until their variance is 1 within the tolerance.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
        Of the kind that the network will see; a few hundred rows are enough.
    seed : int, Stream or None
        As for `Network.initialize`.
    tolerance : float, above 0
        The largest distance of a variance from 1.
    max_iterations : int, at least 1
        The scalings of a layer, at most. In exact arithmetic one is enough, for the biases are 0.

    Returns
    -------
    array of shape (layers,)
        The standard deviation of each layer's pre-activations that was reached; of NumPy on every device.

    Raises
    ------
    TypeError
        If `x` does not hold real numbers, or a number is not an integer where it has to be.
    ValueError
        If `x` has another shape or no rows, a number is out of range, or a layer's pre-activations have no spread
        (all its inputs are 0, say) or one that is not finite.

    Source
    ------
    Mishkin and Matas, "All you need is a good init", arXiv:1511.06422, algorithm 1.

    Examples
    --------
    >>> from pyinit.network import Dense
    >>> net = Network(8, [Dense(100, "relu")] * 3)
    >>> lsuv(net, pyinit.Stream(1).normal((200, 8)), seed=0).round(3)
    array([1., 1., 1.], dtype=float32)
    """
    x = net.batch(x)
    if len(x) == 0:
        raise ValueError("x must have at least 1 row; got 0")
    tolerance = real("tolerance", tolerance)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above 0; got {tolerance!r}")
    max_iterations = count(max_iterations, 1, "max_iterations")
    net.initialize(seed, weights=scheme("orthogonal", "weights"), bias="zeros")
    reached: Array = np.empty(len(net.layers), dtype=net.dtype)
    for i, layer in enumerate(net.layers):
        z, a = layer.forward(x)
        for _ in range(max_iterations):
            std = net.dtype.type(float(z.std()))
            if not (np.isfinite(std) and std > 0):
                raise ValueError(f"layers[{i}] cannot be scaled: its pre-activations have the standard deviation {std}")
            if abs(std * std - 1) < tolerance:
                break
            layer.weights /= float(std)
            z, a = layer.forward(x)
        reached[i], x = float(z.std()), a
    return reached
