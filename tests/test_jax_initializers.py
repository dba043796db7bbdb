"""pyinit's versions of `jax.nn.initializers`: names, distributions, dtypes, transformations and frameworks."""

import inspect
import math
import pickle

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import pyinit
from pyinit import Stream
from pyinit import initializers as schemes

jax = pytest.importorskip("jax", minversion="0.9")

import jax.numpy as jnp  # noqa: E402

from pyinit.adapters import jax as pj  # noqa: E402
from pyinit.adapters.jax.keys import key_words, stream_of  # noqa: E402

theirs, ours = jax.nn.initializers, pj.initializers
NAMES = sorted(name for name, f in vars(theirs).items() if inspect.isfunction(f))
ALPHA = 1e-4  # the seeds are fixed, so a test that passes once always passes
KERNEL = (3, 2, 90, 130)
FANS = [name for name in NAMES if name.split("_")[0] in ("glorot", "xavier", "lecun", "he", "kaiming")]
LAWS = [
    ("normal", {"stddev": 0.3}),
    ("uniform", {"scale": 1.7}),
    ("truncated_normal", {"stddev": 0.3, "lower": -1.0, "upper": 2.5}),
    *((name, {}) for name in FANS),
    ("he_normal", {"in_axis": (1, 2), "out_axis": 3, "batch_axis": 0}),
    ("glorot_uniform", {"in_axis": -1, "out_axis": -2}),
    *(
        ("variance_scaling", {"scale": 1.9, "mode": mode, "distribution": distribution})
        for mode, distribution in zip(
            ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"], ["normal", "uniform", "truncated_normal", "normal"]
        )
    ),
]
SCHEMES = {
    "normal": (ours.normal(0.3), schemes.normal(0.0, 0.3)),
    "uniform": (ours.uniform(0.7), schemes.uniform(0.0, 0.7)),
    "truncated_normal": (ours.truncated_normal(0.3), schemes.truncated_normal(0.0, 0.3)),
    "he_normal": (ours.he_normal(), schemes.he_truncated_normal(layout="in_out")),
    "orthogonal": (ours.orthogonal(1.5), schemes.orthogonal(1.5, "in_out")),
}


def bits(array):
    return np.asarray(array).tobytes()


def test_names_and_arguments_are_those_of_jax():
    assert sorted(ours.__all__) == NAMES
    for name in NAMES:
        mine, other = (inspect.signature(getattr(module, name)) for module in (ours, theirs))
        assert [(p.name, p.default) for p in mine.parameters.values()] == [
            (p.name, p.default) for p in other.parameters.values()
        ]
    call = inspect.signature(ours.normal().__call__)
    other = inspect.signature(theirs.normal())
    assert [(p.name, p.default) for p in call.parameters.values()] == [
        (p.name, p.default) for p in other.parameters.values()
    ]


