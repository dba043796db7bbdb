"""Noise for torch: bit-identical on every device, with any number of threads and in any pieces."""

import math

import numpy as np
import pytest
import scipy.stats

import pyinit
from pyinit import Stream

torch = pytest.importorskip("torch")

from pyinit.adapters.torch import rand, rand_like, randn, randn_like  # noqa: E402

NARROW = (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)
FUNCTIONS = {"randn": (randn, randn_like, "normal"), "rand": (rand, rand_like, "uniform")}
each = pytest.mark.parametrize(("make", "like", "kind"), FUNCTIONS.values(), ids=FUNCTIONS)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def expected(kind, shape, dtype=np.float32, seed=7):
    return torch.from_numpy(getattr(Stream(seed), kind)(shape, dtype))


@each
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float64], ids=str)
def test_the_bits_are_the_streams(make, like, kind, dtype):
    wanted = expected(kind, (3, 5), np.float64 if dtype == torch.float64 else np.float32)
    for shape in ((3, 5), [(3, 5)], [[3, 5]], [torch.Size([3, 5])], (np.int64(3), 5)):
        out = make(*shape, seed=7, dtype=dtype)
        assert (out.dtype, out.device.type, out.requires_grad) == (wanted.dtype, "cpu", False)
        assert torch.equal(out, wanted)
        assert torch.equal(make(*shape, stream=Stream(7), dtype=dtype), wanted)
    assert not torch.equal(make(3, 5, seed=8, dtype=dtype), wanted)


@each
def test_shapes_of_no_dimension_and_of_no_element(make, like, kind):
    for shape in ((), [()], [[]]):
        assert torch.equal(make(*shape, seed=7), expected(kind, ()))
    for shape in ((0,), (2, 0), [(0, 3)]):
        stream = Stream(7)
        assert make(*shape, stream=stream).shape == torch.empty(*shape).shape
        assert stream.position == 0
    assert torch.equal(make(torch.tensor(3), seed=7), make(3, seed=7))


@each
def test_the_default_dtype_and_device_are_torchs(make, like, kind):
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert torch.equal(make(5, seed=7), expected(kind, 5, np.float64))
    finally:
        torch.set_default_dtype(before)


@each
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_narrow_dtypes_are_float32_rounded(make, like, kind, dtype):
    out, wide = make(40, 50, seed=7, dtype=dtype), make(40, 50, seed=7).to(dtype)
    if kind == "uniform":  # 1 is never drawn, even by rounding
        wide = wide.double().clamp(max=1 - torch.finfo(dtype).eps / 2)
    assert torch.equal(out.double(), wide.double())


@each
@pytest.mark.parametrize(("dtype", "part"), [(torch.complex64, np.float32), (torch.complex128, np.float64)], ids=str)
def test_complex_samples_have_the_variance_of_real_ones(make, like, kind, dtype, part):
    out = make(200, 100, seed=7, dtype=dtype)
    parts = torch.view_as_real(out)
    assert (out.shape, out.dtype) == ((200, 100), dtype)
    if kind == "normal":
        assert torch.equal(parts, torch.from_numpy(Stream(7).normal((200, 100, 2), part, std=0.5**0.5)))
        assert (out.abs() ** 2).mean().item() == pytest.approx(1, rel=0.03)
    else:
        assert torch.equal(parts, expected(kind, (200, 100, 2), part))


@each
def test_like_a_tensor(make, like, kind):
    for dtype in (torch.float64, torch.bfloat16, torch.complex64):
        model = torch.zeros(4, 5, dtype=dtype)
        out = like(model, seed=7)
        assert (out.dtype, out.device, out.requires_grad) == (dtype, model.device, False)
        assert torch.equal(out, make(4, 5, seed=7, dtype=dtype))
    model = torch.zeros(5, 4, dtype=torch.float64, requires_grad=True).T
    assert torch.equal(like(model, seed=7, dtype=torch.float32), make(4, 5, seed=7))
    assert like(model, stream=Stream(0), requires_grad=True).requires_grad


@each
def test_one_that_requires_gradients_is_a_leaf(make, like, kind):
    out = make(3, seed=7, requires_grad=True)
    (2 * out).sum().backward()
    assert out.is_leaf
    assert out.grad.tolist() == [2, 2, 2]
    assert torch.equal(out.detach(), expected(kind, 3))


@each
def test_torchs_own_generator_has_no_part_in_it(make, like, kind):
    state = torch.get_rng_state()
    make(3, seed=7)
    assert torch.equal(torch.get_rng_state(), state)


@each
@pytest.mark.parametrize(
    ("error", "match", "shape", "options"),
    [
        (TypeError, "either seed=.* or stream=", (3,), {}),
        (TypeError, "either seed=.* or stream=", (3,), {"seed": 0, "stream": Stream(0)}),
        (TypeError, "stream must be a pyinit.Stream; got int", (3,), {"stream": 0}),
        (TypeError, "stream must be a pyinit.Stream; got Generator", (3,), {"stream": torch.Generator()}),
        (TypeError, "seed must be an integer; got float", (3,), {"seed": 0.0}),
        (ValueError, "seed", (3,), {"seed": -1}),
        (TypeError, "shape must be an int or a sequence of int; got 2.5", (2.5,), {"seed": 0}),
        (TypeError, "shape must be an int or a sequence of int; got '34'", ("34",), {"seed": 0}),
        (TypeError, "shape must be an int or a sequence of int; got", ((3,), 4), {"seed": 0}),
        (ValueError, "shape must not be negative, .*; got .3, -1", (3, -1), {"seed": 0}),
        (TypeError, "int32", (3,), {"seed": 0, "dtype": torch.int32}),
        (TypeError, "dtype must be one of torch's", (3,), {"seed": 0, "dtype": "U3"}),
        (TypeError, "dtype must be one of", (3,), {"seed": 0, "dtype": "nope"}),
        (TypeError, "generator", (3,), {"seed": 0, "generator": torch.Generator()}),
    ],
)
def test_what_is_wrong_is_said(make, like, kind, error, match, shape, options):
    with pytest.raises(error, match=match):
        make(*shape, **options)


