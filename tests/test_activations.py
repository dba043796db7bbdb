"""The activation functions: their values, their gradients, and that they need no new memory."""

import tracemalloc

import numpy as np
import pytest

from pyinit import Stream
from pyinit.network.activations import ACTIVATIONS, activation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tanh", [-1.0, -0.7615941559557649, 0.0, 0.46211715726000973, 1.0]),
        ("sigmoid", [0.0, 0.2689414213699951, 0.5, 0.6224593312018546, 1.0]),
        ("relu", [0.0, 0.0, 0.0, 0.5, 1000.0]),
        ("leaky_relu", [-10.0, -0.01, 0.0, 0.5, 1000.0]),
        # x/2 (1 + tanh(0.7978845608 (x + 0.044715 x³))), worked out with mpmath.
        ("gelu", [0.0, -0.158808009391723, 0.0, 0.345714009825144, 1000.0]),
        ("softmax", [0.0, 0.0, 0.0, 0.0, 1.0]),
        ("identity", [-1000.0, -1.0, 0.0, 0.5, 1000.0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_keep_dtype_and_do_not_overflow(name, expected, dtype):
    z = np.array([[-1000.0, -1.0, 0.0, 0.5, 1000.0]], dtype)
    a = activation(name).forward(z)
    back = activation(name).backward(z, a, np.ones_like(a))
    assert a.dtype == back.dtype == dtype
    assert np.isfinite(back).all()
    np.testing.assert_allclose(a[0], expected, rtol=max(4 * np.finfo(dtype).eps, 1e-11))


def test_every_activation_equals_torchs():
    torch = pytest.importorskip("torch")
    theirs = {
        "identity": torch.nn.Identity(),
        "tanh": torch.nn.Tanh(),
        "sigmoid": torch.nn.Sigmoid(),
        "relu": torch.nn.ReLU(),
        "leaky_relu": torch.nn.LeakyReLU(0.01),
        "gelu": torch.nn.GELU(approximate="tanh"),
        "softmax": torch.nn.Softmax(dim=1),
    }
    assert theirs.keys() == ACTIVATIONS.keys()
    z, gradient = (3 * Stream(i).normal((50, 8), np.float64) for i in (1, 2))
    for name, their in theirs.items():
        ours = activation(name)
        leaf = torch.tensor(z, requires_grad=True)
        output = their(leaf)
        output.backward(torch.tensor(gradient))
        a = ours.forward(z)
        np.testing.assert_allclose(a, output.detach().numpy(), rtol=1e-13, atol=2e-15, err_msg=name)
        back = ours.backward(z, a, gradient)
        np.testing.assert_allclose(back, leaf.grad.numpy(), rtol=1e-12, atol=5e-14, err_msg=name)


def test_a_sigmoid_keeps_the_digits_of_small_outputs():
    """The control: (1 + tanh z/2) / 2 gives exactly 0 for all of these in float32."""
    z = np.linspace(-80, -20, 61, dtype=np.float32)[None]
    exact = 1 / (1 + np.exp(-z.astype(np.float64)))
    a = activation("sigmoid").forward(z)
    np.testing.assert_allclose(a, exact, rtol=1e-6)
    np.testing.assert_allclose(activation("sigmoid").backward(z, a, np.ones_like(a)), exact, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gelu_of_huge_numbers_has_a_slope(dtype):
    """z³ overflows here, and the slope is still 0 or 1."""
    largest = np.finfo(dtype).max
    z = np.array([[-largest, -1e15, -50.0, 50.0, 1e15, largest]], dtype)
    with np.errstate(over="ignore"):
        a = activation("gelu").forward(z)
        back = activation("gelu").backward(z, a, np.ones_like(z))
    np.testing.assert_array_equal(a, np.maximum(z, 0))
    np.testing.assert_array_equal(back, [[0, 0, 0, 1, 1, 1]])


def test_a_relu_has_no_slope_where_it_has_no_value():
    z = np.array([[-1.0, 0.0, 1.0, np.inf, np.nan]])
    a = activation("relu").forward(z)
    np.testing.assert_array_equal(activation("relu").backward(z, a, np.ones_like(a)), [[0, 0, 1, 1, np.nan]])


def test_softmax_rows_are_probabilities():
    a = activation("softmax").forward(50 * Stream(0).normal((20, 6)))
    assert (a >= 0).all()
    np.testing.assert_allclose(a.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradient_equals_finite_differences(name):
    """A central difference of step h errs by about h² + eps/h: with h = 1e-5, by 1e-10."""
    h, function = 1e-5, activation(name)
    z, along = Stream(1).normal((6, 5), np.float64), Stream(2).normal((6, 5), np.float64)
    found = function.backward(z, function.forward(z), along)
    assert np.abs(found).max() > 0.1, "a gradient of zeros would prove nothing"
    for index in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[index] = h
        difference = ((function.forward(z + step) - function.forward(z - step)) * along).sum() / (2 * h)
        assert found[index] == pytest.approx(difference, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_with_out_the_result_is_the_same_and_nothing_large_is_made(name):
    function = activation(name)
    z, gradient = Stream(1).normal((1000, 50)), Stream(2).normal((1000, 50))
    kept = z.copy()
    a = function.forward(z)
    expected = function.backward(z, a, gradient)
    np.testing.assert_array_equal(z, kept, err_msg="z is only read without out")
    forward, back = np.empty_like(z), np.empty_like(z)
    function.forward(z, out=forward)
    np.testing.assert_array_equal(z, kept, err_msg="forward only reads z")
    tracemalloc.start()
    try:
        assert function.forward(z, out=forward) is forward
        assert function.backward(z, a, gradient, out=back) is back
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < z.nbytes / 4
    np.testing.assert_array_equal(forward, a)
    np.testing.assert_array_equal(back, expected)


def test_an_unknown_activation_is_told_the_known():
    with pytest.raises(ValueError, match="'relu', 'leaky_relu', 'gelu', 'softmax'; got 'tahn'"):
        activation("tahn")
