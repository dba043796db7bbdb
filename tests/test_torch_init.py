"""pyinit's versions of the functions of `torch.nn.init`: names, dtypes, layouts and autograd."""

import inspect
import math

import numpy as np
import pytest

from pyinit import Stream

torch = pytest.importorskip("torch")

from torch_init_cases import NARROW, RANDOM, SHAPE, each_dtype, fill, numbers_between, same, theirs  # noqa: E402

from pyinit.adapters.torch import deferred, fast_init, init, materialize  # noqa: E402

# The names in torch.nn.init.__all__, which older versions lack.
NAMES = sorted(
    n
    for n, f in vars(theirs).items()
    if callable(f) and n.islower() and f.__module__ == "torch.nn.init" and n[0] != "_"
)
# The bounds of the samples of shape `SHAPE`, if they are bounded, and whether the upper bound is included.
BOUNDS = {
    "uniform_": (-0.3, 0.7, False),
    "trunc_normal_": (-0.75, 1.0, True),
    "xavier_uniform_": (-1.3 * math.sqrt(6 / 50), 1.3 * math.sqrt(6 / 50), False),
    "kaiming_uniform_": (-math.sqrt(6 / 1.09 / 30), math.sqrt(6 / 1.09 / 30), False),
}
CONSTANT = {"constant_": {"val": 0.3}, "ones_": {}, "zeros_": {}, "eye_": {}}
each_random = pytest.mark.parametrize("name", RANDOM)


@pytest.mark.parametrize("name", NAMES)
def test_names_parameters_and_defaults_are_torchs(name):
    modern = f"{name}_" if f"{name}_" in NAMES else name  # a deprecated alias has no useful signature
    expected = inspect.signature(getattr(theirs, modern)).parameters.values()
    parameters = inspect.signature(getattr(init, name)).parameters
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.default) for p in positional] == [(p.name, p.default) for p in expected]
    assert "stream" in parameters or modern == "calculate_gain"
    assert ("generator" in [p.name for p in expected]) == (modern in RANDOM)


@pytest.mark.parametrize("name", [name for name in NAMES if f"{name}_" in NAMES])
def test_the_names_without_an_underscore_are_deprecated(name):
    options = RANDOM.get(f"{name}_", (CONSTANT.get(f"{name}_", {}),))[0]
    shape = (4, 2, 3) if name == "dirac" else SHAPE
    streams = ({"stream": Stream(3)}, {"stream": Stream(3)}) if f"{name}_" in RANDOM else ({}, {})
    with pytest.warns(FutureWarning, match=f"{name} is deprecated .*; use {name}_"):
        old = getattr(init, name)(torch.empty(shape), **options, **streams[0])
    assert getattr(init, name).__name__ == name
    assert same(old, getattr(init, f"{name}_")(torch.empty(shape), **options, **streams[1]))


@each_dtype
@each_random
def test_the_values_are_those_of_pyinits_initializers(name, dtype):
    stream, other = Stream(5, position=2), Stream(5, position=2)
    w = torch.empty(SHAPE, dtype=dtype)
    assert fill(name, w, stream) is w
    assert same(w, RANDOM[name][1](torch.empty(SHAPE, dtype=dtype), other))
    assert stream == other
    assert stream.position > 2


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@each_random
def test_narrow_dtypes_have_the_values_of_float32_rounded(name, dtype):
    w, wide = (fill(name, torch.empty(SHAPE, dtype=d), Stream(5)) for d in (dtype, torch.float32))
    expected = wide.to(dtype).double()
    if name in BOUNDS:
        low, high, closed = BOUNDS[name]
        expected = expected.clamp(*numbers_between(low, high if closed else np.nextafter(high, low), dtype))
    assert torch.equal(w.double(), expected)
    assert len(w.double().unique()) > 10


@each_random
def test_strides_do_not_matter(name):
    plain = fill(name, torch.empty(SHAPE), Stream(5))
    big = torch.full((2, 20, 64), 9.0)
    view = big[1, :, 2:62:2].T
    assert fill(name, view, Stream(5)) is view
    assert torch.equal(view, plain)
    assert (big == 9).sum() == big.numel() - plain.numel()


@pytest.mark.parametrize("name", [name for name in RANDOM if name != "sparse_"])
def test_channels_last(name):
    w = fill(name, torch.empty(6, 4, 3, 5).to(memory_format=torch.channels_last), Stream(5))
    assert w.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(w, fill(name, torch.empty(6, 4, 3, 5), Stream(5)))


@pytest.mark.parametrize("name", [*RANDOM, *CONSTANT])
def test_autograd_hears_of_it(name):
    function = getattr(init, name)
    options = CONSTANT[name] if name in CONSTANT else {**RANDOM[name][0], "stream": Stream(1)}
    w = torch.nn.Parameter(torch.ones(SHAPE))
    loss = (w * w).sum()
    assert function(w, **options) is w
    assert (w.requires_grad, w.is_leaf, w.grad_fn, w.grad) == (True, True, None, None)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    (w * w).sum().backward()
    assert torch.equal(w.grad, 2 * w)
    gradient = w.grad.clone()
    function(w, **options)
    assert torch.equal(w.grad, gradient)