@pytest.mark.parametrize(("name", "arguments"), LAWS, ids=lambda x: x if isinstance(x, str) else "")
def test_distributions_are_those_of_jax(name, arguments):
    made = np.asarray(getattr(ours, name)(**arguments)(jax.random.key(1), KERNEL)).ravel()
    other = np.asarray(getattr(theirs, name)(**arguments)(jax.random.key(2), KERNEL)).ravel()
    assert scipy.stats.ks_2samp(made, other).pvalue > ALPHA
    assert made.std() == pytest.approx(other.std(), rel=0.02)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_fans_of_any_axes(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    any_axes = st.lists(st.integers(0, len(shape) - 1), unique=True, max_size=2)
    ins, outs = data.draw(any_axes), data.draw(any_axes)
    batch = [axis for axis in data.draw(any_axes) if axis not in {*ins, *outs}]
    initializer = ours.variance_scaling(1.0, "fan_in", "normal", ins, outs, batch)
    size, sizes = math.prod(shape), [math.prod(shape[i] for i in axes) for axes in (ins, outs, batch)]
    assert initializer.fans(shape) == (size / sizes[1] / sizes[2], size / sizes[0] / sizes[2])
    assert initializer.of(shape).std == pytest.approx(math.sqrt(sizes[1] * sizes[2] / size))


def test_the_embedding_of_flax_has_one_axis_for_both():
    made = ours.variance_scaling(1.0, "fan_in", "normal", out_axis=0)(jax.random.key(0), (500, 100))
    assert made.std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_bits_are_those_of_numpy_in_every_dtype_eagerly_and_in_a_program(name, dtype):
    initializer, scheme = SCHEMES[name]
    expected = scheme(np.empty((12, 7), jnp.dtype(dtype)), Stream(2**40 + 7))
    key = jax.random.wrap_key_data(np.array([2**8, 7], np.uint32))
    made = initializer(key, (12, 7), dtype)
    assert made.dtype == dtype
    assert bits(made) == bits(expected)
    assert bits(jax.jit(lambda key: initializer(key, (12, 7), jnp.dtype(dtype)))(key)) == bits(expected)


def test_float64_needs_64_bit_types():
    assert ours.normal()(jax.random.key(3), (5, 2), "float64").dtype == np.float32
    with jax.enable_x64(True):
        key = jax.random.key(3)
        for made in (pj.normal(key, (5, 2)), jax.jit(lambda key: pj.normal(key, (5, 2), "float64"))(key)):
            assert bits(made) == bits(Stream(3).normal((5, 2), np.float64))
        complex_ = pj.normal(key, (5,), "complex128")
        assert bits(complex_) == bits(Stream(3).normal((5, 2), np.float64, std=math.sqrt(0.5)))
        wide = pj.normal(key, (6, 2), jnp.bfloat16)
    assert bits(wide) == bits(pj.normal(jax.random.key(3), (6, 2), jnp.bfloat16))


def test_complex_samples_have_half_the_variance_in_each_part():
    expected = Stream(3).normal((4, 5, 2), std=math.sqrt(0.5) * 2.0)
    for draw in (pj.normal, jax.jit(pj.normal, static_argnums=(1, 2, 3, 4))):
        made = draw(jax.random.key(3), (4, 5), np.dtype("complex64"), 0.0, 2.0)
        assert made.dtype == np.complex64
        assert bits(made) == bits(expected)
    with pytest.raises(TypeError, match="or complex for normal; got complex64"):
        pj.uniform(jax.random.key(3), (4,), "complex64")


def test_array_makers():
    key = jax.random.key(5)
    assert bits(pj.normal(key)) == bits(Stream(5).normal(()))
    assert bits(jax.jit(pj.normal)(key)) == bits(Stream(5).normal(()))
    assert bits(pj.normal(key, 7, mean=0.1, std=2)) == bits(Stream(5).normal(7, mean=0.1, std=2))
    assert bits(pj.uniform(key, (3, 0))) == b""
    assert bits(pj.uniform(key, (3, 2), None, -1.5, 2.0)) == bits(Stream(5).uniform((3, 2), low=-1.5, high=2.0))
    expected = Stream(5, "ars5").truncated_normal((3, 2), np.float32, 1.0, 0.3, -1.0, 3.0)
    assert bits(pj.truncated_normal(key, (3, 2), None, 1.0, 0.3, -1.0, 3.0, generator="ars5")) == bits(expected)


def test_raw_and_typed_keys_of_every_kind():
    for impl in ("threefry2x32", "rbg", "unsafe_rbg"):
        typed = jax.random.fold_in(jax.random.key(3, impl=impl), 5)
        expected = stream_of(np.asarray(jax.random.key_data(typed))).normal((3, 4), std=0.5)
        for key in (typed, jax.random.key_data(typed), np.asarray(jax.random.key_data(typed))):
            assert bits(ours.normal(0.5)(key, (3, 4))) == bits(expected)
            assert bits(jax.jit(lambda key: ours.normal(0.5)(key, (3, 4)))(key)) == bits(expected)


@pytest.mark.parametrize("name", SCHEMES)
def test_transformations_equal_the_loop(name):
    initializer, _ = SCHEMES[name]
    keys = jax.random.split(jax.random.key(4), (2, 3))
    loop = np.array([[initializer(key, (4, 3)) for key in row] for row in keys])
    one = lambda key: initializer(key, (4, 3))  # noqa: E731
    assert bits(jax.vmap(jax.vmap(one))(keys)) == bits(loop)
    assert bits(jax.jit(jax.vmap(jax.vmap(one, out_axes=1), in_axes=1, out_axes=1))(keys)) == bits(
        loop.transpose(2, 1, 0, 3)
    )
    assert bits(jax.lax.scan(lambda carry, key: (carry, one(key)), 0, keys[0])[1]) == bits(loop[0])
    assert bits(jax.lax.map(one, keys[1])) == bits(loop[1])
    assert jax.eval_shape(one, keys[0, 0]) == jax.ShapeDtypeStruct((4, 3), np.float32)
    key = keys[0, 0]
    assert bits(jax.jit(lambda: one(key))()) == bits(loop[0, 0])  # a key outside of tracing
    gradient = jax.jit(jax.grad(jax.checkpoint(lambda w: jnp.sum(jnp.sin(w) * one(key)))))(jnp.zeros((4, 3)))
    assert bits(gradient) == bits(loop[0, 0])


def test_rbg_keys_under_vmap_have_streams_of_their_own():
    """There jax.random draws everything from the first key of a batch (jax#19085)."""
    keys = jax.random.split(jax.random.key(0, impl="rbg"), 4)
    made = np.asarray(jax.vmap(lambda key: pj.normal(key, 50))(keys))
    assert bits(made) == bits([pj.normal(key, 50) for key in keys])
    assert abs(np.corrcoef(made) - np.eye(4)).max() < 0.5


def test_a_traced_key_is_no_constant_of_the_program():
    """The program is compiled once, and contains neither the values nor a callback."""
    compiled = jax.jit(lambda key: ours.he_normal()(key, (300, 200))).lower(jax.random.key(0)).compile()
    text = compiled.as_text()
    assert "pyinit_fill" in text
    assert len(text) < 10_000
    assert "callback" not in text
    for seed in (1, 2):
        expected = schemes.he_truncated_normal(layout="in_out")(np.empty((300, 200), np.float32), Stream(seed))
        assert bits(compiled(jax.random.key(seed))) == bits(expected)


def test_orthogonal_matrices():
    key = jax.random.key(6)
    for shape, axis, matrix in (
        ((6, 4), -1, lambda w: w),
        ((6, 4), 1, lambda w: w),
        ((4, 6), 0, lambda w: w.T),
        ((2, 3, 4), -1, lambda w: w.reshape(6, 4)),
        ((4, 2, 3), -3, lambda w: w.reshape(4, 6).T),
    ):
        w = matrix(ours.orthogonal(2.0, axis)(key, shape))
        np.testing.assert_allclose(w.T @ w, 4 * np.eye(w.shape[1]), atol=1e-5)
    w = ours.delta_orthogonal(2.0)(key, (3, 5, 2, 4))
    np.testing.assert_allclose(w[1, 2] @ w[1, 2].T, 4 * np.eye(2), atol=1e-5)
    assert int((w != 0).sum()) == 8
    with pytest.raises(ValueError, match="column_axis must be the last axis or the first; got 1"):
        ours.orthogonal(column_axis=1)(key, (2, 3, 4))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda key: ours.normal(-1.0), ValueError, "std must be"),
        (lambda key: ours.normal("1"), TypeError, "std must be a real number"),
        (lambda key: ours.uniform(-1.0), ValueError, "low must not be above high"),
        (lambda key: ours.variance_scaling(1.0, "fan", "normal"), ValueError, "mode must be"),
        (lambda key: ours.he_normal()(key, (5,)), ValueError, "got -2 for shape .5,."),
        (lambda key: ours.he_normal(batch_axis=-1)(key, (5, 3)), ValueError, "batch_axis must not be"),
        (lambda key: ours.orthogonal()(key, (5,)), ValueError, "column_axis|at least 2"),
        (lambda key: ours.normal()(key, (5, -1)), ValueError, "shape must not be negative"),
        (lambda key: ours.normal()(key, (5, 1.5)), TypeError, "shape must be"),
        (lambda key: ours.normal()(key, (5,), jnp.int32), TypeError, "dtype must be one of float32.*got int32"),
        (lambda key: ours.normal(1e38)(key, (5,), jnp.float32), ValueError, "std must be at most"),
        (lambda key: pj.normal(key, (5,), generator="mt"), ValueError, "generator must be one of philox"),
        (lambda key: pj.normal(key, (5,), global_shape=(4,)), ValueError, "global_shape must contain"),
        (lambda key: pj.normal(key, (5,), global_shape=(8,), offset=(4,)), ValueError, "inside"),
        (lambda key: jax.eval_shape(lambda k: pj.normal(k, (5,), global_shape=1 << 32), key), ValueError, r"2\*\*32"),
        (lambda key: pj.normal(key, (5,), offset=(1,)), ValueError, "inside"),
        (lambda key: pj.normal(key, (5,), global_shape=(8,), offset=(1, 2)), ValueError, "one number for each"),
        (lambda key: jax.jit(lambda n: pj.normal(key, (5,), offset=n))(jnp.arange(2)), ValueError, "one number for"),
    ],
)
def test_bad_input(make, kind, message):
    with pytest.raises(kind, match=message):
        make(jax.random.key(0))


