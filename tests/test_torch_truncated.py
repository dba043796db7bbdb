"""Truncated normals of torch.nn.init, and reports of users of PyTorch and other projects."""

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyinit import Stream, initializers

torch = pytest.importorskip("torch")

from torch_init_cases import ALPHA, DTYPES, NARROW, SHAPE, each_dtype, numbers_between, p_value, same, theirs, truncated  # noqa: E402

from pyinit.adapters.torch import init  # noqa: E402

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
    assume(abs(a - mean) < 34.5 * std or a < mean < b)  # so that no rounding leads too far out
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
    """float16 weights on the CPU took torch minutes; pyinit rounds float32 weights."""
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
