"""The network: its arithmetic, its gradients, its errors."""

import copy
import math
import pickle

import numpy as np
import pytest
from article import X, Y, the_articles, toy

from pyinit import Stream
from pyinit.initializers import big, constant, normal, uniform, xavier_normal
from pyinit.network import SGD, Adam, Dense, Network, gradients, train


def test_forward_by_hand():
    """Each pre-activation is computed from the article's numbers: row i of the weights is w[i], w[i + 4]."""
    hidden = [
        math.tanh(0.3 * 0.3 + 0.6 * 0.9 + 0.7),
        math.tanh(0.1 * 0.3 + 2.0 * 0.9 + 0.2),
        math.tanh(0.9 * 0.3 + 3.7 * 0.9 + 1.1),
        math.tanh(0.0 * 0.3 + 1.0 * 0.9 + 2.0),
    ]
    z = 0.75 * hidden[0] + 0.15 * hidden[1] + 0.22 * hidden[2] + 0.33 * hidden[3] + 0.3
    net = the_articles(np.float64)
    first, second = net.activations([[0.3, 0.9], [0.0, 0.0]])
    np.testing.assert_allclose(first[0], hidden, rtol=1e-14)
    np.testing.assert_allclose(first[1], np.tanh([0.7, 0.2, 1.1, 2.0]), rtol=1e-14)
    assert second[0, 0] == pytest.approx(1 / (1 + math.exp(-z)), rel=1e-14)
    np.testing.assert_array_equal(net([[0.3, 0.9], [0.0, 0.0]]), second)


def test_dtype_is_kept_throughout():
    for dtype in (np.float32, np.float64):
        net = the_articles(dtype)
        assert train(net, X, Y, epochs=2).loss.dtype == net(X).dtype == net.layers[0].weights.dtype == dtype


def test_each_parameter_has_its_own_named_stream():
    net = Network(3, [Dense(4, "tanh"), Dense(2, bias=normal(std=0.5)), Dense(5, "relu", weights=uniform(-1.0, 1.0))])
    net.initialize(seed=42)
    stream = Stream(42)
    (w0, b0), (w1, b1), (w2, b2) = ((layer.weights, layer.bias) for layer in net.layers)
    np.testing.assert_array_equal(w0, xavier_normal()(np.empty((4, 3), np.float32), stream.child("layers.0.weights")))
    np.testing.assert_array_equal(w1, xavier_normal()(np.empty((2, 4), np.float32), stream.child("layers.1.weights")))
    np.testing.assert_array_equal(b1, stream.child("layers.1.bias").normal(2, std=0.5))
    np.testing.assert_array_equal(w2, stream.child("layers.2.weights").uniform((5, 2), low=-1.0, high=1.0))
    assert not b0.any()
    assert not b2.any()


def test_a_layer_does_not_depend_on_the_others():
    shallow, deep = Network(2, [Dense(4)]), Network(2, [Dense(4), Dense(7), Dense(1)])
    shallow.initialize(1)
    deep.initialize(1)
    np.testing.assert_array_equal(shallow.layers[0].weights, deep.layers[0].weights)


def test_initialize_takes_a_stream_and_can_be_repeated():
    first, second = toy(), toy()
    first.initialize(seed=5)
    expected = first.layers[0].weights.copy()
    second.initialize(Stream(5).skip_ahead(100))
    np.testing.assert_array_equal(second.layers[0].weights, expected)
    train(first, X, Y, epochs=1)
    first.initialize(seed=5)
    np.testing.assert_array_equal(first.layers[0].weights, expected)
    first.initialize(seed=6)
    assert (first.layers[0].weights != expected).all()


def test_schemes_may_be_texts():
    net, same = Network(3, [Dense(4, weights="normal(std=0.5)", bias="big")]), Network(3, [Dense(4)])
    assert net.layers[0].description == Dense(4, weights=normal(std=0.5), bias=big())
    net.initialize(0)
    same.initialize(0, weights="normal(std=0.5)", bias="big")
    np.testing.assert_array_equal(net.layers[0].weights, same.layers[0].weights)
    np.testing.assert_array_equal(net.layers[0].bias, same.layers[0].bias)
    np.testing.assert_array_equal(net.layers[0].bias, Stream(0).child("layers.0.bias").normal(4))


def test_initialize_can_overrule_every_layer():
    net = Network(2, [Dense(4, weights=big(), bias=big()), Dense(1)])
    net.initialize(0, weights=constant(0.25), bias=constant(-1.0))
    for layer in net.layers:
        assert (layer.weights == 0.25).all()
        assert (layer.bias == -1.0).all()


def test_one_description_serves_several_layers_and_networks():
    layers = [Dense(3, "tanh")] * 2
    one, other = Network(3, layers), Network(3, layers)
    one.initialize(0)
    assert (one.layers[0].weights != one.layers[1].weights).all()
    assert np.isnan(other.layers[0].weights).all()


def test_if_one_array_cannot_be_filled_none_is():
    net = Network(3, [Dense(2), Dense(2)])
    net.layers[1].bias.flags.writeable = False
    with pytest.raises(ValueError, match=r"'layers\.1\.bias': out must be writable"):
        net.initialize(0)
    assert np.isnan(net.layers[0].weights).all()