def test_initializers_are_values():
    for initializer in (ours.normal(0.5, jnp.bfloat16), ours.he_normal(), ours.orthogonal()):
        again = pickle.loads(pickle.dumps(initializer))
        assert again == initializer
        assert hash(again) == hash(initializer)
    assert ours.normal(0.5) != ours.normal(0.25)
    assert ours.normal(0.5, jnp.bfloat16)(jax.random.key(0), (2, 3)).dtype == jnp.bfloat16


def stream_at(key):
    return stream_of(np.asarray(key_words(key)))


def test_flax_linen():
    nn = pytest.importorskip("flax.linen")
    key, x = jax.random.key(1), jnp.ones((1, 3))
    dense = nn.Dense(5, kernel_init=ours.he_normal(), bias_init=ours.zeros)
    made = dense.init(key, x)
    assert jax.tree.all(jax.tree.map(lambda a, b: bits(a) == bits(b), made, jax.jit(dense.init)(key, x)))
    assert jax.eval_shape(dense.init, key, x)["params"]["kernel"].shape == (3, 5)

    class Deep(nn.Module):
        @nn.compact
        def __call__(self, x):
            layer = lambda module, carry, _: (nn.Dense(3, kernel_init=ours.normal(1.0))(carry), None)  # noqa: E731
            return nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=4)(self, x, None)[0]

    [kernel] = (a for a in jax.tree.leaves(Deep().init(key, x)) if a.ndim == 3)
    assert len(np.unique(kernel)) == kernel.size == 36


