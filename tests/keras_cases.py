"""Tests that test_keras.py runs on each backend: laws, bits, seeds, configurations, and saved models."""

import inspect
import json
import math

import keras
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, initializers
from pyinit.adapters import keras as pk

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's and PyTorch's, of NumPy 2
BACKEND = keras.config.backend()
ALPHA = 1e-4  # the seeds are fixed, so a test that passes once always passes
# Arguments, and the equivalent scheme.
RANDOM = {
    "RandomNormal": ({"mean": 0.3, "stddev": 1.7}, "normal(0.3, 1.7)"),
    "RandomUniform": ({"minval": -0.3, "maxval": 0.7}, "uniform(-0.3, 0.7)"),
    "TruncatedNormal": ({"mean": 0.3, "stddev": 1.7}, "truncated_normal(0.3, 1.7)"),
    "VarianceScaling": (
        {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
        "variance_scaling(3.0, 'fan_out', 'normal', layout='in_out')",
    ),
    "GlorotNormal": ({}, "glorot_truncated_normal(layout='in_out')"),
    "GlorotUniform": ({}, "glorot_uniform(layout='in_out')"),
    "HeNormal": ({}, "he_truncated_normal(layout='in_out')"),
    "HeUniform": ({}, "he_uniform(layout='in_out')"),
    "LecunNormal": ({}, "lecun_truncated_normal(layout='in_out')"),
    "LecunUniform": ({}, "lecun_uniform(layout='in_out')"),
    "Orthogonal": ({"gain": 1.3}, "orthogonal(1.3, layout='in_out')"),
}
CONSTANT = {"Zeros": {}, "Ones": {}, "Constant": {"value": 0.3}, "Identity": {"gain": 0.3}}
NAMES = [*RANDOM, *CONSTANT]
# Every scheme without a class in Keras.
OTHERS = (
    "xavier_normal",
    "kaiming_normal(mode='fan_out')",
    "lecun_normal",
    "inverse_fan_in",
    "gpt2_residual(12)",
    "mup_input(0.3)",
    "mup_hidden",
    "mup_output(64)",
    "sparse(0.3, 0.7)",
    "big",
    "small",
)
KERNELS = ("dirac", "dirac(groups=2)", "delta_orthogonal(1.3)")
DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
SHAPES = ((40, 30), (3, 3, 12, 16), (1000,))
each_random = pytest.mark.parametrize("name", RANDOM)
each_name = pytest.mark.parametrize("name", NAMES)


def arguments(name):
    return RANDOM[name][0] if name in RANDOM else CONSTANT[name]


def ours(name, /, **options):
    return getattr(pk, name)(**arguments(name), **options)


def theirs(name, /, **options):
    return getattr(keras.initializers, name)(**arguments(name), **options)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def by_numpy(scheme, shape, stream, dtype="float32"):
    """Return a scheme's values in a NumPy array; both fans of a vector are its length."""
    made = initializers.scheme(scheme)
    if hasattr(made, "layout") and not repr(made).endswith("layout='in_out')"):
        made = initializers.scheme(f"{repr(made)[:-1].rstrip('(')}{', ' if '=' in repr(made) else '('}layout='in_out')")
    return made.resolve(shape if len(shape) > 1 else shape * 2)(np.empty(shape, dtype), stream)


def same(tensor, expected):
    assert keras.backend.standardize_dtype(tensor.dtype) == str(expected.dtype)
    assert tuple(tensor.shape) == expected.shape
    assert numpy(keras.ops.cast(tensor, "float32")).tobytes() == expected.astype(np.float32).tobytes()


@each_name
def test_names_and_arguments_are_keras(name):
    own, peer = (
        list(inspect.signature(getattr(module, name)).parameters.values()) for module in (pk, keras.initializers)
    )
    own = [(p.name, p.default) for p in own if p.name != "name"]
    assert own == [(p.name, p.default) for p in peer][: len(own)]
    assert issubclass(getattr(pk, name), keras.initializers.Initializer)


def test_every_initializer_of_keras_is_here():
    known = {
        name
        for name, kind in vars(keras.initializers).items()
        if isinstance(kind, type) and name[0].isupper() and "STFT" not in name
    }
    assert known - {"Initializer"} <= set(pk.__all__)
    assert set(NAMES) | {"FromScheme", "SchemeInitializer", "OrthogonalInitializer", "IdentityInitializer"} == set(
        pk.__all__
    )


@each_random
@pytest.mark.parametrize("shape", [*SHAPES[:2], (2000,)], ids=str)
def test_the_law_is_keras(name, shape):
    if name == "Orthogonal" and len(shape) < 2:
        pytest.skip("has no rows")
    x, y = (
        np.concatenate([numpy(make(name, seed=seed)(shape)).ravel() for seed in range(10)]) for make in (ours, theirs)
    )
    if name == "Orthogonal":
        for w in (x, y):
            w = w.reshape(10, -1, shape[-1]) / 1.3
            gram = w.transpose(0, 2, 1) @ w
            np.testing.assert_allclose(gram, np.broadcast_to(np.eye(shape[-1]), gram.shape), atol=1e-5)
    assert scipy.stats.ks_2samp(x, y).pvalue > ALPHA
    assert scipy.stats.ks_2samp(1.05 * x, y).pvalue < 0.05 or name == "Orthogonal" or "0.3" in str(RANDOM[name])
    if name not in ("RandomNormal", "VarianceScaling", "Orthogonal"):
        assert abs(x).max() == pytest.approx(abs(y).max(), rel=0.01)


@pytest.mark.parametrize("distribution", ["normal", "Truncated_Normal", "untruncated_normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_variance_scaling(distribution, mode):
    arguments = {"scale": 2.3, "mode": mode, "distribution": distribution, "seed": 1}
    x, y = (numpy(module.VarianceScaling(**arguments)((5, 40, 100))) for module in (pk, keras.initializers))
    assert scipy.stats.ks_2samp(x.ravel(), y.ravel()).pvalue > ALPHA
    assert x.std() == pytest.approx(y.std(), rel=0.03)


@pytest.mark.parametrize("name", CONSTANT)
def test_constants(name):
    for dtype in ("float32", "bfloat16", *([] if name == "Constant" or name == "Identity" else ["int32", "bool"])):
        made, peer = ours(name)((4, 6), dtype), theirs(name)((4, 6), dtype)
        assert made.dtype == peer.dtype
        assert np.array_equal(numpy(keras.ops.cast(made, "float32")), numpy(keras.ops.cast(peer, "float32")))


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(sorted(RANDOM)),
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**64 - 1),
    child=st.none() | st.text(max_size=5),
)
def test_bits_are_those_of_numpy(name, shape, dtype, seed, child):
    stream = Stream(seed) if child is None else Stream(seed).child(child)
    same(ours(name, seed=seed, name=child)(shape, dtype), by_numpy(RANDOM[name][1], tuple(shape), stream, dtype))


@pytest.mark.parametrize("text", [*OTHERS, *KERNELS])
def test_every_other_scheme(text):
    shape = (3, 5, 6, 8) if text in KERNELS else (40, 30)
    made = pk.FromScheme(text, seed=5)
    same(made(shape), by_numpy(text, shape, Stream(5)))
    again = keras.initializers.deserialize(json.loads(json.dumps(keras.initializers.serialize(made))))
    assert again.scheme == made.scheme
    same(again(shape), by_numpy(text, shape, Stream(5)))


def test_schemes_are_all_listed():
    texts = [*OTHERS, *KERNELS, *(scheme for _, scheme in RANDOM.values()), "identity", "constant", "zeros", "ones"]
    listed = {text.partition("(")[0] for text in texts}
    makers = {name for name in initializers.__all__ if name.islower()} - {"fans", "gain", "scheme", "eye"}
    aliases = {name.replace("glorot", "xavier").replace("he_", "kaiming_") for name in listed}
    left = {name for name in makers if name.replace("glorot", "xavier").replace("he_", "kaiming_") not in aliases}
    assert left <= {"lecun_uniform"}, left


@pytest.mark.parametrize("scheme", [initializers.kaiming_normal(), {"name": "kaiming_normal"}, "kaiming_normal"])
def test_fans_of_a_scheme_are_those_of_keras_kernels(scheme):
    made = pk.FromScheme(scheme, seed=1)
    config = json.loads(json.dumps(made.get_config()))
    assert config == {"scheme": repr(made.scheme), "seed": 1, "name": None}
    assert pk.FromScheme.from_config(config).scheme == made.scheme
    assert repr(made.scheme) == "VarianceScaling(scale=2.0, mode='fan_in', layout='in_out')"
    assert numpy(made((3, 3, 64, 128))).std() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)


