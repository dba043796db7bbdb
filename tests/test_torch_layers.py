"""Which layers of a PyTorch model are diagnosed, and that nothing of the model changes."""

import warnings

import numpy as np
import pytest

from pyinit.diagnostics import activations, gradients

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_networks import IDS, MLP, MODELS, Residual, ResNet, Transformer, diagnosis, normal, twins  # noqa: E402


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_layers_of_a_resnet():
    found = diagnosis(ResNet(), normal(4, 3, 8, 8))
    expected = {"stem.2": "relu"}
    for i in range(3):
        expected |= {f"layers.{i}.relu": "relu", f"layers.{i}.conv2": "linear"}
        expected |= {f"layers.{i}.down": "linear"} if i == 1 else {}
        expected |= {f"layers.{i}.relu:2": "relu"}
    expected["fc"] = "linear"
    assert dict(zip(found.activations.name, found.activations.activation)) == expected
    assert found.gradients.name == found.activations.name == tuple(expected)
    assert np.isnan(found.gradients.zero).tolist() == [True] + [False] * 11, "max pooling is behind the first"
    assert found.verdict == "healthy"
    columns, rows = found.table()
    assert columns[:2] == ["layer", "activation"]
    assert [row[:2] for row in rows] == list(expected.items())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_layers_of_a_transformer(norm_first, training):
    """In eval mode torch could run a whole layer in one kernel, which would hide its parts from hooks."""
    found = diagnosis(Transformer(norm_first).train(training), IDS)
    expected = {"places": "linear", "embedding": "linear"}
    for i in range(2):
        parts = {"self_attn": "linear", "linear1": "relu", "linear2": "linear"}
        expected |= {f"encoder.layers.{i}.{part}": kind for part, kind in parts.items()}
        expected[f"encoder.layers.{i}"] = "block"
    expected["head"] = "linear"
    assert dict(zip(found.activations.name, found.activations.activation)) == expected
    assert found.gradients.name == tuple(expected)
    assert np.isnan(found.activations.row_std).tolist() == [True] + [False] * 10, "places have no rows"
    assert np.isnan(found.gradients.zero).any() == training, "where dropout is right behind"
    assert found.verdict == "healthy"


def test_the_layers_of_a_model_with_functions():
    found = activations(MLP(), normal(10, 20))
    assert dict(zip(found.name, found.activation)) == {"fc1": "relu", "fc2": "tanh", "out": "linear"}


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act = nn.Linear(6, 6), nn.Tanh()

    def forward(self, x):
        return self.act(self.fc(self.act(self.fc(x))) + x)


def test_a_module_that_is_called_twice_appears_twice():
    model, x = Calls(), torch.from_numpy(normal(9, 6))
    found = activations(model, x)
    first = model.act(model.fc(x))
    second = model.fc(first)
    expected = {"act": first, "fc:2": second, "act:2": model.act(second + x)}
    assert found.name == tuple(expected)
    np.testing.assert_allclose(found.std, [v.double().std(correction=0).item() for v in expected.values()], rtol=1e-6)
    assert gradients(model, x).name == found.name


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.w2, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.SiLU()

    def forward(self, x):
        gate, value = self.w1(x), self.w2(x)
        return self.act(gate) * value


def test_an_activation_belongs_to_the_layer_whose_output_it_takes():
    found = activations(Branches(), normal(9, 6))
    assert dict(zip(found.name, found.activation)) == {"w1": "linear", "w2": "linear", "act": "silu"}


class Own(nn.Module):
    """A module with its own parameters that calls no submodules, and an activation recognised by its class name."""

    class QuickGELU(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(1.7 * x)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.act = self.QuickGELU()
        self.lstm = nn.LSTM(6, 5, batch_first=True)

    def forward(self, x):
        return self.lstm(self.act(x @ self.weight))


def test_modules_of_a_persons_own_and_tuples():
    found = diagnosis(Own(), normal(9, 4, 6))
    assert dict(zip(found.activations.name, found.activations.activation)) == {"act": "gelu", "lstm": "linear"}
    alone = activations(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), normal(9, 6))
    assert alone.name == ("ParametrizedLinear",)


