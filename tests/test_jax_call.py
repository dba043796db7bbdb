"""The fill that XLA's programs call: the layout of a call, refused calls, and keys as streams."""

import shutil
import subprocess

import numpy as np
import pytest
from conftest import COMPILER, GENERATORS, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, _core, initializers

jax = pytest.importorskip("jax", minversion="0.9")

from pyinit.adapters.jax import programs  # noqa: E402
from pyinit.adapters.jax.keys import key_words, stream_of  # noqa: E402
from pyinit.adapters.jax.programs import Fill, program  # noqa: E402

WORDS = st.integers(0, 2**32 - 1)
NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
RIGHT = {
    "generator": np.int64(0),
    "sampler": np.int64(2),
    "parameters": np.array([0, 1, 0, 0], np.float64),
    "global_shape": np.array([3, 4]),
}


def fill_of(scheme, shape, dtype="float32", generator="philox", whole=None):
    return Fill(scheme, generator, np.dtype(jax.numpy.dtype(dtype)), shape, whole or shape)


@pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")
def test_our_header_describes_the_layout_of_the_installed_one():
    include = [f"-I{jax.ffi.include_dir()}", f"-I{ROOT / 'src_c'}"]
    command = [COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", *include, "-fsyntax-only"]
    done = subprocess.run([*command, ROOT / "tests" / "xla_layout.c"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_an_unknown_version_of_the_interface_is_refused_and_a_known_one_taken():
    jax.local_devices(backend="cpu")
    with pytest.raises(RuntimeError, match=r"API version \(0\.999\)"):
        jax.ffi.register_ffi_target("pyinit_test_999", _core.xla_handler(999), platform="cpu")
    programs.is_registered.cache_clear()
    assert programs.is_registered()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": np.int64(len(_core.GENERATORS))}, "unknown generator"),
        ({"sampler": np.int64(-1)}, "unknown generator or sampler"),
        ({"sampler": np.int32(2)}, "has the attributes"),
        ({"parameters": np.zeros(3)}, "has the attributes"),
        ({"parameters": np.array([0, -1.0, 0, 0])}, "out of range"),
        ({"global_shape": np.array([3, 4, 5])}, "dimensions of global_shape"),
        ({"global_shape": np.array([4])}, "2 or 4 words"),
        ({"key": np.zeros(3, np.uint32)}, "2 or 4 words"),
        ({"key": np.zeros(2, np.float32)}, "2 or 4 words"),
        ({"key": np.zeros((1, 2), np.uint32)}, "2 or 4 words"),
        ({"offset": np.zeros(1, np.uint32)}, "one for each dimension"),
        ({"offset": np.zeros(2, np.int32)}, "one for each dimension"),
        ({"dtype": np.int32}, "a type of floats"),
        ({"dtype": np.complex64}, "a type of floats"),
    ],
)
def test_a_wrong_call_is_an_error_of_xla(change, message):
    assert programs.is_registered()
    attributes = {**RIGHT, **change}
    key = attributes.pop("key", np.zeros(2, np.uint32))
    offset = attributes.pop("offset", np.zeros(2, np.uint32))
    result = jax.ShapeDtypeStruct((3, 4), attributes.pop("dtype", np.float32))
    call = jax.ffi.ffi_call(programs.TARGET, result)
    with pytest.raises(RuntimeError, match=f"INVALID_ARGUMENT: pyinit: .*{message}"):
        jax.jit(lambda *operands: call(*operands, **attributes))(key, offset).block_until_ready()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(WORDS, min_size=2, max_size=4).filter(lambda words: len(words) != 3),
    st.sampled_from(GENERATORS),
    st.sampled_from(["float32", *NARROW]),
    st.sampled_from(
        [initializers.normal(0.5, 2.0), initializers.uniform(-0.3, 0.7), initializers.truncated_normal(0.1, 1.3)]
    ),
    st.integers(0, 5),
    st.integers(1, 9),
    st.tuples(st.integers(0, 3), st.integers(0, 4)),
)
def test_a_program_makes_the_stream_of_its_key(words, generator, dtype, scheme, rows, columns, offset):
    words, whole = np.array(words, np.uint32), (rows + offset[0], columns + offset[1])
    made = program(fill_of(scheme, (rows, columns), dtype, generator, whole))(words, np.array(offset, np.uint32))
    expected = np.empty(whole, made.dtype)
    scheme(expected, stream_of(words, generator))
    assert np.asarray(made).tobytes() == expected[offset[0] :, offset[1] :].tobytes()


