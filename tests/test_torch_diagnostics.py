"""Diagnostics of PyTorch models: compared with pyinit networks and with torch, and without effects on the model."""

import json
import sys
import textwrap
import warnings

import numpy as np
import pytest
from test_cli import run

from pyinit import Stream, cli, diagnostics, plots, report
from pyinit.diagnostics import Diagnosis, activations, gradients
from pyinit.network import Dense, Network

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

PAIRS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "softmax": lambda: nn.Softmax(-1)}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def normal(*shape, dtype=np.float32):
    return Stream(1).child("x").normal(shape, dtype)


def diagnosis(model, x, **options):
    return Diagnosis(activations(model, x, **options), gradients(model, x, **options))


def twins(names, width=20, dtype=np.float64, scheme="xavier"):
    """Return a pyinit network and a PyTorch model with the same weights."""
    net = Network(width, [Dense(width, name) for name in names], dtype=dtype)
    net.initialize(0, weights=scheme, bias="normal(std=0.1)")
    parts = []
    for layer, name in zip(net.layers, names):
        linear = nn.Linear(width, width, dtype=torch.from_numpy(layer.weights).dtype)
        linear.weight.data.copy_(torch.from_numpy(layer.weights))
        linear.bias.data.copy_(torch.from_numpy(layer.bias))
        parts += [linear, PAIRS[name]()]
    return net, nn.Sequential(*parts)


class Residual(nn.Module):
    """A block like torchvision's, which uses one in-place ReLU twice."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self, norm_first=False):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.places = nn.Embedding(7, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 50)

    def forward(self, ids):
        places = self.places(torch.arange(ids.shape[1], device=ids.device))[None]
        return self.head(self.encoder(places + self.embedding(ids)))


class MLP(nn.Module):
    """A hand-written model that calls activations as functions."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(20, 30), nn.Linear(30, 30), nn.Linear(30, 5)

    def forward(self, x):
        return self.out(torch.tanh(self.fc2(F.relu(self.fc1(x)))))


IDS = np.arange(28).reshape(4, 7) % 11
MODELS = {"resnet": (ResNet, normal(4, 3, 8, 8)), "transformer": (Transformer, IDS), "mlp": (MLP, normal(10, 20))}


# --- the same as pyinit's own networks ---


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
            # In float32 rows that are nearly the same differ by few digits.
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


# --- the layers ---


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


# --- the numbers, against torch ---


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
    """Of 4 channels one is 0 everywhere, one at all positions but one, one for all rows but one."""
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
    x[0, 1] = 50.0  # takes all of its column in each of 4, along axis 1
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


# --- the verdicts ---


class Deep(nn.Module):
    def __init__(self, layers, std, activation=torch.tanh):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(50, 50) for _ in range(layers))
        self.activation = activation
        for layer in self.layers:
            nn.init.normal_(layer.weight, 0, std)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def test_verdicts_name_what_is_wrong_and_where():
    x = normal(60, 50)
    assert diagnosis(Deep(8, 50**-0.5), x).verdict == "healthy"
    small, big = diagnosis(Deep(8, 0.05), x), diagnosis(Deep(8, 1.0, F.leaky_relu), x)
    assert small.activations.verdict.startswith("vanishes: std falls by ")
    assert small.gradients.verdict.startswith("vanishes: std falls by ")
    assert big.activations.verdict.startswith("explodes: std grows by ")
    assert big.gradients.verdict.startswith("explodes: std grows by ")
    assert "of values have |a| > 0.99 in layer layers.0" in diagnosis(Deep(4, 1.0), x).verdict
    dead = Deep(5, (2 / 50) ** 0.5, F.relu)
    dead.layers[2].bias.data[:25] = -100
    found = diagnosis(dead, x)
    assert found.activations.dead[2] >= 0.5
    assert " of units 0 for every row in layer layers.2" in found.activations.verdict
    infinite = MLP()
    infinite.fc2.bias.data[0] = float("nan")
    assert activations(infinite, normal(10, 20)).verdict.startswith("overflows: not finite from layer fc2 on")
    assert "overflows: not finite from layer fc1 back" in gradients(infinite, normal(10, 20)).verdict


