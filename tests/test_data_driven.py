"""LSUV: unit variance in every layer, from data."""

import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.network import Dense, Network, lsuv


def deep(activation, dtype=np.float32):
    return Network(20, [Dense(width, activation) for width in (50, 50, 30, 30, 30, 60, 60, 10)], dtype=dtype)


def preactivation_stds(net, x):
    return np.array([z.std() for z, _ in net.forward(net.batch(x))])


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "gelu", "sigmoid", "identity"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_has_unit_variance(activation, dtype):
    net, x = deep(activation, dtype), 3 + 5 * Stream(1).normal((300, 20), dtype)
    reached = lsuv(net, x, seed=0)
    assert reached.dtype == dtype
    stds = preactivation_stds(net, x)
    np.testing.assert_array_equal(reached, stds)
    np.testing.assert_allclose(stds**2, 1, atol=0.01)
    net.initialize(0)
    assert np.abs(preactivation_stds(net, x) ** 2 - 1).max() > 0.5, "Xavier leaves other variances"


def test_weights_stay_orthogonal_up_to_a_factor_and_biases_0():
    net = Network(20, [Dense(width, "relu", bias="ones") for width in (50, 50, 30)], dtype=np.float64)
    lsuv(net, Stream(1).normal((300, 20), np.float64), seed=0)
    for layer in net.layers:
        w = layer.weights if len(layer.weights) <= layer.weights.shape[1] else layer.weights.T
        product = w @ w.T
        np.testing.assert_allclose(product, product[0, 0] * np.eye(len(w)), atol=1e-12)
        assert not layer.bias.any()


def test_the_start_is_the_orthogonal_scheme_on_the_same_streams():
    net, same = deep("tanh"), deep("tanh")
    lsuv(net, Stream(1).normal((300, 20)), seed=5)
    same.initialize(5, weights=initializers.orthogonal())
    for layer, other in zip(net.layers, same.layers, strict=True):
        ratio = layer.weights / other.weights
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert net.layers[0].weights[0, 0] != same.layers[0].weights[0, 0]


def test_iterations_and_tolerance():
    """A variance within the tolerance is kept: here every finite one."""
    x = Stream(1).normal((300, 20))
    net, same = deep("tanh"), deep("tanh")
    lsuv(net, x, seed=0, tolerance=1e9)
    same.initialize(0, weights=initializers.orthogonal())
    np.testing.assert_array_equal(net.layers[0].weights, same.layers[0].weights)
    assert np.abs(lsuv(net, x, seed=0, tolerance=1e-30, max_iterations=3) - 1).max() < 1e-5


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, r"layers\[0\] cannot be scaled: .*standard deviation 0.0", {"x": np.zeros((5, 20))}),
        (ValueError, r"layers\[0\] cannot be scaled: .*standard deviation nan", {"x": np.full((5, 20), np.nan)}),
        (ValueError, "x must have at least 1 row; got 0", {"x": np.empty((0, 20))}),
        (ValueError, r"x must have shape \(batch, 20\)", {"x": np.ones((5, 3))}),
        (ValueError, "tolerance must be above 0; got 0", {"tolerance": 0}),
        (ValueError, "max_iterations must be at least 1; got 0", {"max_iterations": 0}),
    ],
)
def test_errors_say_what_was_expected_and_what_came(error, message, settings):
    with pytest.raises(error, match=message):
        lsuv(**({"net": deep("relu"), "x": np.ones((5, 20)), "seed": 0} | settings))
