"""Code in the style of NumPy, PyTorch, JAX or Keras gets an error that shows pyinit's way, or just works."""

import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys

import numpy as np
import pytest

import pyinit
from pyinit import Stream, hints, initializers
from pyinit.arrays import BFLOAT16, FLOAT8_E5M2, dtype_of


def refused(error, call, *arguments, **keywords):
    """Return the message of the error that a call raises."""
    with pytest.raises(error) as info:
        call(*arguments, **keywords)
    return str(info.value)


@pytest.mark.parametrize("name", ["normal", "uniform", "truncated_normal", "bits"])
@pytest.mark.parametrize("sizes", [(3, 5), (2, 3, 4, 5, 6)])
def test_sizes_one_by_one_are_answered_with_a_shape(name, sizes):
    stream = Stream(0)
    message = refused(TypeError, getattr(stream, name), *sizes)
    assert message.endswith(f"; write stream.{name}({sizes})")
    assert stream.position == 0
    assert eval(message.partition("; write ")[2]).shape == sizes


@pytest.mark.parametrize(
    ("call", "right"),
    [
        ("stream.normal(size=(3, 5))", "stream.normal((3, 5))"),
        ("stream.normal(loc=1.0, scale=2.0, size=3)", "stream.normal(3, mean=1.0, std=2.0)"),
        ("stream.normal(1.0, 2.0, size=3)", "stream.normal(3, mean=1.0, std=2.0)"),
        ("stream.normal(1.0, 2.0, (3, 5))", "stream.normal((3, 5), mean=1.0, std=2.0)"),
        ("stream.normal((3, 5), np.float64, scale=2.0)", "stream.normal((3, 5), float64, std=2.0)"),
        ("stream.normal(0, 1, 5)", "stream.normal((0, 1, 5)) or stream.normal(5, mean=0, std=1)"),
        ("stream.uniform(-1, 1, size=[2, 3])", "stream.uniform([2, 3], low=-1, high=1)"),
        ("stream.uniform(5, a=-1.0, b=1.0)", "stream.uniform(5, low=-1.0, high=1.0)"),
        ("stream.truncated_normal(5, stddev=0.02)", "stream.truncated_normal(5, std=0.02)"),
        ("stream.bits(size=5)", "stream.bits(5)"),
        ("initializers.normal(stddev=0.02)", "normal(std=0.02)"),
        ("pyinit.distributions.normal(loc=1.0, scale=0.02)", "normal(mean=1.0, std=0.02)"),
        ("pyinit.distributions.uniform(a=-1.0, b=1.0)", "uniform(low=-1.0, high=1.0)"),
        ("initializers.uniform(minval=-1.0, maxval=1.0)", "uniform(low=-1.0, high=1.0)"),
        ("initializers.scheme('truncated_normal(loc=0.1)')", "truncated_normal(mean=0.1)"),
    ],
)
def test_a_call_with_the_names_or_the_order_of_others_is_answered_with_the_right_one(call, right):
    stream = Stream(0)
    message = refused(TypeError, lambda: eval(call, {**globals(), "stream": stream}))
    assert message.endswith(f"; write {right}")
    assert stream.position == 0
    if right.startswith("stream") and "float64" not in right:
        for text in right.split(" or "):
            eval(text, {"stream": stream})


@pytest.mark.parametrize(
    "call",
    [
        "stream.normal()",
        "stream.normal(3, 0.02)",
        "stream.normal(3, -5)",
        "stream.normal(3, 'nope')",
        "stream.normal('3')",
        "stream.normal(3, std='1')",
        "stream.normal(3, colour=1)",
        "stream.truncated_normal(3, a=-1)",
        "stream.bits(3, seed=1)",
        "initializers.normal('0')",
    ],
)
def test_a_call_that_is_wrong_otherwise_is_not_guessed_at(call):
    assert "write" not in refused(TypeError, lambda: eval(call, {**globals(), "stream": Stream(0)}))


@pytest.mark.parametrize(
    "function",
    [
        Stream.normal,
        initializers.normal,
        *(getattr(pyinit.distributions, name) for name in pyinit.distributions.__all__),
    ],
)
def test_a_wrapped_function_is_pickled(function):
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_wrapped_function_shows_its_own_signature_and_docstring():
    assert list(inspect.signature(Stream.normal).parameters)[:5] == ["self", "shape", "dtype", "mean", "std"]
    assert Stream.normal.__doc__.startswith("A new array, filled by")