def test_layers_of_blocks_are_compared_with_their_like():
    """A part that is small in every block is not reported as vanishing; one that shrinks from block to block is."""
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
            return self.out(F.relu(self.a(x) + self.b(x)))

    model, x = Sum(), normal(40, 20)
    found = gradients(model, x)
    assert 0.3 < found.zero[0] < 0.7
    assert "blocked" not in found.verdict
    model.a.bias.data[:] = -100
    assert gradients(model, x).verdict.startswith("blocked: 100% exactly 0 at layer b")


# --- nothing of the model changes ---


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


# --- pictures and pages ---


def test_pictures_and_pages_have_the_names():
    pytest.importorskip("matplotlib")
    name = "a_long_name_" * 12 + "$x^{"
    model = nn.Sequential(nn.ModuleDict({name: nn.Linear(20, 20)})[name], MLP())
    model.add_module(name, nn.Linear(5, 5))
    found = {"model": diagnosis(model, normal(10, 20))}
    figure = plots.overview(found)
    means, stds, back, *panels = figure.axes
    expected = ["0", "1.fc1", "1.fc2", "1.out", "…name_a_long_name_$x^{"[-20:]]
    expected[-1] = "…" + name[-19:]
    assert [label.get_text() for label in back.get_xticklabels()] == expected
    for axes in (means, stds, back):
        assert list(axes.get_xticks()) == [1, 2, 3, 4, 5]
    assert [axes.get_title() for axes in panels] == [*expected[:-1], "…" + name[-14:]]
    assert plots.data_uri(figure)
    means, stds = plots.spread({"a": found["model"].activations, "b": diagnosis(MLP(), normal(9, 20)).activations}).axes
    assert "fc1" not in [label.get_text() for label in means.get_xticklabels()], "two models have no names in common"
    page = report.html(found, "title", "text")
    for words in (name, "1.fc2", '<td class="words">linear</td>'):
        assert words in page


def test_a_deep_model_has_twenty_names_at_most():
    pytest.importorskip("matplotlib")
    found = gradients(Deep(70, 50**-0.5), normal(9, 50))
    [axes] = plots.gradient_flow({"deep": found}).axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"layers.{i}" for i in range(0, 70, 4)]


# --- the command line ---