@each_random
def test_seeds_are_as_in_keras(name):
    def draw(seed, make=ours):
        made = make(name, seed=seed)
        return [numpy(made((4, 5))) for _ in range(3)]

    for make in (ours, theirs):
        a, b, c = draw(7, make)
        assert np.array_equal(a, b)
        assert np.array_equal(b, c)
        a, b, _ = draw(None, make)
        assert np.array_equal(a, b)
        assert not np.array_equal(a, draw(None, make)[0])
        a, b, c = draw(keras.random.SeedGenerator(7), make)
        assert np.array_equal(a, draw(7, make)[0])
        assert len({values.tobytes() for values in (a, b, c)}) == 3
        keras.utils.set_random_seed(3)
        a, b = draw(None, make)[0], draw(None, make)[0]
        keras.utils.set_random_seed(3)
        assert np.array_equal(a, draw(None, make)[0])
        assert np.array_equal(b, draw(None, make)[0])
    expected = by_numpy(RANDOM[name][1], (4, 5), Stream(7 | 2 << 32))
    assert np.array_equal(draw(keras.random.SeedGenerator(7))[2], expected)


@each_name
@pytest.mark.parametrize("seed", [None, 7, 2**64 - 1, "generator"])
def test_configurations(name, seed):
    options = {}
    if name in RANDOM:
        options = {"seed": keras.random.SeedGenerator(9) if seed == "generator" else seed, "name": "w"}
    made = ours(name, **options)
    config = json.loads(json.dumps(made.get_config()))
    plain = {key: value for key, value in config.items() if key not in ("seed", "name")}
    assert plain == arguments(name)
    if name in RANDOM:
        assert config["name"] == "w"
        assert config["seed"] == seed or config["seed"]["config"]["seed"] == 9
    for again in (
        type(made).from_config(config),
        made.clone(),
        keras.initializers.deserialize(json.loads(json.dumps(keras.initializers.serialize(made)))),
    ):
        assert type(again) is type(made)
        assert again.get_config() == made.get_config()
        if seed is not None:
            assert np.array_equal(numpy(again((4, 5))), numpy(ours(name, **rebuilt(options))((4, 5))))
    assert type(keras.initializers.get(f"pyinit>{name}")) is type(made)