@pytest.mark.parametrize("name", hints.METHODS)
def test_a_name_of_others_is_answered_with_the_streams_own(name):
    message = refused(AttributeError, getattr, Stream(0), name)
    assert message.startswith(f"'Stream' object has no attribute '{name}'; write stream.")
    right = message.partition("; write stream.")[2].partition("(")[0]
    assert callable(getattr(Stream, right))
    assert refused(AttributeError, getattr, pyinit, name).endswith(f"; write pyinit.Stream(seed).{hints.METHODS[name]}")
    assert name not in dir(Stream(0))
    assert name not in dir(pyinit)


def test_other_distributions_of_numpy_lead_to_its_generator():
    message = refused(AttributeError, lambda: Stream(0).gamma)
    assert message.endswith("; write pyinit.default_rng(stream.child('gamma')).gamma(...)")
    right = message.partition("; write ")[2].replace("...", "2.0")
    assert eval(right, {"pyinit": pyinit, "stream": Stream(0)}) > 0
    assert refused(AttributeError, lambda: pyinit.fill_normal).endswith("; write pyinit.Stream(seed).fill_normal(...)")


def test_all_that_numpys_generators_draw_is_known():
    drawn = {name for name in dir(np.random.Generator) if name[0] != "_"} - {"bit_generator"}
    assert drawn <= {*hints.METHODS, *hints.OF_NUMPY, *dir(Stream)}


def test_a_class_lists_none_of_these_names_and_a_subclass_may_have_them():
    class Mine(Stream):
        randn = Stream.normal

    class Ours(Mine):
        pass

    assert not {*hints.METHODS, *hints.OF_NUMPY} & {*dir(Stream), *dir(Stream(0))}
    assert "randn" not in pydoc.render_doc(Stream)
    assert np.array_equal(Ours(1).randn(3), Stream(1).normal(3))
    assert refused(AttributeError, lambda: Ours.rand).startswith("'Ours' object has no attribute 'rand'; write")


@pytest.mark.parametrize("name", ["nope", "__array_interface__", "dtype"])
def test_what_nobody_has_is_a_plain_attribute_error(name):
    assert refused(AttributeError, getattr, Stream(0), name) == f"'Stream' object has no attribute '{name}'"
    assert not hasattr(Stream(0), name)


@pytest.mark.parametrize("out", [(3, 5), 3])
def test_a_shape_is_no_array_to_fill(out):
    for fill in (Stream(0).fill_normal, Stream(0).fill_bits, lambda out: initializers.zeros()(out, None)):
        assert "; stream.normal(shape) and its like make a new array" in refused(TypeError, fill, out)


def test_nested_dicts_are_explained():
    params = {"params": {"kernel": np.zeros(3, np.float32)}}
    message = refused(TypeError, lambda: pyinit.initialize(params, 0, {"*": "zeros"}))
    assert message.startswith("'params': ")
    assert "a name of its own" in message
    assert "pyinit.adapters.jax.initialize" in message


def test_a_meta_tensor_is_told_how_it_gets_memory():
    torch = pytest.importorskip("torch")
    out = torch.empty(3, 5, device="meta")
    calls = (
        lambda: Stream(0).fill_normal(out),
        lambda: initializers.orthogonal()(out, Stream(0)),
        lambda: pyinit.initialize({"w": out}, 0, {"*": "normal"}),
    )
    for call in calls:
        message = refused(TypeError, call)
        assert "to_empty" in message
        assert "materialize" in message
        assert "cpu()" not in message


def test_a_scheme_that_flax_calls_says_what_flax_takes():
    """The call is like Flax's, with a key, a shape and a dtype; if Flax is installed, its own modules call."""
    scheme = initializers.lecun_normal(layout="in_out")
    for arguments in ((object(), (3, 4), np.float32), (object(), (3, 4))):
        assert "pyinit.adapters.jax.initializers" in refused(TypeError, scheme, *arguments)
    assert "adapters" not in refused(TypeError, scheme, np.zeros((3, 4), np.float32), 42)
    linen, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    dense = linen.Dense(3, kernel_init=scheme)
    message = refused(TypeError, dense.init, jax.random.key(0), jax.numpy.ones((2, 3)))
    assert "pyinit.adapters.jax.initializers" in message


def test_a_scheme_that_keras_calls_says_what_keras_takes():
    """The call is like Keras's: with a shape, and the dtype by name."""
    scheme = initializers.he_normal(layout="in_out")
    message = refused(TypeError, scheme, (3, 4), dtype="float32")
    assert f"pyinit.adapters.keras.FromScheme({scheme!r})" in message


