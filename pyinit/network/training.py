"""Training by gradient descent on the whole batch."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from pyinit.network.checks import count, rows
from pyinit.network.losses import Loss, loss_function
from pyinit.network.network import Network

__all__ = ["gradients", "train"]

Array = NDArray[Any]
Gradients = list[tuple[Array, Array]]


def gradients(net: Network, x: Any, y: Any, loss: str = "quadratic") -> tuple[Any, Gradients]:
    """Compute the loss of a batch, and its gradient with respect to every parameter.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
    y : array_like of shape (batch, outputs)
        The targets.
    loss : {"quadratic"}

    Returns
    -------
    value : scalar
        The loss.
    by_layer : list of (weights_gradient, bias_gradient)
        From the first layer to the last, each with the shape of its parameter.

    Raises
    ------
    TypeError
        If `x` or `y` does not hold real numbers.
    ValueError
        If a shape is another, the loss is unknown, or a weight is NaN.

    Source
    ------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature, 1986.

    Examples
    --------
    >>> from pyinit.network import Dense
    >>> net = Network(2, [Dense(1, "identity")])
    >>> net.layers[0].weights[...] = 1.0
    >>> value, [(weights_gradient, bias_gradient)] = gradients(net, [[2.0, 3.0]], [[4.0]])
    >>> float(value), weights_gradient, bias_gradient
    (0.5, array([[2., 3.]], dtype=float32), array([1.], dtype=float32))
    """
    chosen = loss_function(loss)
    x, y = _examples(net, x, y)
    net.require_weights()
    return _backpropagate(net, x, y, chosen)


def train(net: Network, x: Any, y: Any, loss: str = "quadratic", epochs: int = 1, learning_rate: float = 0.05) -> Array:
    """Train a network in place by gradient descent.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
        Only read.
    y : array_like of shape (batch, outputs)
        The targets; only read.
    loss : {"quadratic"}
    epochs : int, at least 0
        The number of steps; each sees the whole batch.
    learning_rate : float, finite and at least 0
        What a gradient is multiplied by before it is subtracted from its parameter.

    Returns
    -------
    array of shape (epochs,)
        The loss before each step.

    Raises
    ------
    TypeError
        If `x` or `y` does not hold real numbers, or `epochs` is not an integer.
    ValueError
        If a shape is another, the loss is unknown, a number is out of range, or a weight is NaN.

    Source
    ------
    `sgd` and `quadratic-cost!` in Djuric, "Deep Learning from Scratch to GPU, 12, A Simple Neural Network
    Training API", 2019.

    Examples
    --------
    >>> from pyinit.network import Dense
    >>> net = Network(1, [Dense(1, "identity")])
    >>> net.layers[0].weights[...] = 0.0
    >>> train(net, [[1.0]], [[1.0]], epochs=3, learning_rate=0.25)
    array([0.5    , 0.125  , 0.03125], dtype=float32)
    """
    chosen = loss_function(loss)
    x, y = _examples(net, x, y)
    epochs = count(epochs, 0, "epochs")
    if not (math.isfinite(learning_rate) and learning_rate >= 0):
        raise ValueError(f"learning_rate must be finite and at least 0; got {learning_rate!r}")
    net.require_weights()
    rate = float(learning_rate)
    losses: Array = net.xp.empty(epochs, dtype=net.dtype)
    for epoch in range(epochs):
        losses[epoch], by_layer = _backpropagate(net, x, y, chosen)
        for layer, (weights_gradient, bias_gradient) in zip(net.layers, by_layer, strict=True):
            layer.weights -= rate * weights_gradient
            layer.bias -= rate * bias_gradient
    return losses


def _examples(net: Network, x: Any, y: Any) -> tuple[Array, Array]:
    x, y = net.batch(x), rows(y, net.outputs, "y", net.dtype, net.xp)
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"x and y must have the same number of rows, at least 1; got {len(x)} and {len(y)}")
    return x, y


def _backpropagate(net: Network, x: Array, y: Array, loss: Loss) -> tuple[Any, Gradients]:
    outputs = net.forward(x)
    gradient = loss.gradient(outputs[-1], y)
    by_layer: Gradients = []
    for i in reversed(range(len(net.layers))):
        inputs = outputs[i - 1] if i else x
        weights_gradient, bias_gradient, gradient = net.layers[i].backward(inputs, outputs[i], gradient)
        by_layer.insert(0, (weights_gradient, bias_gradient))
    return loss.value(outputs[-1], y), by_layer
