"""pyinit's versions of the functions of `torch.nn.init`: names, distributions, dtypes, layouts and autograd."""

import inspect
import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyinit import Stream, initializers

torch = pytest.importorskip("torch")

from pyinit.adapters.torch import deferred, fast_init, init, materialize  # noqa: E402

theirs = torch.nn.init
# The names in torch.nn.init.__all__, which older versions lack.
NAMES = sorted(
    n
    for n, f in vars(theirs).items()
    if callable(f) and n.islower() and f.__module__ == "torch.nn.init" and n[0] != "_"
)
NARROW = (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)
DTYPES = (torch.float32, torch.float64, *NARROW)
ALPHA = 1e-4  # the seeds are fixed, so a test that passes once always passes
SHAPE = (30, 20)

# Arguments of the random functions, and the equivalent scheme. Those of the truncated normal are exact in float32.
RANDOM = {
    "uniform_": ({"a": -0.3, "b": 0.7}, initializers.uniform(-0.3, 0.7)),
    "normal_": ({"mean": 0.3, "std": 1.7}, initializers.normal(0.3, 1.7)),
    "trunc_normal_": (
        {"mean": 0.25, "std": 0.5, "a": -0.75, "b": 1.0},
        initializers.truncated_normal(0.25, 0.5, -2.0, 1.5),
    ),
    "xavier_uniform_": ({"gain": 1.3}, initializers.xavier_uniform(1.3)),
    "xavier_normal_": ({"gain": 1.3}, initializers.xavier_normal(1.3)),
    "kaiming_uniform_": ({"a": 0.3, "mode": "fan_out"}, initializers.kaiming_uniform(0.3, "fan_out")),
    "kaiming_normal_": ({"nonlinearity": "tanh"}, initializers.kaiming_normal(nonlinearity="tanh")),
    "orthogonal_": ({"gain": 1.3}, initializers.orthogonal(1.3)),
    "sparse_": ({"sparsity": 0.3, "std": 0.7}, initializers.sparse(0.3, 0.7)),
}
# The bounds of the samples of shape `SHAPE`, if they are bounded, and whether the upper bound is included.
BOUNDS = {
    "uniform_": (-0.3, 0.7, False),
    "trunc_normal_": (-0.75, 1.0, True),
    "xavier_uniform_": (-1.3 * math.sqrt(6 / 50), 1.3 * math.sqrt(6 / 50), False),
    "kaiming_uniform_": (-math.sqrt(6 / 1.09 / 30), math.sqrt(6 / 1.09 / 30), False),
}
CONSTANT = {"constant_": {"val": 0.3}, "ones_": {}, "zeros_": {}, "eye_": {}}
each_random = pytest.mark.parametrize("name", RANDOM)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def fill(name, tensor, stream=None, **options):
    return getattr(init, name)(tensor, **RANDOM[name][0], stream=stream, **options)


def same(a, b):
    """Whether two tensors have the same bits."""
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.itemsize]
    a, b = (x.detach().contiguous().view(integers) for x in (a, b))
    return torch.equal(a, b)


def p_value(tensor, law):
    return scipy.stats.kstest(tensor.detach().double().flatten().numpy(), law.cdf).pvalue


def truncated(mean, std, a, b):
    return scipy.stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)


def numbers_between(low, high, dtype):
    """Return the least and the largest number of a dtype in [low, high]; None if there is none."""
    if dtype == torch.float64:
        return low, high
    if dtype == torch.float32:
        x = np.float32([low, high])
        x = np.where([x[0] < low, x[1] > high], np.nextafter(x, np.float32([np.inf, -np.inf])), x).astype(float)
        return tuple(x) if x[0] <= x[1] else None
    bits = torch.arange(256 if dtype.itemsize == 1 else 65536)
    x = bits.to(torch.uint8 if dtype.itemsize == 1 else torch.int16).view(dtype).double()
    x = x[(x >= low) & (x <= high)]
    return (x.min().item(), x.max().item()) if len(x) else None


# The interface.


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


# Distributions: PyTorch's tests of its own functions.


def random_shape(rng, rank):
    return [rng.randint(5, 9) if rank > 3 else rng.randint(14, 18) if rank == 3 else rng.randint(50, 70)] * rank


