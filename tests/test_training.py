"""Training: steps, history, order and memory."""

import copy
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from article import X, Y, the_articles

from pyinit import Stream
from pyinit.network import SGD, Adam, Dense, Network, gradients, train
from pyinit.network.activations import ACTIVATIONS


def test_one_step_is_the_gradient_times_the_rate():
    net, same = the_articles(np.float64), the_articles(np.float64)
    value, by_layer = gradients(net, X, Y)
    assert train(net, X, Y, epochs=1, learning_rate=0.05).loss == pytest.approx([value])
    for layer, before, (weights, bias) in zip(net.layers, same.layers, by_layer, strict=True):
        np.testing.assert_allclose(layer.weights, before.weights - 0.05 * weights, rtol=1e-14)
        np.testing.assert_allclose(layer.bias, before.bias - 0.05 * bias, rtol=1e-14)


def test_no_epochs_change_nothing():
    net, same = the_articles(), the_articles()
    assert train(net, X, Y, epochs=0).loss.shape == (0,)
    np.testing.assert_array_equal(net.layers[0].weights, same.layers[0].weights)


def test_training_leaves_its_data_alone():
    x, y = np.array(X, np.float32), np.array(Y, np.float32)
    train(the_articles(), x, y, epochs=3)
    assert x.tolist() == np.array(X, np.float32).tolist()
    assert y.tolist() == np.array(Y, np.float32).tolist()


def classifier(dtype=np.float32):
    """Return 90 rows in three classes: the position of the largest of three numbers."""
    net = Network(3, [Dense(16, "relu"), Dense(3, "softmax")], dtype=dtype)
    net.initialize(seed=0)
    x = Stream(1).normal((90, 3), dtype)
    return net, x, np.argmax(x, axis=1)


def test_gradient_descent_on_the_whole_batch_is_what_its_formulas_say_to_the_bit():
    x, y = Stream(1).normal((37, 5)), Stream(2).uniform((37, 2))
    net = Network(5, [Dense(9, "tanh"), Dense(7, "relu"), Dense(2, "sigmoid")])
    net.initialize(seed=0)
    twin, expected = copy.deepcopy(net), []
    for _ in range(10):
        w, b = zip(*((layer.weights, layer.bias) for layer in twin.layers), strict=True)
        first = np.tanh(x @ w[0].T + b[0])
        second = np.maximum(first @ w[1].T + b[1], 0)
        a = 1 / (1 + np.exp(-(second @ w[2].T + b[2])))
        expected.append(((a - y) * (a - y)).sum() / (2 * 37))
        d2 = (a - y) / 37 * (a * (1 - a))
        d1 = d2 @ w[2] * (second > 0)
        d0 = d1 @ w[1] * (1 - first * first)
        for i, (delta, inputs) in enumerate(((d0, x), (d1, first), (d2, second))):
            twin.layers[i].weights -= 0.05 * (delta.T @ inputs)
            twin.layers[i].bias -= 0.05 * delta.sum(axis=0)
    history = train(net, x, y, loss="quadratic", epochs=10, learning_rate=0.05)
    np.testing.assert_array_equal(history.loss, np.array(expected, np.float32))
    for layer, same in zip(net.layers, twin.layers, strict=True):
        np.testing.assert_array_equal(layer.weights, same.weights)
        np.testing.assert_array_equal(layer.bias, same.bias)


def test_the_rate_is_0_05_unless_another_is_said():
    losses = [
        train(the_articles(), X, Y, epochs=5, **said).loss
        for said in ({}, {"learning_rate": 0.05}, {"optimizer": SGD(0.05)})
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(losses[0], losses[2])


def test_batches_come_in_the_order_of_the_streams_words():
    """Ten rows in batches of four: 4, 4 and the remaining 2, in a new order in each epoch."""
    net, x, labels = classifier(np.float64)
    x, labels = x[:10], labels[:10]
    twin, words, losses, right = copy.deepcopy(net), Stream(7).child("order"), [], []
    for _ in range(3):
        rows, epoch_loss, epoch_right = np.argsort(words.bits(10), kind="stable"), 0.0, 0
        for batch in (rows[:4], rows[4:8], rows[8:]):
            epoch_right += (np.argmax(twin(x[batch]), axis=1) == labels[batch]).sum()
            value, by_layer = gradients(twin, x[batch], labels[batch], "cross_entropy")
            epoch_loss += value * len(batch) / 10
            for layer, (weights, bias) in zip(twin.layers, by_layer, strict=True):
                layer.weights -= 0.1 * weights
                layer.bias -= 0.1 * bias
        losses.append(epoch_loss)
        right.append(epoch_right / 10)
    history = train(net, x, labels, "cross_entropy", epochs=3, batch_size=4, optimizer=SGD(0.1), seed=7)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-13)
    np.testing.assert_allclose(history.accuracy, right)
    np.testing.assert_allclose(net.layers[0].weights, twin.layers[0].weights, rtol=1e-13)


def test_the_order_follows_from_the_seed():
    def weights(seed):
        net, x, labels = classifier()
        train(net, x, labels, "cross_entropy", epochs=2, batch_size=7, seed=seed)
        return net.layers[0].weights

    np.testing.assert_array_equal(weights(3), weights(3))
    np.testing.assert_array_equal(weights(3), weights(Stream(3).skip_ahead(9)))
    assert (weights(3) != weights(4)).any()