def test_dtypes_of_torch_and_their_names():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64, torch.float16):
        name = str(dtype)
        want = Stream(0).normal(5, name.removeprefix("torch."))
        for given in (dtype, name):
            assert np.array_equal(Stream(0).normal(5, given), want)
            assert Stream(0).uniform(5, given).dtype == want.dtype == dtype_of(given)
    for dtype, record in ((torch.bfloat16, BFLOAT16), (torch.float8_e5m2, FLOAT8_E5M2)):
        assert Stream(0).truncated_normal(5, dtype).dtype == record
    for dtype in (torch.int32, "torch.float", "torch.int32"):  # "float" is float64 to NumPy and float32 to torch
        assert "dtype must be one of NumPy, ml_dtypes or torch" in refused(TypeError, Stream(0).normal, 5, dtype)


def test_dtypes_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        kind = getattr(ml_dtypes, name)
        made, record = Stream(0).normal(5, kind), Stream(0).normal(5, name)
        assert made.dtype == kind
        assert made.tobytes() == record.tobytes()


def test_torch_is_not_imported_for_the_names_of_its_dtypes():
    code = "import sys, pyinit; pyinit.Stream(0).normal(5, 'torch.bfloat16'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_torch_adapter_takes_all_dtypes_and_explains_size():
    torch = pytest.importorskip("torch")
    from pyinit.adapters import torch as pt

    for given in ("bfloat16", "torch.bfloat16", BFLOAT16):
        assert torch.equal(pt.randn(3, seed=0, dtype=given), pt.randn(3, seed=0, dtype=torch.bfloat16))
    assert pt.rand(3, seed=0, dtype=np.float64).dtype == torch.float64
    assert pt.randn(3, seed=0, dtype=np.complex64).dtype == torch.complex64
    assert refused(TypeError, pt.randn, size=(3, 5), seed=0).endswith("; write randn((3, 5), seed=0)")
    assert "write" not in refused(TypeError, pt.randn, 3, 5)


def test_the_jax_adapter_takes_all_dtypes_and_explains_sizes():
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    from pyinit.adapters import jax as pj

    key = jax.random.key(0)
    for given in (torch.bfloat16, "torch.bfloat16", BFLOAT16, "bfloat16"):
        assert pj.normal(key, 3, given).dtype == jax.numpy.bfloat16
    assert refused(TypeError, pj.normal, key, 3, 5).endswith("; write normal(key, (3, 5))")
    assert refused(TypeError, pj.uniform, key, size=3).endswith("; write uniform(key, 3)")


def test_default_rng_is_numpys_generator_on_the_streams_words():
    stream = Stream(7).skip_ahead(8)
    rng = pyinit.default_rng(stream)
    assert isinstance(rng, np.random.Generator)
    assert isinstance(rng.bit_generator, pyinit.BitGenerator)
    assert stream.position == 8
    assert np.array_equal(rng.random(5, np.float32), stream.uniform(5))
    assert pyinit.default_rng(7).bit_generator.stream == Stream(7)
    assert not np.array_equal(pyinit.default_rng(7).standard_normal(4, np.float32), Stream(7).normal(4))
    for text in (pyinit.BitGenerator.__doc__, Stream.fill_normal.__doc__):
        assert "other" in text or "not the numbers" in text
    assert "standard_normal" in pyinit.BitGenerator.__doc__
    assert "standard_normal" in Stream.fill_normal.__doc__


STARTS = (
    "pyinit",
    "pyinit.cuda",
    "pyinit.opencl",
    *(f"pyinit.adapters.{a}" for a in ("dask", "jax", "keras", "torch")),
)


@pytest.mark.parametrize("start", STARTS)
def test_dir_shows_what_is_public(start):
    """For a package, and the modules that it shows."""
    modules = [imported(start)]
    for module in modules:
        later = pyinit.MODULES if module is pyinit else ()
        assert sorted(dir(module)) == sorted({*module.__all__, *later})
        found = [getattr(module, name) for name in dir(module)]
        modules += [value for value in found if isinstance(value, type(pyinit)) and value not in modules]
    assert not {"Any", "FUNCTIONS", "MODULES", "TYPE_CHECKING", "annotations", "np"} & {
        name for module in modules for name in dir(module)
    }


def imported(name):
    if name.startswith("pyinit.adapters."):
        pytest.importorskip("dask.array" if name.endswith("dask") else name.rpartition(".")[2])
    return importlib.import_module(name)
