"""The chain of layers: its gradients equal finite differences, in new arrays and in buffers."""

import numpy as np
import pytest
from article import the_articles

from pyinit import Stream
from pyinit.initializers import normal
from pyinit.network import Dense, Network, gradients
from pyinit.network.activations import ACTIVATIONS, activation
from pyinit.network.backpropagation import backpropagate
from pyinit.network.losses import loss_function

CHAINS = [(name, name, "quadratic") for name in ACTIVATIONS] + [
    ("tanh", "softmax", "cross_entropy"),
    ("gelu", "sigmoid", "cross_entropy"),
]


def chain(hidden, last, loss):
    net = Network(3, [Dense(5, hidden), Dense(4, hidden), Dense(2, last)], dtype=np.float64)
    net.initialize(seed=1, bias=normal(std=0.3))
    y = Stream(3).uniform((7, 2), np.float64)
    return net, Stream(2).normal((7, 3), np.float64), y / y.sum(axis=1, keepdims=True) if last == "softmax" else y


@pytest.mark.parametrize(("hidden", "last", "loss"), CHAINS)
def test_gradients_equal_finite_differences(hidden, last, loss):
    """A central difference of step h errs by about h² + eps/h: with h = 1e-5, by 1e-10."""
    h = 1e-5
    net, x, y = chain(hidden, last, loss)
    _, by_layer = gradients(net, x, y, loss)
    for layer, found in zip(net.layers, by_layer, strict=True):
        for parameter, gradient in zip((layer.weights, layer.bias), found, strict=True):
            assert gradient.shape == parameter.shape
            assert np.abs(gradient).max() > 1e-4, "a gradient of zeros would prove nothing"
            for index in np.ndindex(parameter.shape):
                at = parameter[index]
                parameter[index] = at + h
                above = gradients(net, x, y, loss)[0]
                parameter[index] = at - h
                below = gradients(net, x, y, loss)[0]
                parameter[index] = at
                assert gradient[index] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(("hidden", "last", "loss"), CHAINS)
def test_the_gradients_flow_equals_finite_differences(hidden, last, loss):
    """An identity layer below each layer has its output, and the test moves the identity's bias."""
    net, x, y = chain(hidden, last, loss)
    along = y - 0.3
    flow = net.gradient_flow(x, along)
    outputs = net.activations(x)
    assert len(flow) == len(net.layers)
    np.testing.assert_array_equal(flow[-1], along)
    for i in (0, 1):
        for index in ((0, 0), (6, 3)):
            values = []
            for h in (1e-5, -1e-5):
                a = outputs[i].copy()
                a[index] += h
                for layer in net.layers[i + 1 :]:
                    _, a = layer.forward(a)
                values.append((a * along).sum())
            assert flow[i][index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_the_input_gradient_equals_finite_differences():
    layer = the_articles(np.float64).layers[0]
    x, along = np.array([[0.3, 0.9], [-0.2, 0.1]]), np.array([[1.0, -2.0, 0.5, 3.0], [0.2, 0.4, -1.0, 1.0]])
    found = layer.input_gradient(layer.activation.backward(*layer.forward(x), along))
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        difference = ((layer.forward(x + step)[1] - layer.forward(x - step)[1]) * along).sum() / 2e-5
        assert found[index] == pytest.approx(difference, rel=1e-7)


@pytest.mark.parametrize(("hidden", "last", "loss"), CHAINS)
def test_buffers_change_no_bit_and_serve_smaller_batches(hidden, last, loss):
    net, x, y = chain(hidden, last, loss)
    chosen = loss_function(loss, activation(last))
    buffers = [layer.buffers(7) for layer in net.layers]
    for rows in (7, 3, 7):
        expected, by_layer = gradients(net, x[:rows], y[:rows], loss)
        part = buffers if rows == 7 else [b.rows(rows) for b in buffers]
        value, a, found = backpropagate(net, x[:rows], y[:rows], chosen, part)
        assert value == expected
        assert np.shares_memory(a, buffers[-1].a)
        for i, (weights, bias) in enumerate(found):
            assert weights is buffers[i].weights
            assert bias is buffers[i].bias
            np.testing.assert_array_equal(weights, by_layer[i][0])
            np.testing.assert_array_equal(bias, by_layer[i][1])


def test_public_results_are_the_callers_to_keep():
    net, x, y = chain("tanh", "softmax", "cross_entropy")
    ways = (
        lambda x: [net(x)],
        net.activations,
        lambda x: net.gradient_flow(x, y)[:-1],
        lambda x: [array for pair in gradients(net, x, y, "cross_entropy")[1] for array in pair],
    )
    for way in ways:
        first = way(x)
        kept = [array.copy() for array in first]
        second = way(2 * x)
        for array, before, other in zip(first, kept, second, strict=True):
            np.testing.assert_array_equal(array, before)
            assert not np.shares_memory(array, other)
