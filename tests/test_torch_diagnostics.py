"""Diagnostics of PyTorch models: compared with pyinit networks and with torch, and the verdicts."""

import numpy as np
import pytest

from pyinit import Stream, diagnostics
from pyinit.diagnostics import activations, gradients

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_networks import MLP, MODELS, Deep, diagnosis, normal, twins  # noqa: E402


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("names", "scheme"),
    [
        (("tanh",) * 6, "xavier"),
        (("tanh",) * 6, "normal(std=0.1)"),
        (("tanh",) * 6, "normal(std=2)"),
        (("relu",) * 6, "normal(std=1)"),
        (("relu", "sigmoid", "tanh", "relu", "softmax"), "xavier"),
    ],
)
def test_the_numbers_are_those_of_a_network_of_pyinits(names, scheme, dtype):
    net, model = twins(names, dtype=dtype, scheme=scheme)
    x, tolerance = normal(40, 20, dtype=dtype), 1e-10 if dtype == np.float64 else 1e-4
    for measure in (activations, gradients):
        expected, found = measure(net, x), measure(model, x)
        assert found.activation == expected.activation == names
        assert found.name == tuple(str(2 * i + 1) for i in range(len(names)))
        assert expected.name == tuple(str(i + 1) for i in range(len(names)))
        for part in set(vars(expected)) - {"activation", "name", "counts"}:
            # In float32, nearly equal rows differ in few digits.
            least = 1e-12 if dtype == np.float64 else 1e-7 * (part == "row_std")
            np.testing.assert_allclose(getattr(found, part), getattr(expected, part), rtol=tolerance, atol=least)
        if dtype == np.float64 and measure is activations:
            np.testing.assert_array_equal(found.counts, expected.counts)
        verdict = expected.verdict
        for i in reversed(range(len(names))):
            verdict = verdict.replace(f"layer {i + 1}", f"layer {2 * i + 1}")
        assert found.verdict == verdict


def test_a_gradient_is_given_or_drawn():
    _, model = twins(("tanh", "tanh"))
    x, given = normal(40, 20), normal(40, 20, dtype=np.float64)
    assert gradients(model, x, given).std[-1] == pytest.approx(given.std())
    assert gradients(model, x, torch.from_numpy(given)).std[-1] == pytest.approx(given.std())
    drawn = Stream(0).child("gradient").normal((40, 20), np.float64)
    np.testing.assert_array_equal(gradients(model, x).std, gradients(model, x, drawn).std)
    with pytest.raises(ValueError, match=r"gradient must have shape \(40, 20\); got \(40, 19\)"):
        gradients(model, x, given[:, :19])


def test_gradients_are_those_of_backward():
    """An in-place operation after a layer changes neither the measured output nor the gradient, in 2 and 3 axes."""
    for shape in ((9, 6), (9, 4, 6)):
        x, given = normal(*shape), normal(*shape)
        expected, found = [], []
        for inplace in (False, True):
            torch.manual_seed(3)
            model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace), nn.Linear(6, 6), nn.ELU(2.0, inplace))
            names = ("0", "1", "2", "3")
            found.append((activations(model, x, layers=names), gradients(model, x, given, layers=names)))
            value = torch.from_numpy(x)
            if not inplace:
                for part in model:
                    value = part(value)
                    value.retain_grad()
                    expected.append(value)
                value.backward(torch.from_numpy(given))
        for forward, backward in found:
            assert forward.activation == ("linear", "relu", "linear", "elu")
            np.testing.assert_allclose(forward.std, [v.double().std(correction=0).item() for v in expected], rtol=1e-6)
            np.testing.assert_allclose(
                backward.std, [v.grad.double().std(correction=0).item() for v in expected], rtol=1e-6
            )
            np.testing.assert_array_equal(backward.zero, [(v.grad == 0).double().mean().item() for v in expected])


@pytest.mark.parametrize("name", MODELS)
def test_the_gradients_of_a_model_do_not_depend_on_what_is_frozen(name):
    make, x = MODELS[name]
    model = make()
    expected = gradients(model, x)
    model.requires_grad_(False)
    found = gradients(model, x)
    assert found.name == expected.name
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-5)
    assert not any(p.requires_grad for p in model.parameters())


def test_a_dead_unit_is_a_channel_or_a_feature():
    """Of 4 channels, one is 0 everywhere, one at all positions but one, one for all rows but one."""
    conv, relu = nn.Conv2d(4, 4, 1), nn.ReLU()
    conv.weight.data = torch.eye(4)[:, :, None, None]
    conv.bias.data.zero_()
    x = torch.ones(3, 4, 5, 5)
    x[:, 0] = -1
    x[:, 1] = -1
    x[:, 1, 2, 2] = 1
    x[:, 2] = -1
    x[1, 2] = 1
    assert activations(nn.Sequential(conv, relu), x).dead == 0.25
    linear = nn.Linear(4, 4)
    linear.weight.data, linear.bias.data = torch.eye(4), torch.zeros(4)
    assert activations(nn.Sequential(linear, relu), x.permute(0, 2, 3, 1)).dead == 0.25
    assert (
        activations(nn.Sequential(nn.Conv1d(4, 4, 1), relu, nn.Flatten(), nn.Linear(100, 2)), x.flatten(2)).dead[1] == 0
    )


