"""The network: its arithmetic, its gradients, its errors."""

import copy
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from article import X, Y, the_articles, toy

from pyinit import Stream
from pyinit.initializers import big, constant, normal, uniform, xavier_normal
from pyinit.network import Dense, Network, gradients, train
from pyinit.network.activations import ACTIVATIONS, activation
from pyinit.network.losses import loss_function
from pyinit.network.network import NAMESPACES


def test_forward_by_hand():
    """Each pre-activation is worked out from the article's numbers: row i of the weights is w[i], w[i + 4]."""
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tanh", [-1.0, -0.7615941559557649, 0.0, 0.46211715726000973, 1.0]),
        ("sigmoid", [0.0, 0.2689414213699951, 0.5, 0.6224593312018546, 1.0]),
        ("relu", [0.0, 0.0, 0.0, 0.5, 1000.0]),
        ("identity", [-1000.0, -1.0, 0.0, 0.5, 1000.0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_keep_dtype_and_do_not_overflow(name, expected, dtype):
    a = activation(name).function(np.array([-1000.0, -1.0, 0.0, 0.5, 1000.0], dtype))
    assert a.dtype == activation(name).derivative(a).dtype == dtype
    np.testing.assert_allclose(a, expected, rtol=np.finfo(dtype).eps * 4)


def test_dtype_is_kept_throughout():
    for dtype in (np.float32, np.float64):
        net = the_articles(dtype)
        assert train(net, X, Y, epochs=2).dtype == net(X).dtype == net.layers[0].weights.dtype == dtype


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that NumPy reaches only by its protocols and that never mixes with NumPy's own, as CuPy's."""

    def __init__(self, host):
        self.host = host

    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    shape = property(lambda self: self.host.shape)
    T = property(lambda self: DeviceArray(self.host.T))

    def __len__(self):
        return len(self.host)

    def __bool__(self):
        return bool(self.host)

    def __array__(self, *args, **kwargs):
        raise TypeError("this array does not come to the host by itself")

    def __setitem__(self, key, value):
        self.host[key] = value.host if isinstance(value, DeviceArray) else value

    def __array_ufunc__(self, ufunc, method, *args, out=(), **kwargs):
        return self._call(getattr(ufunc, method), (*args, *out), kwargs | ({"out": out[0].host} if out else {}))

    def __array_function__(self, function, types, args, kwargs):
        return self._call(function, args, kwargs)

    def _call(self, function, args, kwargs):
        if any(isinstance(a, np.ndarray) for a in args):
            raise TypeError("a device array met a NumPy array")
        inputs = args[:-1] if "out" in kwargs else args
        return DeviceArray(function(*(a.host if isinstance(a, DeviceArray) else a for a in inputs), **kwargs))

    def sum(self, **kwargs):
        return DeviceArray(self.host.sum(**kwargs))

    def any(self):
        return DeviceArray(self.host.any())

    def astype(self, dtype, **kwargs):
        return DeviceArray(self.host.astype(dtype, **kwargs))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_training_asks_only_what_any_array_answers(monkeypatch, name):
    def on_device(make):
        return lambda *args, **kwargs: DeviceArray(make(*args, **kwargs))

    makers = {f: on_device(getattr(np, f)) for f in ("asarray", "empty", "full", "zeros")}
    monkeypatch.setitem(NAMESPACES, "device", SimpleNamespace(nan=np.nan, **makers))
    results = []
    for where in ("cpu", "device"):
        net = Network(2, [Dense(3, name), Dense(1, name)], device=where)
        for i, layer in enumerate(net.layers):
            layer.weights[...] = Stream(i).normal(layer.weights.shape)
        results.append((train(net, X, Y, epochs=3), net(X)))
    for cpu, device in zip(*results, strict=True):
        assert isinstance(device, DeviceArray)
        np.testing.assert_array_equal(device.host, cpu)


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


def test_a_network_runs_when_every_weight_is_set_and_not_before():
    net = Network(2, [Dense(1), Dense(1)])
    for run in (lambda: net(X), lambda: net.activations(X), lambda: train(net, X, Y), lambda: gradients(net, X, Y)):
        with pytest.raises(ValueError, match=r"layers\[0\].weights must be numbers; got NaN"):
            run()
    net.layers[0].weights[...] = 1.0
    net.layers[1].weights[...] = 0.0
    assert (net(X) == 0.0).all()


def test_the_loss_is_half_the_mean_squared_distance():
    quadratic = loss_function("quadratic")
    a, y = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 2.0]])
    assert quadratic.value(a, y) == (4 + 16 + 4) / 6
    np.testing.assert_allclose(quadratic.gradient(a, y), np.array([[0, 2], [0, 4], [0, -2]]) / 3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_equal_finite_differences(name):
    """A central difference of step h errs by about h² + eps/h: with h = 1e-5, by 1e-10."""
    h = 1e-5
    net = Network(3, [Dense(5, name), Dense(4, name), Dense(2, name)], dtype=np.float64)
    net.initialize(seed=1, bias=normal(std=0.3))
    x, y = Stream(2).normal((7, 3), np.float64), Stream(3).normal((7, 2), np.float64)
    value, by_layer = gradients(net, x, y)
    assert value == pytest.approx(((net(x) - y) ** 2).sum() / (2 * 7), rel=1e-14)
    for layer, found in zip(net.layers, by_layer, strict=True):
        for parameter, gradient in zip((layer.weights, layer.bias), found, strict=True):
            assert gradient.shape == parameter.shape
            assert np.abs(gradient).max() > 1e-3, "a gradient of zeros would prove nothing"
            for index in np.ndindex(parameter.shape):
                at = parameter[index]
                parameter[index] = at + h
                above = gradients(net, x, y)[0]
                parameter[index] = at - h
                below = gradients(net, x, y)[0]
                parameter[index] = at
                assert gradient[index] == pytest.approx((above - below) / (2 * h), rel=1e-6, abs=1e-9)


def test_the_input_gradient_equals_finite_differences():
    layer = the_articles(np.float64).layers[0]
    x, along = np.array([[0.3, 0.9], [-0.2, 0.1]]), np.array([[1.0, -2.0, 0.5, 3.0], [0.2, 0.4, -1.0, 1.0]])
    *_, found = layer.backward(x, layer.forward(x), along)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        difference = ((layer.forward(x + step) - layer.forward(x - step)) * along).sum() / 2e-5
        assert found[index] == pytest.approx(difference, rel=1e-7)


def test_one_step_is_the_gradient_times_the_rate():
    net, same = the_articles(np.float64), the_articles(np.float64)
    value, by_layer = gradients(net, X, Y)
    assert train(net, X, Y, epochs=1, learning_rate=0.05) == pytest.approx([value])
    for layer, before, (weights, bias) in zip(net.layers, same.layers, by_layer, strict=True):
        np.testing.assert_allclose(layer.weights, before.weights - 0.05 * weights, rtol=1e-14)
        np.testing.assert_allclose(layer.bias, before.bias - 0.05 * bias, rtol=1e-14)


def test_no_epochs_change_nothing():
    net, same = the_articles(), the_articles()
    assert train(net, X, Y, epochs=0).shape == (0,)
    np.testing.assert_array_equal(net.layers[0].weights, same.layers[0].weights)


def test_training_leaves_its_data_alone():
    x, y = np.array(X, np.float32), np.array(Y, np.float32)
    train(the_articles(), x, y, epochs=3)
    assert x.tolist() == np.array(X, np.float32).tolist()
    assert y.tolist() == np.array(Y, np.float32).tolist()


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, "units must be at least 1; got 0", lambda: Dense(0)),
        (TypeError, "units must be an integer; got 4.0", lambda: Dense(4.0)),
        (ValueError, "'tanh', 'sigmoid', 'relu', 'identity'; got 'tahn'", lambda: Dense(4, "tahn")),
        (TypeError, "weights must be a scheme .*; got 'zeros'", lambda: Dense(4, weights="zeros")),
        (TypeError, "bias must be a scheme .*; got 0.0", lambda: Dense(4, bias=0.0)),
        (
            TypeError,
            r"weights must be a scheme, .*did you mean xavier_normal\(\)",
            lambda: Dense(4, weights=xavier_normal),
        ),
        (TypeError, "weights must be a scheme .*; got 'xavier'", lambda: toy().initialize(0, weights="xavier")),
        (TypeError, "layers must be Dense; got 't'", lambda: Network(2, "tanh")),
        (TypeError, "not iterable", lambda: Network(2, Dense(3))),
        (ValueError, "inputs must be at least 1; got 0", lambda: Network(0, [Dense(1)])),
        (TypeError, "inputs must be an integer; got '2'", lambda: Network("2", [Dense(1)])),
        (ValueError, "layers must hold at least one Dense; got none", lambda: Network(2, [])),
        (TypeError, "layers must be Dense; got 4", lambda: Network(2, [4])),
        (ValueError, "dtype must be float32 or float64; got int32", lambda: Network(2, [Dense(1)], dtype=np.int32)),
        (ValueError, "device must be 'cpu'; got 'cuda'", lambda: Network(2, [Dense(1)], device="cuda")),
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
        (ValueError, "loss must be one of 'quadratic'; got 'mse'", lambda: train(the_articles(), X, Y, loss="mse")),
        (ValueError, "epochs must be at least 0; got -1", lambda: train(the_articles(), X, Y, epochs=-1)),
        (TypeError, "epochs must be an integer; got 2000.0", lambda: train(the_articles(), X, Y, epochs=2e3)),
        (ValueError, "learning_rate must be .*; got nan", lambda: train(the_articles(), X, Y, learning_rate=math.nan)),
        (ValueError, "learning_rate must be .*; got inf", lambda: train(the_articles(), X, Y, learning_rate=math.inf)),
        (ValueError, "learning_rate must be .*; got -0.1", lambda: train(the_articles(), X, Y, learning_rate=-0.1)),
        (TypeError, "real number, not str", lambda: train(the_articles(), X, Y, learning_rate="0.05")),
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