def random_case(name, rng, rank):
    """Return random arguments and the law that they imply; a factor other than 1 gives a wrong law."""
    shape = random_shape(rng, rank)
    fan_in, fan_out = (math.prod(shape[1:]), math.prod(shape) // shape[1]) if rank > 1 else (0, 0)
    mean, std, gain, slope = rng.uniform(-3, 3), rng.uniform(0.1, 5), rng.uniform(0.1, 3), rng.uniform(0.1, 3)
    mode = rng.choice(["fan_in", "FAN_OUT"])
    if name == "uniform_":
        return shape, {"a": mean, "b": mean + std}, lambda k=1: scipy.stats.uniform(mean, k * std)
    if name == "normal_":
        return shape, {"mean": mean, "std": std}, lambda k=1: scipy.stats.norm(mean, k * std)
    if name == "trunc_normal_":
        a, b = mean - std * rng.uniform(0.5, 3), mean + std * rng.uniform(0.6, 3)
        return shape, {"mean": mean, "std": std, "a": a, "b": b}, lambda k=1: truncated(mean + (k - 1) * std, std, a, b)
    if name.startswith("xavier"):
        options, std = {"gain": gain}, gain * math.sqrt(2 / (fan_in + fan_out))
    else:
        fan = fan_in if mode == "fan_in" else fan_out
        options, std = {"a": slope, "mode": mode}, math.sqrt(2 / (1 + slope**2) / fan)
    if name.endswith("uniform_"):
        return shape, options, lambda k=1: scipy.stats.uniform(-k * std * 3**0.5, 2 * k * std * 3**0.5)
    return shape, options, lambda k=1: scipy.stats.norm(0, k * std)


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", [name for name in RANDOM if name not in ("orthogonal_", "sparse_")])
def test_samples_have_the_law_that_was_asked_for(name, rank):
    if rank == 1 and ("xavier" in name or "kaiming" in name):
        with pytest.raises(ValueError, match="fans need an array of at least 2 dimensions"):
            getattr(init, name)(torch.empty(5))
        return
    rng = random.Random(f"{name} {rank}")
    for _ in range(3):
        shape, options, law = random_case(name, rng, rank)
        w = getattr(init, name)(torch.empty(shape), **options, stream=Stream(rng.getrandbits(32)))
        assert p_value(w, law()) > ALPHA
        if w.numel() > 2000:
            assert p_value(w, law(2)) < ALPHA


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.int32, torch.bool], ids=str)
def test_constants_and_ones_and_zeros(dtype, rank):
    shape = tuple(range(2, 2 + rank))
    value = 1 if dtype in (torch.int32, torch.bool) else -1.7
    for function, options, expected in (("constant_", (value,), value), ("ones_", (), 1), ("zeros_", (), 0)):
        w = torch.full(shape, 9.0).to(dtype)
        assert getattr(init, function)(w, *options) is w
        assert torch.equal(w.double(), torch.full(shape, float(expected), dtype=torch.float64).to(dtype).double())


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 7), (7, 3)])
@each_dtype
def test_eye(shape, dtype):
    assert torch.equal(init.eye_(torch.full(shape, 9.0).to(dtype)).double(), torch.eye(*shape).double())


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_dirac_passes_as_many_channels_as_there_are(rank, groups):
    convolve = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}[rank]
    for outs, ins in ((1, 4), (4, 1), (3, 3)):  # the channels of one group
        w = init.dirac_(torch.full((groups * outs, ins, *[3, 5, 3][: rank - 2]), 9.0), groups)
        passed = min(outs, ins)
        assert sorted(set(w.flatten().tolist())) == [0, 1]
        assert w.sum() == groups * passed
        x = torch.randn(2, groups * ins, *[6] * (rank - 2), generator=torch.Generator().manual_seed(0))
        y = convolve(x, w, padding=tuple(n // 2 for n in w.shape[2:]), groups=groups)
        x, y = (t.unflatten(1, (groups, -1)) for t in (x, y))
        assert torch.equal(y[:, :, :passed], x[:, :, :passed])
        assert not y[:, :, passed:].any()


@pytest.mark.parametrize("sparsity", [0.0, 0.05, 0.31, 1.0])
def test_sparse(sparsity):
    w = init.sparse_(torch.empty(130, 60), sparsity, stream=Stream(8))
    assert set((w == 0).sum(0).tolist()) == {math.ceil(sparsity * 130)}
    if sparsity < 1:
        assert p_value(w[w != 0], scipy.stats.norm(0, 0.01)) > ALPHA
        assert p_value(w[w != 0], scipy.stats.norm(0, 0.02)) < ALPHA


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (40, 40), (20, 3, 3), (3, 20, 5), (7, 2, 3, 2), (1, 5), (5, 1)])
def test_orthogonal(shape):
    rng = random.Random(str(shape))
    for gain in (1, rng.uniform(0.1, 3)):
        m = init.orthogonal_(torch.empty(shape), gain, stream=Stream(rng.getrandbits(32))).flatten(1)
        gram = m @ m.T if m.shape[0] < m.shape[1] else m.T @ m
        torch.testing.assert_close(gram, gain**2 * torch.eye(len(gram)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        *((name, [(), (3,)]) for name in RANDOM if name.startswith(("xavier", "kaiming", "orthogonal"))),
        ("sparse_", [(), (3,), (2, 3, 4)]),
        ("eye_", [(), (3,), (2, 3, 4)]),
        ("dirac_", [(), (3,), (2, 3), (1,) * 6]),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_shape_that_does_not_suit_is_an_error(name, shapes, device):
    options = RANDOM.get(name, ({},))[0]
    for shape in shapes:
        w = torch.full(shape, 9.0, device=device)
        with pytest.raises(ValueError, match="need"):
            getattr(init, name)(w, **options)
        assert device == "meta" or (w == 9).all()


def test_the_groups_of_dirac_divide_the_outputs():
    w = torch.full((4, 2, 3), 9.0)
    with pytest.raises(ValueError, match="groups must divide out"):
        init.dirac_(w, 3)
    assert (w == 9).all()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_kaiming_warns_that_there_is_nothing_to_fill(name, shape):
    w, stream = torch.empty(shape), Stream(0)
    with pytest.warns(UserWarning, match="zero-element") as record:
        assert fill(name, w, stream) is w
    assert record[0].filename.endswith("test_torch_init.py")
    assert stream.position == 0
    with pytest.raises(TypeError, match="stream="):
        fill(name, w, generator=torch.Generator())


@pytest.mark.parametrize("name", [name for name in RANDOM if "kaiming" not in name])
def test_others_fill_nothing_without_a_word(name):
    stream = Stream(0)
    assert fill(name, torch.empty(0, 3), stream).shape == (0, 3)
    assert stream.position == 0


# Dtypes, memory and graphs.


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
        with torch.device("meta"):  # where no number could be drawn
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


# Truncated normals.

NUMBER = st.floats(-10, 10)


@settings(max_examples=300, deadline=None)
@given(
    mean=st.one_of(NUMBER, st.floats(-1e6, 1e6)),
    scale=st.floats(-12, 4),
    z=st.floats(-34, 34),
    width=st.floats(-12, 2),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**64 - 1),
)
def test_no_sample_is_beyond_the_bounds(mean, scale, z, width, dtype, seed):
    mean = math.remainder(mean, 100) if dtype in NARROW else mean
    std = 2.0**scale
    std *= 1 - 0.3 * abs(math.sin(seed))  # a number with all its bits in use
    a = mean + z * std
    b = max(a + std * 10.0**width, math.nextafter(a, math.inf))
    assume(abs(a - mean) < 34.5 * std or a < mean < b)  # where no rounding leads too far out
    assume(dtype == torch.float64 or abs(float(np.float32(mean)) - mean) < 0.4 * std)
    assert_between(init.trunc_normal_(torch.empty(300, dtype=dtype), mean, std, a, b, stream=Stream(seed)), a, b)


def assert_between(w, a, b):
    if between := numbers_between(a, b, w.dtype):
        assert between[0] <= w.double().min().item()
        assert w.double().max().item() <= between[1]
    else:  # the dtype has no number in the interval
        assert len(w.double().unique()) == 1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bounds_hold_that_float32_or_the_rounding_of_a_bound_would_break(dtype):
    """0.1 and 0.7 are larger in float32. Both ends of each interval are drawn if the dtype has them."""
    for mean, std, a, b in (
        (0.1, 0.1, 0.1, 0.1 + 3e-8),
        (0.7, 0.1, 0.7 - 1e-7, 0.7),
        (0.1, 3.0, math.nextafter(0.1, 0), 0.1),
        (300.1, 1e-5, 300.1, 300.1 + 1e-4),
        (-0.3, 0.01, -0.5, -0.45),
    ):
        assert_between(init.trunc_normal_(torch.empty(2000, dtype=dtype), mean, std, a, b, stream=Stream(1)), a, b)


def test_bounds_hold_between_a_few_numbers_of_float64():
    """If a bound in units of std is rounded, mean + z std may exceed the bound by one ulp."""
    rng = random.Random(64)
    for _ in range(500):
        mean, std = rng.uniform(-10, 10), 10 ** rng.uniform(-3, 3)
        a = b = mean + rng.uniform(-3, 3) * std
        for _ in range(rng.randint(1, 4)):
            b = math.nextafter(b, math.inf)
        assert_between(
            init.trunc_normal_(torch.empty(20, dtype=torch.float64), mean, std, a, b, stream=Stream(1)), a, b
        )


@pytest.mark.parametrize(("z", "width"), [(4.0, math.inf), (-9.0, 1.0), (20.0, 0.5), (34.0, math.inf)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_far_tails(z, width, dtype):
    mean, std = 0.3, 0.7
    a, b = mean + z * std, mean + (z + width) * std
    w = init.trunc_normal_(torch.empty(20_000, dtype=dtype), mean, std, a, b, stream=Stream(2))
    assert_between(w, a, b)
    # Far from the mean float32 has few numbers, so compare the logarithm with the law of the tail.
    x = (w.double() - mean) / std
    lower, upper = (z, z + width) if z > 0 else (-z - width, -z)
    tails = scipy.stats.norm.logsf(x.abs().numpy())
    whole = np.exp(scipy.stats.norm.logsf(upper) - scipy.stats.norm.logsf(lower))
    u = (1 - np.exp(tails - scipy.stats.norm.logsf(lower))) / (1 - whole)
    assert scipy.stats.kstest(u, "uniform").pvalue > ALPHA


@each_dtype
def test_without_a_spread_all_are_the_mean_or_the_bound_next_to_it(dtype):
    for mean, expected in ((0.5, 0.5), (-3.0, -1.0), (3.0, 2.0)):
        for std in (0.0, 1e-60):
            if (dtype, std) != (torch.float64, 1e-60):
                w = init.trunc_normal_(torch.empty(5, dtype=dtype), mean, std, -1.0, 2.0, stream=Stream(0))
                assert (w.double() == expected).all()


# Issues reported to PyTorch and other projects.


def check_small_std(w, std):
    """Raise if the samples are not normal, or some are outliers at the bounds a = -2 and b = 2."""
    x = w.double()
    assert x.abs().max() < 7 * std
    assert not (x.abs() == 2).any()
    assert abs(x.mean()) < 5 * std / math.sqrt(x.numel())
    assert abs(x.std() / std - 1) < 5 / math.sqrt(2 * x.numel())
    assert p_value(w, truncated(0, std, -2, 2)) > ALPHA


def small_std(std, dtype, shape=(100, 1000)):
    return init.trunc_normal_(torch.empty(shape, dtype=dtype), std=std, a=-2, b=2, stream=Stream(155588))


@pytest.mark.parametrize("std", [0.001, 0.002, 0.005, 0.01, 0.02])
def test_pytorch_155588_a_small_std_has_no_outliers(std):
    w = small_std(std, torch.float32)
    check_small_std(w, std)
    for position, outlier in ((7, 2.0), (8, -2.0), (slice(0, 500), 3 * std)):
        wrong = w.clone()
        wrong.view(-1)[position] = outlier
        with pytest.raises(AssertionError):
            check_small_std(wrong, std)
    with pytest.raises(AssertionError):
        check_small_std(w, 1.05 * std)


@pytest.mark.parametrize("std", [0.001, 0.002, 0.005, 0.01, 0.02])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_pytorch_145498_nor_has_it_in_bfloat16_and_float16(std, dtype):
    check_small_std(small_std(std, dtype), std)


@pytest.mark.parametrize("std", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_pytorch_145498_and_none_pile_up_on_bounds_that_cut(std, dtype):
    """Samples within 2^-8 of a bound of 2 are rounded to it in bfloat16, within 2^-11 in float16."""
    w = small_std(std, dtype)
    law, unit = truncated(0, std, -2, 2), 2.0**-8 if dtype == torch.bfloat16 else 2.0**-11
    for end in (-2, 2):
        count, p = int((w == end).sum()), law.cdf(-2 + unit)
        assert scipy.stats.binomtest(count, w.numel(), p).pvalue > ALPHA
    assert w.double().abs().max() <= 2


def test_torchtitan_2269_the_rows_of_a_small_matrix_in_bfloat16():
    w = small_std(0.02, torch.bfloat16, (10, 500))
    check_small_std(w, 0.02)
    assert w.min() > -0.1
    assert w.max() < 0.1
    assert (abs(w.double().mean(1)) < 5 * 0.02 / math.sqrt(500)).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_transformers_47225_orthogonal_weights_in_bfloat16(dtype):
    with pytest.raises(RuntimeError, match="not implemented for"):
        theirs.orthogonal_(torch.empty(SHAPE, dtype=dtype))
    w = init.orthogonal_(torch.empty(SHAPE, dtype=dtype), stream=Stream(1))
    assert same(w, init.orthogonal_(torch.empty(SHAPE), stream=Stream(1)).to(dtype))
    torch.testing.assert_close(w.float().T @ w.float(), torch.eye(20), atol=4 * torch.finfo(dtype).eps, rtol=0)


def test_fastertransformer_583_normal_weights_in_float16():
    """float16 weights on the CPU took torch minutes; pyinit rounds the float32 weights."""
    w = init.normal_(torch.empty(400, 500, dtype=torch.float16), mean=0.0, std=1.0, stream=Stream(583))
    assert p_value(w, scipy.stats.norm()) > ALPHA
    assert p_value(w, scipy.stats.norm(0, 1.02)) < ALPHA
    assert same(w, init.normal_(torch.empty(400, 500), stream=Stream(583)).half())


def test_unilm_149_the_law_of_scipys_truncnorm():
    std = 0.02
    w = init.trunc_normal_(torch.empty(300, 200), std=std, a=-std, b=std, stream=Stream(149))
    theirs = scipy.stats.truncnorm.rvs(-1, 1, size=(300, 200), random_state=0) * std
    assert p_value(w, truncated(0, std, -std, std)) > ALPHA
    assert scipy.stats.ks_2samp(w.double().flatten(), theirs.ravel()).pvalue > ALPHA
    assert p_value(w, truncated(0, 1.2 * std, -std, std)) < ALPHA


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("shape", [(128, 384), (384, 128)])
def test_openfold_3_178_a_variance_by_the_fan(shape, scale):
    """The untruncated std is sqrt(scale / fan) / 0.8796, so that the samples have std sqrt(scale / fan)."""
    target = math.sqrt(scale / shape[1])
    std = target / scipy.stats.truncnorm.std(-2, 2)
    w = init.trunc_normal_(torch.empty(shape), std=std, a=-2 * std, b=2 * std, stream=Stream(178))
    theirs = scipy.stats.truncnorm.rvs(-2, 2, scale=std, size=math.prod(shape), random_state=0)
    assert p_value(w, truncated(0, std, -2 * std, 2 * std)) > ALPHA
    assert scipy.stats.ks_2samp(w.double().flatten(), theirs).pvalue > ALPHA
    assert w.double().std() == pytest.approx(target, rel=0.01)
    ours = initializers.variance_scaling(scale, "fan_in", "truncated_normal")(torch.empty(shape), Stream(178))
    torch.testing.assert_close(w, ours, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["kaiming_normal_", "kaiming_uniform_"])
def test_pytorch_23854_the_fan_out_of_a_depthwise_convolution(name):
    weight = torch.nn.Conv2d(64, 64, 3, groups=64).weight
    assert theirs._calculate_fan_in_and_fan_out(weight) == (9, 576)
    as_torch, right = (
        getattr(init, name)(torch.empty_like(weight), mode="fan_out", nonlinearity="relu", stream=Stream(1), **options)
        for options in ({}, {"groups": 64})
    )
    assert as_torch.std() == pytest.approx(math.sqrt(2 / 576), rel=0.1)
    assert right.std() == pytest.approx(math.sqrt(2 / 9), rel=0.1)
    assert torch.equal(right, 8 * as_torch)
    same_fan = getattr(init, name)(torch.empty_like(weight), mode="fan_in", nonlinearity="relu", stream=Stream(1))
    assert torch.equal(right, same_fan)