@pytest.mark.parametrize("name", [*RANDOM, *CONSTANT])
def test_a_tensor_on_the_meta_device_is_left_alone(name):
    w, stream = torch.empty(SHAPE, device="meta"), Stream(0)
    state = torch.get_rng_state()
    for options in ({}, {"stream": stream}) if name in RANDOM else ({},):
        assert getattr(init, name)(w, **(RANDOM[name][0] if name in RANDOM else CONSTANT[name]), **options) is w
    assert w.is_meta
    assert stream.position == 0
    assert torch.equal(torch.get_rng_state(), state)


@each_random
def test_wrong_types_write_nothing(name):
    w, stream = torch.full(SHAPE, 9.0), Stream(0)
    state = torch.get_rng_state()
    for error, options in (
        ("stream=pyinit.Stream", {"generator": torch.Generator()}),
        ("stream=pyinit.Stream", {"generator": torch.Generator(), "stream": stream}),
        ("stream must be a pyinit.Stream; got int", {"stream": 0}),
        ("stream must be a pyinit.Stream; got Generator", {"stream": np.random.default_rng(0)}),
    ):
        with pytest.raises(TypeError, match=error):
            fill(name, w, **{"stream": None, **options})
    for wrong in (w.numpy(), None, [1.0]):
        with pytest.raises(TypeError, match="tensor must be a torch"):
            fill(name, wrong, stream)
    for dtype in (torch.int32, torch.complex64, torch.bool):
        with pytest.raises(TypeError, match=str(dtype).removeprefix("torch.")):
            fill(name, torch.empty(SHAPE, dtype=dtype), stream)
        with pytest.raises(TypeError, match=str(dtype).removeprefix("torch.")):
            fill(name, torch.empty(SHAPE, dtype=dtype))
    assert (w == 9).all()
    assert stream.position == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {"a": 1.0, "b": 0.0}),
        ("normal_", {"std": -1.0}),
        ("normal_", {"mean": math.nan}),
        ("trunc_normal_", {"std": -1.0}),
        ("trunc_normal_", {"std": math.inf}),
        ("trunc_normal_", {"a": 1.0, "b": 1.0}),
        ("trunc_normal_", {"a": 2.0, "b": -2.0}),
        ("trunc_normal_", {"a": math.nan}),
        ("trunc_normal_", {"a": 40.0, "b": 50.0}),
        ("kaiming_normal_", {"mode": "fan"}),
        ("kaiming_normal_", {"nonlinearity": "none"}),
        ("xavier_normal_", {"gain": math.inf}),
        ("orthogonal_", {"gain": math.nan}),
        ("sparse_", {"sparsity": 1.5}),
    ],
)
def test_wrong_numbers_write_nothing(name, options):
    w, stream = torch.full(SHAPE, 9.0), Stream(0)
    with pytest.raises(ValueError, match=r"must|needs"):
        getattr(init, name)(w, **options, stream=stream)
    assert (w == 9).all()
    assert stream.position == 0


@each_random
def test_without_a_stream_torchs_generator_decides(name):
    def draw(seed):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        values = [fill(name, torch.empty(SHAPE)) for _ in range(2)]
        assert not torch.equal(torch.get_rng_state(), before)
        return values

    with torch.random.fork_rng():
        first, second = draw(7)
        assert not torch.equal(first, second)
        assert all(map(torch.equal, draw(7), (first, second)))
        assert not torch.equal(draw(8)[0], first)
        with torch.device("meta"):  # no number could be drawn there
            torch.manual_seed(7)
            assert torch.equal(fill(name, torch.empty(SHAPE, device="cpu")), first)


@pytest.mark.parametrize("name", [*RANDOM, *CONSTANT])
def test_in_a_model_that_is_recorded(name):
    options = RANDOM[name][0] if name in RANDOM else CONSTANT[name]

    class Layer(torch.nn.Linear):
        def reset_parameters(self):
            getattr(init, name)(self.weight, **options)
            init.zeros_(self.bias)

    with fast_init(seed=4):
        fast = Layer(20, 30)
    with deferred() as recipes:
        later = Layer(20, 30)
    materialize(later, recipes, seed=4)
    assert same(fast.weight, later.weight)
    expected = torch.empty(SHAPE)
    if name in RANDOM:
        RANDOM[name][1](expected, Stream(4).child("weight"))
    else:
        getattr(init, name)(expected, **options)
    assert same(fast.weight, expected)


def test_a_stream_decides_in_a_model_that_is_recorded_too():
    streams = Stream(9), Stream(9)
    with fast_init(seed=4):
        fast = init.normal_(torch.nn.Linear(20, 30).weight, stream=streams[0])
    with deferred() as recipes:
        later = torch.nn.Linear(20, 30)
        init.normal_(later.weight, stream=streams[1])
    materialize(later, recipes, seed=4)
    expected = init.normal_(torch.empty(SHAPE), stream=Stream(9))
    assert same(fast, expected)
    assert same(later.weight, expected)
    assert streams[0].position == streams[1].position == 600


def test_constants_of_integers_can_be_recorded():
    with fast_init(seed=4):
        count = init.ones_(torch.empty(3, dtype=torch.int64))
    assert count.tolist() == [1, 1, 1]
