"""Data-driven initialisation. LSUV: orthogonal weights, then scaled layer by layer."""

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

    Weights start orthogonal, from the same streams as in `Network.initialize`, and biases are 0. Then, from the first
    layer to the last, each layer's weights are divided by the standard deviation of its pre-activations
    ``x @ weights.T + bias``, over all rows and units, until the variance is 1 within the tolerance.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
        Inputs like those that the network will see; a few hundred rows are enough.
    seed : int, Stream or None
        As for `Network.initialize`.
    tolerance : float, above 0
        The largest distance of a variance from 1.
    max_iterations : int, at least 1
        The largest number of scalings per layer. In exact arithmetic one is enough, because the biases are 0.

    Returns
    -------
    array of shape (layers,)
        The final standard deviation of each layer's pre-activations; a NumPy array on every device.

    Raises
    ------
    TypeError
        If `x` does not hold real numbers, or `max_iterations` is not an integer.
    ValueError
        If `x` has the wrong shape or no rows, a number is out of range, or the standard deviation of a layer's
        pre-activations is 0 (for example, if all its inputs are 0) or not finite.

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