FILE = """
    import torch

    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = torch.nn.Linear(6, 50), torch.nn.Tanh(), torch.nn.Linear(50, 3)

        def forward(self, x):
            return self.last(self.act(self.first(x)))

    def words():
        return torch.nn.Sequential(torch.nn.Embedding(9, 6), Pair())

    def number():
        return 3

    def fails():
        raise RuntimeError("not today\\nnor tomorrow")

    made = Pair()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of models, whose module is not imported yet."""
    (tmp_path / "some_models.py").write_text(textwrap.dedent(FILE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "some_models", raising=False)
    yield tmp_path
    sys.modules.pop("some_models", None)


def test_a_model_is_diagnosed_from_the_command_line(folder):
    pytest.importorskip("matplotlib")
    files = ("--save", folder / "layers.png", "--html", folder / "page.html")
    result = run("diagnose", "--model", "some_models:Pair", "--input", "20,6", *files)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "A batch of 20 x 6 standard normal values goes forward" in result.stdout.replace("\n", " ")
    [header] = [line.split() for line in lines if line.startswith("layer")]
    assert header[:4] == ["layer", "activation", "mean", "std"]
    assert [line.split()[:2] for line in lines if line.startswith(("act ", "last "))] == [
        ["act", "tanh"],
        ["last", "linear"],
    ]
    assert (folder / "layers.png").read_bytes()[:4] == b"\x89PNG"
    assert '<td class="words">act</td>' in (folder / "page.html").read_text()


def test_json_of_a_model_is_what_the_functions_give(folder, capsys):
    arguments = ["diagnose", "--model", "some_models:words", "--input", "20,4", "--tokens", "9", "--seed", "3"]
    texts = []
    for _ in range(2):
        torch.manual_seed(7)
        assert cli.main([*arguments, "--json"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    found = json.loads(texts[0])
    assert {key: found[key] for key in ("model", "input", "tokens", "seed")} == {
        "model": "some_models:words",
        "input": [20, 4],
        "tokens": 9,
        "seed": 3,
    }
    torch.manual_seed(3)
    model = sys.modules["some_models"].words()
    x = (Stream(3).child("x").uniform((20, 4), "float64") * 9).astype(int)
    assert set(x.flat) == set(range(9))
    expected = Diagnosis(activations(model, x), gradients(model, x, Stream(3).child("gradient")))
    assert found["verdict"] == expected.verdict
    for part in ("activations", "gradients"):
        assert found[part]["name"] == ["0", "1.act", "1.last"]
        assert found[part]["std"] == getattr(expected, part).std.tolist()


def test_a_model_of_a_file_anywhere(folder, monkeypatch, capsys):
    """Its neighbours can be imported, and its name may be that of a package: it takes nobody's place."""
    (nets := folder / "my nets").mkdir()
    (nets / "neighbour.py").write_text("width = 50")
    (nets / "torch.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, neighbour\n"
        "from some_models import Pair\n"
        "@dataclasses.dataclass\nclass Size:\n    width: int = neighbour.width\n"
        "class Nets:\n    Pair = Pair\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    before = {name: sys.modules.get(name) for name in ("torch", "__model__")}
    for where in ("my nets/torch.py", str(nets / "torch.py")):
        assert cli.main(["diagnose", "--model", f"{where}:Nets.Pair", "--input", "20,6", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["model"] == f"{where}:Nets.Pair"
        assert {name: sys.modules.get(name) for name in before} == before
        assert str(nets) not in sys.path
    sys.modules.pop("neighbour")


def test_a_model_that_is_there_is_taken(folder, capsys):
    assert cli.main(["diagnose", "--model", "some_models:made", "--input", "20,6"]) == 0
    assert "last" in capsys.readouterr().out
    assert str(folder) not in sys.path


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        ("some_models:fails", "20,6", "some_models:fails: RuntimeError: not today"),
        ("some_models:number", "20,6", "TypeError: it must return a torch.nn.Module; got int"),
        ("some_models:nope", "20,6", "AttributeError: module 'some_models' has no attribute 'nope'"),
        ("no_such_file:Pair", "20,6", "ModuleNotFoundError: No module named 'no_such_file'"),
        ("no_such_file.py:Pair", "20,6", "no_such_file.py:Pair: FileNotFoundError: "),
        ("some_models.py:nope", "20,6", "AttributeError: module '__model__' has no attribute 'nope'"),
        ("some_models:Pair", "20,7", "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_what_the_model_does_wrong_is_told_in_a_line(folder, model, shape, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["diagnose", "--model", model, "--input", shape])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("pyinit: ")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "some_models"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models:"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models.py"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models.py:"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "nets/some_models:Pair"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models:Pair"), "--model needs --input"),
        (("--model", "some_models:Pair", "--input", "1,6"), "must be at least 2; got 1"),
        (("--model", "some_models:Pair", "--input", "20,x"), "must be an integer"),
        (("--model", "some_models:Pair", "--input", "20,6", "--layers", "3"), "--layers does not go with --model"),
        (("--model", "some_models:Pair", "--input", "20,6", "--scheme", "big"), "--scheme does not go with --model"),
        (("--input", "20,6"), "--input needs --model"),
        (("--tokens", "9"), "--tokens needs --model"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["diagnose", *arguments])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_without_torch_there_is_a_sentence(folder):
    code = "import sys; sys.modules['torch'] = None; from pyinit import cli; sys.exit(cli.main())"
    result = run("diagnose", "--model", "some_models:Pair", "--input", "20,6", program=("-c", code))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "pip install torch" in result.stderr
    assert result.stderr.count("\n") == 1


def test_diagnostics_need_no_torch():
    code = "import sys; import pyinit.diagnostics, pyinit.cli; sys.exit('torch' in sys.modules)"
    assert run(program=("-c", code)).returncode == 0