def test_a_softmax_is_saturated_along_its_own_axis():
    x = torch.zeros(2, 3, 4)
    x[0, 1] = 50.0  # dominates its column in each of 4, along axis 1
    assert activations(nn.Sequential(nn.Softmax(1)), x).saturated == 0.5
    assert activations(nn.Sequential(nn.Softmax(2)), x).saturated == 0


def test_half_precision_is_measured_in_float64():
    for dtype in (torch.float16, torch.bfloat16):
        model = nn.Sequential(nn.Linear(20, 300, dtype=dtype), nn.Tanh(), nn.Linear(300, 300, dtype=dtype))
        found, x = diagnosis(model, normal(40, 20)), torch.from_numpy(normal(40, 20)).to(dtype)
        exact = model[1](model[0](x)).double()
        assert found.activations.std[0] == pytest.approx(exact.std(correction=0).item(), rel=1e-12)
        assert found.gradients.std[-1] == pytest.approx(1, abs=0.05)


def test_models_that_take_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 4), nn.Linear(5, 4)

        def forward(self, x, y, scale=1.0):
            return {"sum": (self.a(x) + self.b(y)) * scale, "none": None}

    model, x, y = Two(), normal(9, 6), normal(9, 5, dtype=np.float64)
    expected = activations(model, (x, y))
    assert expected.name == ("a", "b")
    np.testing.assert_array_equal(activations(model, {"y": y, "x": torch.from_numpy(x)}).std, expected.std)
    one, two = gradients(model, (x, y)), gradients(model, (x, y, 2.0))
    np.testing.assert_allclose(two.std, 2 * one.std, rtol=1e-6)


def test_verdicts_name_what_is_wrong_and_where():
    x = normal(60, 50)
    assert diagnosis(Deep(8, 50**-0.5), x).verdict == "healthy"
    small, big = diagnosis(Deep(8, 0.05), x), diagnosis(Deep(8, 1.0, nn.functional.leaky_relu), x)
    assert small.activations.verdict.startswith("vanishes: std falls by ")
    assert small.gradients.verdict.startswith("vanishes: std falls by ")
    assert big.activations.verdict.startswith("explodes: std grows by ")
    assert big.gradients.verdict.startswith("explodes: std grows by ")
    assert "of values have |a| > 0.99 in layer layers.0" in diagnosis(Deep(4, 1.0), x).verdict
    dead = Deep(5, (2 / 50) ** 0.5, nn.functional.relu)
    dead.layers[2].bias.data[:25] = -100
    found = diagnosis(dead, x)
    assert found.activations.dead[2] >= 0.5
    assert " of units 0 for every row in layer layers.2" in found.activations.verdict
    infinite = MLP()
    infinite.fc2.bias.data[0] = float("nan")
    assert activations(infinite, normal(10, 20)).verdict.startswith("overflows: not finite from layer fc2 on")
    assert "overflows: not finite from layer fc1 back" in gradients(infinite, normal(10, 20)).verdict


def test_layers_of_blocks_are_compared_with_their_like():
    """A layer that is small in every block is not reported as vanishing; one that shrinks from block to block is."""
    names = tuple(f"{i}.{part}" for i in range(4) for part in ("inner", "outer"))
    kinds, ones = ("linear",) * 8, np.ones(8)

    def verdict(std, name=names):
        return diagnostics.Gradients(kinds, np.array(std), 0 * ones, 0 * ones, name).verdict

    assert verdict((0.1, 1.0) * 4) == "healthy"
    assert verdict((1.0, 0.1) * 4) == "healthy"
    assert verdict((0.1, 1, 1, 10, 10, 100, 100, 1000)) == "vanishes: std falls by 3.2 times a layer on the way back"
    assert verdict((0.01, 1, 1, 1, 1, 1, 1, 1), tuple("abcdefgh")) == (
        "vanishes: std falls by 1.9 times a layer on the way back"
    ), "names that are not alike: the activation alone counts"


def test_a_relu_behind_a_sum_blocks_nothing():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(20, 30), nn.Linear(20, 30), nn.Linear(30, 30)

        def forward(self, x):
            return self.out(nn.functional.relu(self.a(x) + self.b(x)))

    model, x = Sum(), normal(40, 20)
    found = gradients(model, x)
    assert 0.3 < found.zero[0] < 0.7
    assert "blocked" not in found.verdict
    model.a.bias.data[:] = -100
    assert gradients(model, x).verdict.startswith("blocked: 100% exactly 0 at layer b")
