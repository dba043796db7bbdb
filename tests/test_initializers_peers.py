"""Initialisers of PyTorch, Keras and JAX compared with ours: same mean, variance and bounds, in their own layouts."""

import math

import numpy as np
import pytest
import scipy.stats

from pyinit import Stream
from pyinit.initializers import scheme

# Each has at least 60,000 samples, whose variance is known to 2.5 per cent at five standard errors.
OUT_IN = [(300, 200), (64, 16, 8, 8)]
IN_OUT = [(300, 200), (8, 8, 16, 64)]
SQUARED_EXCESS = 2.0  # the largest E x⁴ / (E x²)² - 1 of these distributions: the normal's


def agree(ours, theirs, bounded):
    """Raise if the two samples' means, variances, bounds or distributions differ."""
    a, b = (np.asarray(x, np.float64).ravel() for x in (ours, theirs))
    assert a.size == b.size
    std = math.sqrt((a.var() + b.var()) / 2)
    assert abs(a.mean() - b.mean()) < 5 * std * math.sqrt(2 / a.size)
    assert abs(a.var() - b.var()) < 5 * std**2 * math.sqrt(2 * SQUARED_EXCESS / a.size)
    if bounded:
        assert a.min() == pytest.approx(b.min(), abs=0.01 * std)
        assert a.max() == pytest.approx(b.max(), abs=0.01 * std)
    assert scipy.stats.ks_2samp(a, b).pvalue > 1e-5


TORCH = {
    "uniform_": ("uniform", {}, "uniform"),
    "normal_": ("normal(std=1.5)", {"std": 1.5}, "normal"),
    "trunc_normal_": ("truncated_normal(0, 0.02, -2, 2)", {"std": 0.02, "a": -0.04, "b": 0.04}, "truncated"),
    "xavier_uniform_": ("xavier_uniform(1.5)", {"gain": 1.5}, "uniform"),
    "xavier_normal_": ("xavier_normal(1.5)", {"gain": 1.5}, "normal"),
    "kaiming_uniform_": (f"kaiming_uniform(a={math.sqrt(5)!r})", {"a": math.sqrt(5)}, "uniform"),
    "kaiming_normal_": (
        "kaiming_normal(mode='fan_out', nonlinearity='tanh')",
        {"mode": "fan_out", "nonlinearity": "tanh"},
        "normal",
    ),
}


@pytest.mark.parametrize("shape", OUT_IN, ids=str)
@pytest.mark.parametrize("name", TORCH)
def test_pytorch(name, shape):
    torch = pytest.importorskip("torch")
    text, keywords, kind = TORCH[name]
    theirs = getattr(torch.nn.init, name)(torch.empty(shape), **keywords, generator=torch.Generator().manual_seed(0))
    agree(scheme(text)(np.empty(shape, np.float32), Stream(1)), theirs.numpy(), kind != "normal")


def test_pytorch_transposed_and_grouped_by_their_shape_alone():
    torch = pytest.importorskip("torch")
    layer = torch.nn.ConvTranspose2d(64, 32, 8, groups=2)
    theirs = torch.nn.init.kaiming_uniform_(layer.weight, generator=torch.Generator().manual_seed(0)).detach().numpy()
    agree(scheme("kaiming_uniform")(np.empty(theirs.shape, np.float32), Stream(1)), theirs, True)
    true = scheme("kaiming_uniform(groups=2, transposed=True)")(np.empty(theirs.shape, np.float32), Stream(1))
    with pytest.raises(AssertionError):
        agree(true, theirs, True)


@pytest.mark.parametrize(
    ("name", "text", "arguments", "shapes"),
    [
        ("zeros_", "zeros", (), [(3, 4)]),
        ("ones_", "ones", (), [(3, 4)]),
        ("constant_", "constant(0.3)", (0.3,), [(3, 4)]),
        ("eye_", "eye", (), [(3, 4), (4, 3)]),
        ("dirac_", "dirac", (), [(6, 4, 3), (4, 6, 2, 5), (3, 3, 1, 2, 3)]),
        ("dirac_", "dirac(groups=2)", (2,), [(6, 4, 3), (4, 6, 2, 5), (8, 2, 3)]),
    ],
)
def test_pytorch_without_chance(name, text, arguments, shapes):
    torch = pytest.importorskip("torch")
    for shape in shapes:
        theirs = getattr(torch.nn.init, name)(torch.empty(shape), *arguments)
        assert np.array_equal(scheme(text)(np.empty(shape, np.float32), Stream(0)), theirs.numpy())


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (12, 4, 3, 3)], ids=str)
def test_orthogonal_ones(shape):
    """Rows or columns are orthonormal, the same as the peers', in each layout."""
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    keras = keras_initializers()
    turned = (*shape[2:], shape[1], shape[0])
    matrices = {
        "torch": torch.nn.init.orthogonal_(torch.empty(shape), gain=2.0).numpy().reshape(shape[0], -1),
        "ours, out_in": scheme("orthogonal(2)")(np.empty(shape, np.float32), Stream(0)).reshape(shape[0], -1),
        "jax": np.asarray(jax.nn.initializers.orthogonal(2.0)(jax.random.key(0), turned)).reshape(-1, shape[0]).T,
        "keras": np.asarray(keras.Orthogonal(2.0, seed=0)(turned)).reshape(-1, shape[0]).T,
        "ours, in_out": scheme("orthogonal(2, 'in_out')")(np.empty(turned), Stream(0)).reshape(-1, shape[0]).T,
    }
    for name, m in matrices.items():
        gram = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-4, err_msg=name)