def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx")
    linear = lambda rngs: nnx.Linear(3, 5, kernel_init=ours.lecun_normal(), rngs=rngs)  # noqa: E731
    eager, compiled = linear(nnx.Rngs(2)), nnx.jit(lambda: linear(nnx.Rngs(2)))()
    assert bits(eager.kernel[...]) == bits(compiled.kernel[...])
    expected = schemes.lecun_truncated_normal(layout="in_out")(
        np.empty((3, 5), np.float32), stream_at(nnx.Rngs(2).params())
    )
    assert bits(eager.kernel[...]) == bits(expected)
    assert nnx.eval_shape(lambda: linear(nnx.Rngs(2))).kernel.shape == (3, 5)
    many = nnx.split_rngs(splits=4)(nnx.vmap(linear, in_axes=(0,), out_axes=0))(nnx.Rngs(2))
    assert len(np.unique(many.kernel[...])) == 60


def test_haiku():
    hk = pytest.importorskip("haiku")
    init = lambda shape, dtype: ours.he_normal()(hk.next_rng_key(), shape, dtype)  # noqa: E731
    model = hk.transform(lambda x: hk.Linear(5, w_init=init)(x))
    key, x = jax.random.key(3), jnp.ones((1, 3))
    made = model.init(key, x)["linear"]["w"]
    assert bits(made) == bits(jax.jit(model.init)(key, x)["linear"]["w"])
    assert made.std() > 0.3


def test_the_readme_promise():
    weights = ours.normal(1.0)(jax.random.key(7), (3, 4))
    assert bits(weights) == bits(pyinit.Stream(7).normal((3, 4)))
