"""The distributions of torch.nn.init's functions, as PyTorch's own tests check them."""

import math
import random

import pytest
import scipy.stats

from pyinit import Stream

torch = pytest.importorskip("torch")

from torch_init_cases import ALPHA, DTYPES, RANDOM, each_dtype, fill, p_value, truncated  # noqa: E402

from pyinit.adapters.torch import init  # noqa: E402


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
        assert getattr(init, name)(w, **RANDOM[name][0], stream=stream) is w
    assert record[0].filename == __file__
    assert stream.position == 0
    with pytest.raises(TypeError, match="stream="):
        fill(name, w, generator=torch.Generator())


@pytest.mark.parametrize("name", [name for name in RANDOM if "kaiming" not in name])
def test_others_fill_nothing_without_a_word(name):
    stream = Stream(0)
    assert fill(name, torch.empty(0, 3), stream).shape == (0, 3)
    assert stream.position == 0
