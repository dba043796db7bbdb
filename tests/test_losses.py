"""The losses: values, gradients, targets."""

import math

import numpy as np
import pytest

from pyinit import Stream
from pyinit.network import Dense, Network, gradients
from pyinit.network.activations import activation
from pyinit.network.buffers import Buffers
from pyinit.network.losses import loss_function


def loss(name, last):
    return loss_function(name, activation(last))


def test_the_quadratic_loss_is_half_the_mean_squared_distance():
    quadratic = loss("quadratic", "identity")
    a, y = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 2.0]])
    assert quadratic.forward(a, a, y) == (4 + 16 + 4) / 6
    np.testing.assert_allclose(quadratic.backward(a, a, y, Buffers()), np.array([[0, 2], [0, 4], [0, -2]]) / 3)


def test_the_cross_entropy_by_hand():
    z = np.log([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    y = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    softmax, sigmoid = loss("cross_entropy", "softmax"), loss("cross_entropy", "sigmoid")
    expected = -(math.log(0.5) + 0.5 * math.log(0.1) + 0.5 * math.log(0.8)) / 2
    assert softmax.forward(z, activation("softmax").forward(z), y) == pytest.approx(expected, rel=1e-14)
    a, answers = np.array([[0.25], [0.75]]), np.array([[1.0], [1.0]])
    expected = -(math.log(0.25) + math.log(0.75)) / 2
    assert sigmoid.forward(np.log(a / (1 - a)), a, answers) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_the_cross_entropy_equals_torchs(last):
    torch = pytest.importorskip("torch")
    z = 5 * Stream(1).normal((40, 6), np.float64)
    y = Stream(2).uniform((40, 6), np.float64)
    if last == "softmax":
        y /= y.sum(axis=1, keepdims=True)
        their = torch.nn.CrossEntropyLoss()
    else:

        def their(*args):
            return torch.nn.BCEWithLogitsLoss(reduction="sum")(*args) / 40

    leaf = torch.tensor(z, requires_grad=True)
    value = their(leaf, torch.tensor(y))
    value.backward()
    ours, a = loss("cross_entropy", last), activation(last).forward(z)
    assert ours.forward(z, a, y) == pytest.approx(value.item(), rel=1e-14)
    np.testing.assert_allclose(ours.backward(z, a, y, Buffers()), leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_saturated_outputs_have_a_finite_loss_and_still_learn(last, dtype):
    """Through the activation's own slope, the gradient would be exactly 0 here."""
    z, y = np.array([[1000.0, -1000.0]], dtype), np.array([[0.0, 1.0]], dtype)
    ours, a = loss("cross_entropy", last), activation(last).forward(z)
    value = ours.forward(z, a, y)
    assert value == 2000
    np.testing.assert_array_equal(ours.backward(z, a, y, Buffers()), [[1, -1]])
    assert not loss("quadratic", last).backward(z, a, y, Buffers()).any()
    right = float(ours.forward(z, a, 1 - y))
    assert right < 1e-200
    assert math.copysign(1, right) == 1


def test_a_small_loss_keeps_its_digits():
    """For a right and confident answer, -ln a would be 0, or the difference of two large numbers."""
    z, y = np.array([[60.0]]), np.array([[1.0]])
    value = loss("cross_entropy", "sigmoid").forward(z, activation("sigmoid").forward(z), y)
    assert value == pytest.approx(math.exp(-60), rel=1e-12)


def net_for(last, outputs):
    net = Network(3, [Dense(outputs, last)], dtype=np.float64)
    net.initialize(0)
    return net, Stream(1).normal((4, 3), np.float64)


def test_labels_are_one_hot_rows():
    net, x = net_for("softmax", 3)
    rows = np.eye(3)[[2, 0, 1, 2]]
    expected = gradients(net, x, rows, loss="cross_entropy")[0]
    for labels in ([2, 0, 1, 2], np.array([2, 0, 1, 2], np.uint8)):
        assert gradients(net, x, labels, loss="cross_entropy")[0] == expected


def test_labels_of_one_sigmoid_are_its_targets():
    net, x = net_for("sigmoid", 1)
    expected = gradients(net, x, [[1.0], [0.0], [0.0], [1.0]], loss="cross_entropy")[0]
    for labels in ([1, 0, 0, 1], np.array([True, False, False, True])):
        assert gradients(net, x, labels, loss="cross_entropy")[0] == expected


@pytest.mark.parametrize(
    ("message", "name", "last", "outputs", "y"),
    [
        ("'quadratic', 'cross_entropy'; got 'mse'", "mse", "softmax", 3, [0, 1, 2, 0]),
        ("a last layer of softmax or sigmoid, .*; got relu", "cross_entropy", "relu", 3, [0, 1, 2, 0]),
        (r"class labels in \[0, 3\); got 0 to 3", "cross_entropy", "softmax", 3, [0, 1, 3, 0]),
        (r"class labels in \[0, 3\); got -1 to 2", "cross_entropy", "softmax", 3, [0, -1, 2, 0]),
        (r"class labels in \[0, 2\); got 0 to 2", "cross_entropy", "sigmoid", 1, [0, 1, 2, 0]),
        (r"shape \(batch, 3\); got \(4,\)", "cross_entropy", "softmax", 3, [0.0, 1.0, 2.0, 0.0]),
        (r"shape \(batch, 3\); got \(4,\)", "quadratic", "softmax", 3, [0, 1, 2, 0]),
        ("must sum to 1", "cross_entropy", "softmax", 3, np.full((4, 3), 0.5)),
        ("must hold probabilities", "cross_entropy", "sigmoid", 1, np.full((4, 1), 1.5)),
        ("must hold probabilities", "cross_entropy", "sigmoid", 1, np.full((4, 1), -0.5)),
        ("must hold probabilities", "cross_entropy", "sigmoid", 1, np.full((4, 1), np.nan)),
        ("same number of rows, at least 1; got 4 and 3", "cross_entropy", "softmax", 3, [0, 1, 2]),
    ],
)
def test_errors_say_what_was_expected_and_what_came(message, name, last, outputs, y):
    net, x = net_for(last, outputs)
    with pytest.raises(ValueError, match=message):
        gradients(net, x, y, loss=name)
