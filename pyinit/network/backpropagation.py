"""Backpropagation: the gradient of the loss with respect to every parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from pyinit.network.buffers import Buffers
from pyinit.network.layers import NEW
from pyinit.network.losses import Loss, loss_function
from pyinit.network.network import Network

__all__ = ["backpropagate", "examples", "gradients"]

Array = NDArray[Any]
Gradients = list[tuple[Array, Array]]


def gradients(net: Network, x: Any, y: Any, loss: str = "quadratic") -> tuple[Any, Gradients]:
    """Compute the loss of a batch, and its gradient with respect to every parameter.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
    y : array_like of shape (batch, outputs)
        The targets; for the cross-entropy also integer class labels of shape (batch,).
    loss : {"quadratic", "cross_entropy"}

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
        If a shape is wrong, the loss is unknown or does not go with the last layer, or a weight is NaN.

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
    chosen = loss_function(loss, net.layers[-1].activation)
    x, y = examples(net, x, y, chosen)
    net.require_weights()
    value, _, by_layer = backpropagate(net, x, y, chosen, [NEW] * len(net.layers))
    return value, by_layer


def examples(net: Network, x: Any, y: Any, loss: Loss) -> tuple[Array, Array]:
    """Convert inputs and targets to the network's kind of arrays, or raise."""
    x, y = net.batch(x), loss.targets(y, net.outputs, net.dtype, net.xp)
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"x and y must have the same number of rows, at least 1; got {len(x)} and {len(y)}")
    return x, y


def backpropagate(
    net: Network, x: Array, y: Array, loss: Loss, buffers: Sequence[Buffers]
) -> tuple[Any, Array, Gradients]:
    """Pass a batch forward, and its loss's gradient back, without checking the arguments.

    Parameters
    ----------
    net : Network
    x : array of shape (batch, inputs)
    y : array of shape (batch, outputs)
    loss : Loss
    buffers : sequence of Buffers
        The memory for each layer's results.

    Returns
    -------
    value : scalar
        The loss.
    a : array of shape (batch, outputs)
        The network's output.
    by_layer : list of (weights_gradient, bias_gradient)
    """
    passes = net.forward(x, buffers)
    z, output = passes[-1]
    value = loss.forward(z, output, y, out=buffers[-1].gradient)
    delta = loss.backward(z, output, y, buffers[-1])
    by_layer = []
    for i in reversed(range(1, len(net.layers))):
        z, a = passes[i - 1]
        by_layer.append(net.layers[i].backward(a, delta, buffers[i]))
        gradient = net.layers[i].input_gradient(delta, out=buffers[i - 1].gradient)
        delta = net.layers[i - 1].activation.backward(z, a, gradient, out=buffers[i - 1].delta)
    by_layer.append(net.layers[0].backward(x, delta, buffers[0]))
    return value, output, by_layer[::-1]