def test_a_batch_of_all_rows_is_gradient_descent():
    nets = [classifier() for _ in range(3)]
    for (net, x, labels), size in zip(nets, (None, 90, 1000), strict=True):
        train(net, x, labels, "cross_entropy", epochs=3, batch_size=size)
        np.testing.assert_array_equal(net.layers[0].weights, nets[0][0].layers[0].weights)


def test_the_history_of_a_classifier_with_validation():
    net, x, labels = classifier()
    new_x = Stream(2).normal((50, 3))
    new = (new_x, np.argmax(new_x, axis=1))
    history = train(net, x, labels, "cross_entropy", epochs=30, batch_size=16, optimizer=Adam(0.02), validation=new)
    for array in (history.loss, history.accuracy, history.validation_loss, history.validation_accuracy):
        assert array.shape == (30,)
        assert array.dtype == np.float32
    assert history.loss[-1] < 0.3 < history.loss[0]
    # Measured after the last step: the network's present output.
    assert history.validation_accuracy[-1] == pytest.approx((np.argmax(net(new_x), axis=1) == new[1]).mean())
    assert history.validation_loss[-1] == pytest.approx(gradients(net, *new, "cross_entropy")[0], rel=1e-6)
    assert history.validation_accuracy[-1] > 0.9
    assert history.accuracy[-1] > 0.9


def test_the_history_of_a_regression_has_no_accuracy():
    history = train(the_articles(), X, Y, epochs=2, validation=(X, Y))
    assert history.accuracy is history.validation_accuracy is None
    assert history.validation_loss.shape == (2,)
    assert history.validation_loss[0] == history.loss[1]
    assert train(the_articles(), X, Y).validation_loss is None


def test_one_sigmoid_answers_above_one_half():
    net = Network(1, [Dense(1, "sigmoid")])
    net.layers[0].weights[...] = 1.0
    x = [[-2.0], [-0.1], [0.1], [2.0]]
    assert train(net, x, [0, 0, 0, 1], "cross_entropy", learning_rate=0.0).accuracy == [0.75]


@pytest.mark.parametrize("batch_size", [None, 45])
def test_a_training_that_diverges_stops_and_says_so(batch_size):
    net = Network(3, [Dense(16, "relu"), Dense(3)])
    net.initialize(seed=0)
    x = y = Stream(1).normal((90, 3))
    with pytest.warns(RuntimeWarning, match=r"diverged: its loss is not finite in epoch \d") as warned:
        history = train(net, x, y, epochs=50, learning_rate=1e4, batch_size=batch_size, validation=(x, y))
    assert len(warned) == 1
    assert np.isfinite(history.loss[0])
    assert np.isnan(history.loss[-1])
    assert np.isnan(history.validation_loss[-1])


@contextmanager
def measured_progress(total, what, show):
    """Replaces the progress bar: records the largest growth of Python's memory in each epoch's batches."""
    batches = measured_progress.batches = []

    def advance(n):
        now, peak = tracemalloc.get_traced_memory()
        batches.append(peak - advance.before)
        tracemalloc.reset_peak()
        advance.before = now

    tracemalloc.start()
    advance.before = 0
    try:
        yield advance
    finally:
        tracemalloc.stop()
    assert len(batches) == total


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("optimizer", [SGD(1e-3, momentum=0.9), Adam()], ids=["SGD", "Adam"])
def test_epochs_make_no_arrays_of_a_batchs_size(monkeypatch, name, optimizer):
    monkeypatch.setattr("pyinit.terminal.progress", measured_progress)
    net = Network(64, [Dense(64, name), Dense(64, name), Dense(64, "softmax")])
    net.initialize(0)
    x = Stream(0).normal((1100, 64))
    train(
        net,
        x,
        np.arange(1100) % 64,
        "cross_entropy",
        epochs=3,
        batch_size=500,
        optimizer=optimizer,
        validation=(x, np.arange(1100) % 64),
    )
    assert len(measured_progress.batches) == 9
    # A layer's outputs have 128,000 bytes. NumPy's casts use buffers of 8192 elements, 42,000 bytes in all.
    assert max(measured_progress.batches[3:]) < 100_000


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "batch_size must be at least 1; got 0", {"batch_size": 0}),
        (TypeError, "batch_size must be an integer; got 2.0", {"batch_size": 2.0}),
        (TypeError, r"optimizer must be an optimiser such as .*; got 'adam'", {"optimizer": "adam"}),
        (TypeError, "optimizer must be an optimiser such as .*; got <class", {"optimizer": Adam}),
        (ValueError, "give learning_rate or optimizer, not both; got 0.1", {"optimizer": Adam(), "learning_rate": 0.1}),
        (ValueError, "x must have shape", {"validation": ([[1.0]], [[1.0]])}),
        (TypeError, "seed must be an integer", {"seed": "0"}),
    ],
)
def test_errors_say_what_was_expected_and_what_came(error, message, settings):
    net, same = the_articles(), the_articles()
    with pytest.raises(error, match=message):
        train(net, X, Y, **settings)
    np.testing.assert_array_equal(net.layers[0].weights, same.layers[0].weights)
