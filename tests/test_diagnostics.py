"""Numbers about activations and gradients, compared with NumPy and the page's table, and the resulting verdicts."""

import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.diagnostics import activations, diagnose, gradients
from pyinit.diagnostics.moments import moments
from pyinit.network import Dense, Network

RELATIVE = 1e-12


def network(*names, width=20, scheme="xavier", dtype=np.float32, seed=0):
    net = Network(width, [Dense(width, name) for name in names], dtype=dtype)
    net.initialize(seed, weights=initializers.scheme(scheme))
    return net


def rows(batch=50, width=20):
    return Stream(1).child("x").normal((batch, width))


# --- the statistics ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_those_of_numpy(dtype):
    net, x = network("tanh", "sigmoid", "relu", "identity", dtype=dtype), rows()
    found, outputs = activations(net, x), [a.astype(np.float64) for a in net.activations(x)]
    assert found.activation == ("tanh", "sigmoid", "relu", "identity")
    np.testing.assert_allclose(found.mean, [a.mean() for a in outputs], rtol=1e-10)
    np.testing.assert_allclose(found.std, [np.sqrt((a**2).mean() - a.mean() ** 2) for a in outputs], rtol=1e-10)
    across = [np.sqrt(np.mean([np.var(unit) for unit in a.T])) for a in outputs]
    np.testing.assert_allclose(found.row_std, across, rtol=RELATIVE)
    assert not found.non_finite.any()
    for array in (found.mean, found.std, found.row_std, found.saturated, found.dead, found.edges):
        assert array.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_those_of_numpy(dtype):
    net, x, given = network("tanh", "tanh", "relu", dtype=dtype), rows(), Stream(5).normal((50, 20))
    found, flow = gradients(net, x, given), [g.astype(np.float64) for g in net.gradient_flow(x, given)]
    np.testing.assert_allclose(found.std, [g.std() for g in flow], rtol=RELATIVE)
    np.testing.assert_array_equal(found.zero, [(g == 0).mean() for g in flow])
    assert found.std[-1] == pytest.approx(given.astype(np.float64).std())


def test_a_gradient_is_drawn_where_none_is_given():
    net, x = network("tanh", "tanh"), rows()
    none, other = gradients(net, x), gradients(net, x, Stream(3))
    np.testing.assert_array_equal(none.std, gradients(net, x, Stream(0).child("gradient")).std)
    assert none.std[-1] != other.std[-1]
    assert other.std[-1] == pytest.approx(1, abs=0.1)


def test_float32_values_are_measured_in_float64():
    """The control: in float32, the std of these is off by 0.2%."""
    values = (1e6 + Stream(0).normal((1000, 50))).astype(np.float32)
    exact = values.astype(np.float64)
    found = moments(values)
    assert found[:2] == pytest.approx((exact.mean(), exact.std()), rel=1e-9)
    assert abs(values.std() / exact.std() - 1) > 1e-4