def test_an_optimizer_reads_its_numbers_once():
    class Changing:
        answers = iter([0.25, -1.0])

        def __float__(self):
            return next(self.answers)

    assert SGD(Changing()) == SGD(0.25)
    with pytest.raises(TypeError, match="beta1 must be a real number; got 'x'"):
        Adam(beta1="x")


def test_a_network_runs_when_every_weight_is_set_and_not_before():
    net = Network(2, [Dense(1), Dense(1)])
    for run in (lambda: net(X), lambda: net.activations(X), lambda: train(net, X, Y), lambda: gradients(net, X, Y)):
        with pytest.raises(ValueError, match=r"layers\[0\].weights must be numbers; got NaN"):
            run()
    net.layers[0].weights[...] = 1.0
    net.layers[1].weights[...] = 0.0
    assert (net(X) == 0.0).all()


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, "units must be at least 1; got 0", lambda: Dense(0)),
        (TypeError, "units must be an integer; got 4.0", lambda: Dense(4.0)),
        (ValueError, "activation must be one of .*; got 'tahn'", lambda: Dense(4, "tahn")),
        (ValueError, "weights: no scheme is called 'zeroes'", lambda: Dense(4, weights="zeroes")),
        (TypeError, "bias: a scheme must be .*; got 0.0", lambda: Dense(4, bias=0.0)),
        (
            TypeError,
            r"weights: a scheme must be .*did you mean xavier_normal\(\)",
            lambda: Dense(4, weights=xavier_normal),
        ),
        (TypeError, "weights: a scheme must be .*; got 0.1", lambda: toy().initialize(0, weights=0.1)),
        (TypeError, "layers must be Dense; got 't'", lambda: Network(2, "tanh")),
        (TypeError, "not iterable", lambda: Network(2, Dense(3))),
        (ValueError, "inputs must be at least 1; got 0", lambda: Network(0, [Dense(1)])),
        (TypeError, "inputs must be an integer; got '2'", lambda: Network("2", [Dense(1)])),
        (ValueError, "layers must hold at least one Dense; got none", lambda: Network(2, [])),
        (TypeError, "layers must be Dense; got 4", lambda: Network(2, [4])),
        (ValueError, "dtype must be float32 or float64; got int32", lambda: Network(2, [Dense(1)], dtype=np.int32)),
        (ValueError, "device must be 'cpu' or 'cuda'; got 'gpu'", lambda: Network(2, [Dense(1)], device="gpu")),
        (TypeError, "seed must be an integer; got str", lambda: toy().initialize("0")),
        (ValueError, r"at least 2 dimensions, .*; got shape \(4,\)", lambda: toy().initialize(0, bias=xavier_normal())),
        (ValueError, r"x must have shape \(batch, 2\); got \(2,\)", lambda: the_articles()([0.3, 0.9])),
        (ValueError, r"x must have shape \(batch, 2\); got \(1, 3\)", lambda: the_articles()([[1, 2, 3]])),
        (TypeError, "x must hold real numbers; got complex128", lambda: the_articles()([[1j, 2]])),
        (TypeError, "x must hold real numbers; got <U1", lambda: the_articles()([["a", "b"]])),
        (ValueError, r"y must have shape \(batch, 1\); got \(2,\)", lambda: train(the_articles(), X, [0.5, 0.5])),
        (ValueError, "the same number of rows, at least 1; got 2 and 1", lambda: train(the_articles(), X, [[0.5]])),
        (
            ValueError,
            "at least 1; got 0 and 0",
            lambda: train(the_articles(), np.empty((0, 2)), np.empty((0, 1))),
        ),
        (ValueError, "loss must be one of .*; got 'mse'", lambda: train(the_articles(), X, Y, loss="mse")),
        (ValueError, "epochs must be at least 0; got -1", lambda: train(the_articles(), X, Y, epochs=-1)),
        (TypeError, "epochs must be an integer; got 2000.0", lambda: train(the_articles(), X, Y, epochs=2e3)),
        (ValueError, "learning_rate must be .*; got nan", lambda: train(the_articles(), X, Y, learning_rate=math.nan)),
        (ValueError, "learning_rate must be .*; got inf", lambda: train(the_articles(), X, Y, learning_rate=math.inf)),
        (ValueError, "learning_rate must be .*; got -0.1", lambda: train(the_articles(), X, Y, learning_rate=-0.1)),
        (
            TypeError,
            "learning_rate must be a real number; got '0.05'",
            lambda: train(the_articles(), X, Y, learning_rate="0.05"),
        ),
    ],
)
def test_errors_say_what_was_expected_and_what_came(error, message, make):
    with pytest.raises(error, match=message):
        make()


def test_an_empty_batch_has_an_empty_answer():
    assert the_articles()(np.empty((0, 2))).shape == (0, 1)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_learns_on_its_own(again):
    net = the_articles()
    twin = again(net)
    before = net(X)
    train(twin, X, Y, epochs=10)
    np.testing.assert_array_equal(net(X), before)
    assert (twin(X) != before).all()
    assert repr(twin) == repr(net)


def test_layers_come_from_any_iterable():
    assert repr(Network(2, (Dense(n) for n in (3, 1)))) == repr(Network(2, [Dense(3), Dense(1)]))


def test_networks_print_their_shapes():
    assert "[DenseLayer(2 -> 4, 'tanh'), DenseLayer(4 -> 1, 'sigmoid')], dtype=float32" in repr(toy())