@pytest.mark.parametrize("ndim", [1, 3, 17, 30])
def test_batches_of_more_keys_than_are_filled_together(ndim):
    keys = jax.random.split(jax.random.key(4), 150)
    shape = (2,) * min(ndim, 3) + (1,) * (ndim - min(ndim, 3))
    fill = fill_of(initializers.uniform(), shape, whole=(3, *shape[1:]))
    made = jax.vmap(lambda key: program(fill)(key_words(key), np.array([1] + [0] * (ndim - 1), np.uint32)))(keys)
    for key, array in zip(keys, np.asarray(made)):
        assert np.array_equal(array, stream_of(np.asarray(key_words(key))).uniform((3, *shape[1:]))[1:])


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_new_key_is_the_root_stream_of_its_seed(impl):
    for seed in (0, 7, 2**31 - 1):
        words = np.asarray(jax.random.key_data(jax.random.key(seed, impl=impl)))
        assert stream_of(words).state == Stream(seed).state


def test_two_keys_never_share_a_stream():
    rng = np.random.default_rng(5)
    words = [*rng.integers(0, 2, (200, 4), np.uint32), *rng.integers(0, 2**32, (200, 4), np.uint32)]
    keys = {tuple(map(int, w)) for w in words}
    assert len({(s.seed, s.id) for s in (stream_of(np.array(key, np.uint32)) for key in keys)}) == len(keys)


def test_words_of_keys():
    assert key_words(jax.random.key(3)).tolist() == [0, 3]
    assert key_words(jax.random.PRNGKey(3)).tolist() == [0, 3]
    assert key_words(np.array([1, 2], np.uint32)).tolist() == [1, 2]
    assert key_words(jax.random.PRNGKey(3, impl="rbg")).tolist() == [0, 3, 0, 3]
    captured = jax.random.key(3)
    assert jax.make_jaxpr(lambda: key_words(captured))().out_avals[0].shape == (2,)


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (3, TypeError, "key must be a PRNG key, such as jax.random.key"),
        (np.zeros(2, np.int32), TypeError, "got an array of int32"),
        (np.zeros(3, np.uint32), TypeError, "shape"),
        (np.uint32(3), TypeError, "shape"),
        (np.zeros((5, 2), np.uint32), ValueError, "use jax.vmap"),
    ],
)
def test_what_is_no_key(key, kind, message):
    with pytest.raises(kind, match=message):
        key_words(key)
    with pytest.raises(ValueError, match=r"use jax\.vmap"):
        key_words(jax.random.split(jax.random.key(0), 3))


def test_the_callback_makes_the_same(monkeypatch):
    """Platforms without the C core use the callback; another scheme keeps the compiled functions apart."""
    monkeypatch.setattr(programs, "is_registered", lambda: False)
    scheme = initializers.normal(0.0, 1.25)
    keys = jax.random.split(jax.random.key(9), 3)
    program.cache_clear()
    made = jax.jit(jax.vmap(lambda key: program(fill_of(scheme, (5, 3)))(key_words(key), np.zeros(2, np.uint32))))
    assert "pyinit_fill" not in made.lower(keys).as_text()
    expected = [stream_of(np.asarray(key_words(key))).normal((5, 3), std=1.25) for key in keys]
    assert np.array_equal(made(keys), expected)
    program.cache_clear()