def rebuilt(options):
    """Return an initializer with the same options and a generator at its start."""
    seed = options.get("seed")
    if isinstance(seed, keras.random.SeedGenerator):
        return {**options, "seed": keras.random.SeedGenerator(9)}
    return options


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"])
def test_policies(policy):
    layer = keras.layers.Dense(6, kernel_initializer=pk.GlorotNormal(seed=3), dtype=policy)
    layer.build((None, 4))
    dtype = "float32" if "mixed" in policy else policy
    same(layer.kernel.value, by_numpy("glorot_truncated_normal", (4, 6), Stream(3), dtype))
    assert keras.backend.standardize_dtype(layer(np.ones((2, 4), np.float32)).dtype) == policy.removeprefix("mixed_")


def test_the_default_dtype_is_keras():
    assert keras.config.floatx() == "float32"
    keras.config.set_floatx("float16")
    try:
        same(pk.HeNormal(seed=1)((4, 5)), by_numpy("he_truncated_normal", (4, 5), Stream(1), "float16"))
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize(
    ("error", "match", "make"),
    [
        (TypeError, "seed must be an int, a keras", lambda: pk.HeNormal(seed="7")),
        (TypeError, "seed must be an int, a keras", lambda: pk.HeNormal(seed=0.5)),
        (ValueError, "seed must be in", lambda: pk.HeNormal(seed=-1)),
        (TypeError, "name must be a str", lambda: pk.HeNormal(name=3)),
        (ValueError, "std must be finite", lambda: pk.RandomNormal(stddev=-1)),
        (TypeError, "std must be a real number", lambda: pk.RandomNormal(stddev="1")),
        (ValueError, "distribution must be one of", lambda: pk.VarianceScaling(distribution="cauchy")),
        (ValueError, "mode must be", lambda: pk.VarianceScaling(mode="fan")),
        (TypeError, "unexpected keyword", lambda: pk.HeNormal(scale=1)),
        (TypeError, "unexpected keyword", lambda: pk.Zeros(seed=1)),
        (TypeError, "missing a required argument", lambda: pk.FromScheme()),
        (ValueError, "no scheme is called", lambda: pk.FromScheme("norml")),
        (TypeError, "did you mean", lambda: pk.FromScheme(initializers.normal)),
        (TypeError, "must be one of pyinit.initializers", lambda: pk.FromScheme(lambda out, stream: out)),
        (ValueError, "at least 2 dimensions", lambda: pk.Orthogonal(seed=1)((5,))),
        (ValueError, "2 dimensions", lambda: pk.Identity()((5,))),
        (TypeError, "got int32", lambda: pk.HeNormal(seed=1)((4, 5), "int32")),
    ],
    ids=range(17),
)
def test_wrong_arguments(error, match, make):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch alone")
def test_on_torch():
    import torch

    made = pk.HeNormal(seed=keras.random.SeedGenerator(1))
    with keras.device("meta"):
        nothing = made((4, 5), "bfloat16")
    assert (nothing.is_meta, nothing.shape, nothing.dtype) == (True, (4, 5), torch.bfloat16)
    same(made((4, 5)), by_numpy("he_truncated_normal", (4, 5), Stream(1)))  # the generator has not moved
    negative = keras.random.SeedGenerator(1)
    negative.state.assign(np.array([5 - 2**31, 0], np.int32))  # Keras has no unsigned integers here
    same(pk.HeNormal(seed=negative)((4, 5)), by_numpy("he_truncated_normal", (4, 5), Stream(2**31 + 5)))
    same(pk.RandomNormal(seed=1)((4, 5), "float64"), Stream(1).normal((4, 5), np.float64, std=0.05))