@each
def test_a_stream_stays_where_it_is_on_an_error(make, like, kind):
    stream = Stream(7)
    for shape, options in (((-1,), {}), ((3,), {"dtype": torch.int64}), ((3,), {"seed": 0})):
        with pytest.raises((TypeError, ValueError)):
            make(*shape, stream=stream, **options)
    assert stream.position == 0


@each
def test_a_stream_moves_past_what_it_gives(make, like, kind):
    stream, other = Stream(7), Stream(7)
    for shape, dtype in (((3, 4), np.float32), ((5,), np.float64), ((4,), np.float32)):
        out = make(shape, stream=stream, dtype=torch.float64 if dtype == np.float64 else None)
        assert torch.equal(out, torch.from_numpy(getattr(other, kind)(shape, dtype)))
        assert stream.position == other.position > 0


@each
def test_the_law(make, like, kind):
    law = scipy.stats.norm if kind == "normal" else scipy.stats.uniform
    out = make(300, 300, seed=1).double().flatten()
    assert scipy.stats.kstest(out, law().cdf).pvalue > 1e-4
    assert scipy.stats.kstest(out, law(0, 1.03).cdf).pvalue < 1e-4


# Issues reported to diffusers and PyTorch.


@each
@pytest.mark.parametrize("device", DEVICES)
def test_diffusers_1514_noise_does_not_depend_on_the_device(tier, make, like, kind, device):
    """A pipeline's latents are the same with every instruction set of the CPU, and on the GPU if there is one."""
    latents = make(1, 4, 64, 64, seed=1514, dtype=torch.float16, device=device)
    assert latents.device.type == device
    with pyinit.isa.use("scalar"):
        assert torch.equal(latents.cpu(), make(1, 4, 64, 64, seed=1514, dtype=torch.float16))
        assert torch.equal(like(latents, seed=1514).cpu(), latents.cpu())


@each
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_pytorch_87992_a_large_shape_does_not_depend_on_the_number_of_threads(monkeypatch, make, like, kind, threads):
    shape = (3, 301, 1203)  # more than a million elements, so several threads share them
    monkeypatch.setenv("PYINIT_NUM_THREADS", str(threads))
    out = make(shape, seed=87992)
    assert np.array_equal(out[:1], getattr(Stream(87992), kind)((1, 301, 1203), num_threads=1))
    assert np.array_equal(out, getattr(Stream(87992), kind)(shape, num_threads=3))


@each
def test_pytorch_158398_the_words_are_defined_so_that_another_machine_gives_them_too(make, like, kind):
    """As in `docs/contract.md`: a uniform sample from the first word of seed 0, a normal one from the first two."""
    first, second = 0x6627E8D5, 0xE169C58D
    if kind == "uniform":
        assert make(1, seed=0).item() == (first >> 8) * 2.0**-24
    else:
        u, angle = (first + 0.5) * 2.0**-32, 2 * np.pi * second * 2.0**-32
        pair = np.sqrt(-2 * np.log(u)) * np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(make(2, seed=0).numpy(), pair, rtol=1e-6)
        np.testing.assert_allclose(make(64, 2048, seed=0)[0, :2].numpy(), pair, rtol=1e-6)


@each
@pytest.mark.parametrize("piece", [2, 100, 4096, 70_000])
def test_pytorch_196613_neither_does_it_depend_on_the_pieces(make, like, kind, piece):
    """A large tensor equals its pieces in sequence: the samples do not change from some size on."""
    n = 200_000 if piece > 2 else 2000
    whole, stream = make(n, seed=3), Stream(3)
    parts = [make(min(piece, n - begin), stream=stream) for begin in range(0, n, piece)]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(make(n // 2, seed=3), whole[: n // 2])
    part = torch.empty(piece)
    distribution = getattr(pyinit.distributions, kind)()
    Stream(3).fill(part, distribution, global_shape=(n,), offset=(n - piece,))
    assert torch.equal(part, whole[n - piece :])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_pytorch_166853_narrow_normals_have_their_tails(dtype):
    """The numbers beyond 3.5 and 4.25 are right: from a bfloat16 uniform there would be none."""
    z = randn(3_000_000, seed=166853, dtype=dtype).abs()
    for edge in (3.5, 4.25):
        unit = torch.finfo(dtype).eps * 2 ** math.floor(math.log2(edge)) / 2  # numbers above by less round to the edge
        expected = 2 * scipy.stats.norm.sf(edge + unit)
        assert scipy.stats.binomtest(int((z > edge).sum()), z.numel(), expected).pvalue > 1e-4