def test_squares_neither_overflow_nor_vanish():
    for scale in (1e-200, 1.0, 1e200):
        found = moments(scale * np.array([[3.0, -1.0], [1.0, 1.0]]))
        assert found[:3] == pytest.approx((scale, np.sqrt(2) * scale, scale), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_have_a_spread_of_exactly_zero(dtype):
    values = np.repeat(Stream(0).normal((1, 33), dtype), 77, axis=0)
    assert moments(values).row_std == 0
    assert moments(values).std > 0.5
    assert moments(np.full((77, 33), 0.1, dtype)).std == 0


def by_hand(name, columns):
    """Return a layer of the activation `name` whose input is `columns`."""
    net = Network(len(columns), [Dense(len(columns), name)], dtype=np.float64)
    net.layers[0].weights[...] = np.eye(len(columns))
    return activations(net, np.transpose(columns))


def test_saturated_is_by_the_activations_own_ends():
    tanh = by_hand("tanh", [np.arctanh([0.9899, -0.9901, 0.9901, 0.0])])
    sigmoid = by_hand("sigmoid", [np.log([0.0099 / 0.9901, 0.0101 / 0.9899, 0.9899 / 0.0101, 0.9901 / 0.0099])])
    assert (tanh.saturated, sigmoid.saturated) == (0.5, 0.5)
    for name in ("relu", "identity"):
        assert np.isnan(by_hand(name, [[5.0, -5.0]]).saturated)


def test_a_unit_is_dead_if_it_is_zero_for_every_row():
    found = by_hand("relu", [[-1.0, -2.0, -3.0], [-1.0, 1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, 0.0, 0.0]])
    assert found.dead == 0.5
    assert np.isnan(by_hand("tanh", [[0.0, 0.0]]).dead)
    assert np.isnan(by_hand("sigmoid", [[-1e4, -1e4]]).dead)


def test_unknown_activations_are_measured_all_the_same():
    class Layer:
        class activation:  # noqa: N801
            name = "softsign"

    class Other(Network):
        def __init__(self):
            self.layers = (Layer, Layer)

        def activations(self, x):
            return [x, np.zeros_like(x)]

    found = activations(Other(), rows())
    assert np.isnan(found.saturated).all()
    np.testing.assert_array_equal(found.dead, [0, 1])
    assert found.verdict.startswith("silent: every row gives the same from layer 2 on; dead: 100%")


def test_a_softmax_is_saturated_where_one_output_takes_all():
    class Layer:
        class activation:  # noqa: N801
            name = "softmax"

    class Other(Network):
        def __init__(self):
            self.layers = (Layer,)

        def activations(self, x):
            return [x]

    healthy, taken = [0.005] * 98 + [0.25, 0.26], [0.0] * 99 + [1.0]
    assert activations(Other(), np.array([healthy] * 3 + [taken])).saturated == 0.25


def test_histograms_count_every_finite_value_in_the_activations_range():
    net, x = network("tanh", "relu", "sigmoid", "identity"), rows()
    found, outputs = activations(net, x), net.activations(x)
    np.testing.assert_array_equal(found.counts.sum(axis=1), [a.size for a in outputs])
    low, high = min(outputs[1].min(), outputs[3].min()), max(outputs[1].max(), outputs[3].max())
    np.testing.assert_array_equal(found.edges[:, [0, -1]], [[-1, 1], [low, high], [0, 1], [low, high]])
    inside = (outputs[0] >= found.edges[0, 7]) & (outputs[0] < found.edges[0, 8])
    assert found.counts[0, 7] == inside.sum()


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-320, 0.1, 3e38, 1.7e308])
@pytest.mark.parametrize("factor", [1.0, 1 + 1e-15, -1.0])
def test_histograms_of_narrow_and_wide_ranges(value, factor):
    found = by_hand("identity", [[value, value * factor]])
    assert found.counts.sum() == 2
    assert (np.diff(found.edges) > 0).all()


# --- what overflows ---


def test_overflow_is_told_without_a_warning():
    net, x = network(*["relu"] * 60, scheme="normal(std=3)"), rows()
    forward, backward = activations(net, x), gradients(net, x)
    first = int(np.argmax(forward.non_finite > 0))
    assert 10 < first < 59
    assert np.isfinite(forward.std[:first]).all()
    assert np.isnan(forward.std[first])
    assert forward.verdict.startswith(f"overflows: not finite from layer {first + 1} on; explodes: std grows by ")
    assert backward.verdict != "healthy"
    assert (forward.counts.sum(axis=1) == np.round((1 - forward.non_finite) * 1000)).all()


def test_exploding_gradients_are_told_as_such():
    """After a relu that has overflowed nothing is known; a gelu's values are finite here, and so is its slope."""
    relu = diagnose(layers=40, width=60, scheme="normal(std=2)", activation="relu", batch=50)
    assert np.isnan(relu.gradients.std[:-1]).all()
    assert relu.gradients.verdict == "overflows: not finite from layer 39 back"
    gelu = diagnose(layers=16, width=60, scheme="normal(std=2)", activation="gelu", batch=50)
    assert gelu.activations.std[-1] > 1e15
    assert gelu.gradients.verdict.startswith("explodes: std grows by 1")


def test_a_network_that_is_not_initialised_is_refused():
    net = Network(20, [Dense(20, "tanh")])
    for measure in (activations, gradients):
        with pytest.raises(ValueError, match="initialize"):
            measure(net, rows())


def test_what_cannot_be_measured_is_refused():
    net = network("tanh", "tanh")
    for measure in (activations, gradients):
        with pytest.raises(TypeError, match=r"net must be .*Network or a torch.nn.Module; got .*len"):
            measure(len, rows())
    with pytest.raises(ValueError, match=r"at least 2 rows.*; got 1"):
        activations(net, rows(batch=1))
    with pytest.raises(ValueError, match=r"\(batch, 20\)"):
        gradients(net, rows(width=19))
    with pytest.raises(ValueError, match=r"gradient must have shape \(batch, 20\)"):
        gradients(net, rows(), np.ones((50, 19)))
    for count in (1, 49):
        with pytest.raises(ValueError, match=f"x and gradient must have the same number of rows; got 50 and {count}"):
            gradients(net, rows(), np.ones((count, 20)))
    with pytest.raises(ValueError, match="x must have at least 1 row; got 0"):
        gradients(net, rows()[:0])
    for name, wrong in (("layers", 0), ("width", 0), ("batch", 1)):
        with pytest.raises(ValueError, match=f"{name} must be at least .; got {wrong}"):
            diagnose(**{name: wrong})
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            diagnose(**{name: 2.5})
    with pytest.raises(ValueError, match="nope"):
        diagnose(layers=2, width=3, activation="nope")