def test_layers_are_chosen_by_name_class_or_function():
    model, x = ResNet(), normal(4, 3, 8, 8)
    for layers in ("layers.?", ["layers.0", "layers.1", "layers.2"], Residual, lambda n, m: isinstance(m, Residual)):
        found = diagnosis(model, x, layers=layers)
        assert found.activations.name == found.gradients.name == ("layers.0", "layers.1", "layers.2")
        assert found.activations.activation == ("relu",) * 3
    every = activations(model, x)
    ends = [every.name.index(f"layers.{i}.relu:2") for i in range(3)]
    np.testing.assert_array_equal(found.activations.std, every.std[ends])
    np.testing.assert_array_equal(found.gradients.std, gradients(model, x).std[ends])
    assert activations(model, x, layers=(nn.Linear, nn.BatchNorm2d)).activation == ("linear",) * 8
    assert activations(Transformer(), IDS, layers=["encoder", "head"]).activation == ("block", "linear")
    with pytest.raises(ValueError, match=r"layers must be among the model's; got 'nope', and it has stem, stem.0, "):
        activations(model, x, layers=["fc", "nope"])
    with pytest.raises(TypeError, match="layers must be names"):
        activations(model, x, layers=[1])
    with pytest.raises(ValueError, match="one of the chosen layers"):
        activations(Transformer(), IDS, layers="*out_proj")
    with pytest.raises(TypeError, match=r"layers must be None, unless the network is a torch.nn.Module"):
        activations(twins(("tanh",))[0], normal(9, 20), layers="1")


def state(model):
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [p.grad for p in model.parameters()],
        [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        [id(value) for value in (*model.parameters(), *model.buffers())],
        torch.get_rng_state().clone(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.is_grad_enabled(),
    )


def same(one, other):
    for name, value in one[0].items():
        torch.testing.assert_close(other[0][name], value, rtol=0, atol=0)
    assert torch.equal(one[4], other[4])
    assert one[0].keys() == other[0].keys()
    assert [*one[1:4], *one[5:]] == [*other[1:4], *other[5:]]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_left_as_it_was(name, training):
    make, x = MODELS[name]
    model = nn.Sequential(make(), nn.Dropout()).train(training)
    model[0].eval() if name == "mlp" else None
    before = state(model)
    first = diagnosis(model, x)
    same(before, state(model))
    second = diagnosis(model, x)
    np.testing.assert_array_equal(first.gradients.std, second.gradients.std)
    np.testing.assert_array_equal(first.activations.std, second.activations.std)


def test_the_input_is_left_as_it_was():
    model, x = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 6)), torch.from_numpy(normal(9, 6))
    copy = x.clone()
    diagnosis(model, x)
    diagnosis(model, x.numpy())
    torch.testing.assert_close(x, copy, rtol=0, atol=0)


def test_a_model_that_raises_is_left_as_it_was():
    class Raises(ResNet):
        def forward(self, x):
            super().forward(x)
            torch.rand(1)
            raise RuntimeError("on the way")

    model = Raises()
    before = state(model)
    for measure in (activations, gradients):
        with pytest.raises(RuntimeError, match="on the way"):
            measure(model, normal(4, 3, 8, 8))
        same(before, state(model))


def test_a_compiled_model_is_seen_as_it_is_written():
    model = MLP()
    expected = activations(model, normal(10, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = activations(torch.compile(model), normal(10, 20))
    assert found.name == expected.name
    np.testing.assert_array_equal(found.std, expected.std)


def test_what_cannot_be_measured_is_refused():
    model = MLP()
    with pytest.raises(ValueError, match="x must have at least 2 rows, to compare them; got 1"):
        activations(model, normal(1, 20))
    with pytest.raises(ValueError, match="x must have at least 1 row; got 0"):
        gradients(model, normal(0, 20))
    with pytest.raises(TypeError, match="x must hold numbers"):
        activations(model, np.array([["a"], ["b"]]))
    with pytest.raises(ValueError, match="model must call a layer"):
        activations(nn.Flatten(), normal(4, 3))
    with pytest.raises(ValueError, match="weight must have values"):
        activations(nn.LazyLinear(3), normal(4, 3))
    with pytest.raises(ValueError, match="weight must have values"):
        activations(nn.Linear(3, 3, device="meta"), normal(4, 3))

    class NoGradient(MLP):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)

    with pytest.raises(ValueError, match="model must let gradients through"):
        gradients(NoGradient(), normal(10, 20))

    class Scalar(MLP):
        def forward(self, x):
            return super().forward(x).mean()

    with pytest.raises(TypeError, match="at least 1 axis"):
        gradients(Scalar(), normal(10, 20))


def test_a_layer_that_the_output_does_not_depend_on_has_a_gradient_of_0():
    class Loose(MLP):
        def forward(self, x):
            return super().forward(x.tanh()) + self.fc1(x).detach().mean()

    found = gradients(Loose(), normal(10, 20))
    assert found.name[-1] == "fc1:2"
    assert found.std[-1] == 0