def test_delta_orthogonal_as_in_jax():
    jax = pytest.importorskip("jax")
    for shape in ((3, 4, 6), (4, 3, 4, 6), (2, 3, 1, 4, 4)):
        theirs = np.asarray(jax.nn.initializers.delta_orthogonal(2.0)(jax.random.key(0), shape))
        ours = scheme("delta_orthogonal(2, 'in_out')")(np.empty(shape, np.float32), Stream(0))
        assert np.array_equal(ours != 0, theirs != 0)
        for kernel in (ours, theirs):
            m = kernel.reshape(-1, *shape[-2:]).sum(axis=0)
            np.testing.assert_allclose(m @ m.T, 4 * np.eye(shape[-2]), atol=1e-4)


def test_sparse_as_in_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.sparse_(torch.empty(300, 200), 0.15, std=0.5, generator=torch.Generator().manual_seed(0))
    ours = scheme("sparse(0.15, std=0.5)")(np.empty((300, 200), np.float32), Stream(0))
    assert set((ours == 0).sum(axis=0)) == set((theirs.numpy() == 0).sum(axis=0)) == {45}
    agree(ours[ours != 0], theirs.numpy()[theirs.numpy() != 0], False)


def keras_initializers():
    return pytest.importorskip("keras").initializers


KERAS = {
    "RandomUniform": ("uniform(-0.05, 0.05)", {}, "uniform"),
    "RandomNormal": ("normal(std=0.05)", {}, "normal"),
    "TruncatedNormal": ("truncated_normal(std=0.05)", {}, "truncated"),
    "GlorotUniform": ("glorot_uniform", {}, "uniform"),
    "GlorotNormal": ("glorot_truncated_normal", {}, "truncated"),
    "HeUniform": ("he_uniform", {}, "uniform"),
    "HeNormal": ("he_truncated_normal", {}, "truncated"),
    "LecunUniform": ("lecun_uniform", {}, "uniform"),
    "LecunNormal": ("lecun_truncated_normal", {}, "truncated"),
    "VarianceScaling": (
        "variance_scaling(3, 'fan_out', 'normal')",
        {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
        "normal",
    ),
}


def turned(text):
    """Return a scheme in the layout of Keras and JAX, if it has a layout."""
    made = scheme(text)
    if not hasattr(made, "layout"):
        return made
    return scheme(f"{repr(made)[:-1]}, layout='in_out')")


@pytest.mark.parametrize("shape", IN_OUT, ids=str)
@pytest.mark.parametrize("name", KERAS)
def test_keras(name, shape):
    initializers = keras_initializers()
    text, keywords, kind = KERAS[name]
    theirs = getattr(initializers, name)(**keywords, seed=2)(shape)
    agree(turned(text)(np.empty(shape, np.float32), Stream(1)), theirs, kind != "normal")


def test_keras_identity():
    theirs = keras_initializers().Identity(gain=0.5)((3, 4))
    assert np.array_equal(scheme("identity(0.5)")(np.empty((3, 4), np.float32), Stream(0)), np.asarray(theirs))


JAX = {
    "uniform": ("uniform(0, 0.01)", {}, "uniform"),
    "normal": ("normal(std=0.01)", {}, "normal"),
    "truncated_normal": (
        "truncated_normal(std=0.01, lower=-1, upper=3)",
        {"lower": -1.0, "upper": 3.0},
        "normal",  # few samples come near such far bounds
    ),
    "glorot_uniform": ("glorot_uniform", {}, "uniform"),
    "glorot_normal": ("glorot_truncated_normal", {}, "truncated"),
    "he_uniform": ("he_uniform", {}, "uniform"),
    "he_normal": ("he_truncated_normal", {}, "truncated"),
    "lecun_uniform": ("lecun_uniform", {}, "uniform"),
    "lecun_normal": ("lecun_truncated_normal", {}, "truncated"),
    "variance_scaling": (
        "variance_scaling(3, 'fan_geo_avg', 'truncated_normal')",
        {"scale": 3.0, "mode": "fan_geo_avg", "distribution": "truncated_normal"},
        "truncated",
    ),
}


@pytest.mark.parametrize("shape", IN_OUT, ids=str)
@pytest.mark.parametrize("name", JAX)
def test_jax(name, shape):
    jax = pytest.importorskip("jax")
    text, keywords, kind = JAX[name]
    initializer = getattr(jax.nn.initializers, name)
    theirs = initializer(**keywords)(jax.random.key(3), shape)
    agree(turned(text)(np.empty(shape, np.float32), Stream(1)), theirs, kind != "normal")


@pytest.mark.parametrize(
    "wrong",
    ["he_normal", "he_uniform", "glorot_truncated_normal", "truncated_normal(std=0.08)", "he_truncated_normal"],
)
def test_another_scheme_does_not_agree(wrong):
    """HeNormal of Keras and JAX is truncated, and has the other layout's fans."""
    jax = pytest.importorskip("jax")
    theirs = jax.nn.initializers.he_normal()(jax.random.key(3), (300, 200))
    with pytest.raises(AssertionError):
        agree(scheme(wrong)(np.empty((300, 200), np.float32), Stream(1)), theirs, True)
