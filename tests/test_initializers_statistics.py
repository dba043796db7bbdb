"""The samples of every scheme: distribution, variance and bounds, each with a slightly wrong control."""

import math

import numpy as np
import pytest
import scipy.stats

from pyinit import Stream
from pyinit.initializers import Normal, Uniform, fans, scheme, sparse

DENSE, KERNEL, TURNED = (400, 250), (64, 32, 7, 5), (7, 5, 32, 64)
ALPHA = 1e-4
STD_OF_TRUNCATED = 0.87962566103423978


def expected(text, shape):
    """Return the distribution by the papers' formula, without the package's code."""
    layout = "in_out" if "in_out" in text else "out_in"
    fan_in, fan_out = fans(shape, layout)
    name, _, rest = text.partition("(")
    variance = {
        "xavier": 2 / (fan_in + fan_out),
        "glorot": 2 / (fan_in + fan_out),
        "kaiming": 2 / (fan_out if "fan_out" in rest else fan_in),
        "he": 2 / (fan_out if "fan_out" in rest else fan_in),
        "lecun": 1 / fan_in,
        "variance": 3 / math.sqrt(fan_in * fan_out),
        "inverse": 1 / fan_in**2,
        "gpt2": 0.02**2 / 24,
        "mup": 1 / fan_in if "output" not in name else 64 / fan_in**2,
        "big": 1,
        "small": 1e-4,
    }[name.partition("_")[0]]
    if "gain=2" in rest:
        variance *= 4
    std = math.sqrt(variance)
    if "uniform" in text:
        return scipy.stats.uniform(-math.sqrt(3) * std, 2 * math.sqrt(3) * std)
    if "truncated" in text:
        return scipy.stats.truncnorm(-2, 2, scale=std / STD_OF_TRUNCATED)
    return scipy.stats.norm(0, std)


TEXTS = [
    *(
        f"{family}_{kind}"
        for family in ("xavier", "glorot", "kaiming", "he", "lecun")
        for kind in ("normal", "uniform")
    ),
    *(f"{family}_truncated_normal" for family in ("xavier", "kaiming", "lecun")),
    "xavier_normal(gain=2)",
    "he_uniform(mode='fan_out')",
    *(f"variance_scaling(3, 'fan_geo_avg', '{kind}')" for kind in ("normal", "uniform", "truncated_normal")),
    "inverse_fan_in()",
    "gpt2_residual(12)",
    "mup_input()",
    "mup_hidden()",
    "mup_output(64)",
    "big()",
    "small()",
]


def evidence(samples, distribution):
    """Return p-values: Kolmogorov-Smirnov, mean and variance; 0 if a sample is out of bounds."""
    x, n = samples.ravel().astype(np.float64), samples.size
    low, high = distribution.support()
    fourth = distribution.moment(4)
    variance = distribution.var()
    slack = 1e-6 * distribution.std()
    return {
        "distribution": scipy.stats.kstest(x, distribution.cdf).pvalue,
        "mean": 2 * scipy.stats.norm.sf(abs(x.mean()) / math.sqrt(variance / n)),
        "variance": 2 * scipy.stats.norm.sf(abs((x**2).mean() - variance) / math.sqrt((fourth - variance**2) / n)),
        "bounds": float(x.min() >= low - slack and x.max() <= high + slack),
    }


@pytest.mark.parametrize("text", TEXTS)
def test_samples_have_the_distribution_of_the_formula(text):
    for shape in (DENSE, KERNEL):
        samples = scheme(text)(np.empty(shape, np.float32), Stream(11))
        p = evidence(samples, expected(text, shape))
        assert min(p.values()) > ALPHA, (shape, p)


@pytest.mark.parametrize("text", ["xavier_uniform(layout='in_out')", "lecun_normal(layout='in_out')"])
def test_layouts_of_the_other_order(text):
    samples = scheme(text)(np.empty(TURNED, np.float32), Stream(11))
    assert min(evidence(samples, expected(text, TURNED)).values()) > ALPHA


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("xavier_normal", "xavier_truncated_normal"),
        ("xavier_uniform", "xavier_normal"),
        ("kaiming_normal", "lecun_normal"),
        ("kaiming_normal(mode='fan_out')", "kaiming_normal"),
        ("xavier_normal(layout='in_out')", "kaiming_normal"),
        ("variance_scaling(3, 'fan_avg')", "variance_scaling(3, 'fan_geo_avg', 'normal')"),
        ("xavier_normal(gain=1.02)", "xavier_normal"),
    ],
)
def test_a_scheme_that_is_not_quite_it_is_found_out(wrong, right):
    p = evidence(scheme(wrong)(np.empty(KERNEL, np.float32), Stream(11)), expected(right, KERNEL))
    assert min(p.values()) < 1e-9


def test_truncation_without_its_correction_is_found_out():
    right = expected("lecun_truncated_normal", DENSE)
    std = 1 / math.sqrt(DENSE[1])
    p = evidence(scheme(f"truncated_normal(std={std})")(np.empty(DENSE), Stream(11)), right)
    assert p["variance"] < 1e-9


def test_families_stand_for_the_plain_ones():
    assert scheme("lecun_normal").resolve((3, 16)) == Normal(0.0, 0.25)
    assert scheme("he_uniform").resolve((3, 24)) == Uniform(-0.5, 0.5)


@pytest.mark.parametrize(("shape", "sparsity"), [((100, 400), 0.1), ((64, 300), 0.5), ((10, 50), 0.99), ((7, 30), 0.0)])
def test_every_column_of_a_sparse_matrix_has_as_many_zeros(shape, sparsity):
    out = sparse(sparsity, std=0.5)(np.empty(shape), Stream(4))
    assert set((out == 0).sum(axis=0)) == {math.ceil(sparsity * shape[0])}
    others = out[out != 0]
    if others.size > 1000:
        assert scipy.stats.kstest(others / 0.5, scipy.stats.norm.cdf).pvalue > ALPHA


def test_the_zeros_of_a_sparse_matrix_are_in_any_row_equally_and_independently():
    rows, columns, zeros = 16, 20_000, 4
    chosen = sparse(zeros / rows)(np.empty((rows, columns), np.float32), Stream(5)) == 0
    expected_count = columns * zeros / rows
    # The counts of one column are correlated, by -1 / (rows - 1), which reduces the statistic's variance.
    statistic = ((chosen.sum(axis=1) - expected_count) ** 2).sum() / (expected_count * (1 - zeros / rows))
    assert scipy.stats.chi2.sf(statistic * (rows - 1) / rows, rows - 1) > ALPHA
    pairs = chosen[0] & chosen[1]
    p_pair = zeros * (zeros - 1) / (rows * (rows - 1))
    assert abs(pairs.mean() - p_pair) < 4.5 * math.sqrt(p_pair * (1 - p_pair) / columns)
    neighbours = (chosen[:, 1:] & chosen[:, :-1]).sum(axis=0).mean()
    assert abs(neighbours - zeros**2 / rows) < 4.5 * math.sqrt(1 / columns)


@pytest.mark.parametrize(("dtype", "words"), [(np.float32, 2), (np.float64, 3)])
def test_a_sparse_matrix_takes_a_word_more_for_each_element(dtype, words):
    stream = Stream(4)
    sparse(0.5)(np.empty((10, 6), dtype), stream)
    assert stream.position == words * 60


def test_sparse_columns_at_once_or_few_by_few(monkeypatch):
    whole = sparse(0.4)(np.empty((9, 31)), Stream(6))
    monkeypatch.setattr("pyinit.initializers.structured.KEYS_AT_ONCE", 20)
    assert np.array_equal(sparse(0.4)(np.empty((9, 31)), Stream(6)), whole)


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, math.nan])
def test_a_sparsity_is_a_part(sparsity):
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\]"):
        sparse(sparsity)


def sparse_from(words_at):
    """Return a sparse 3 x 3 matrix for each seed: two zeros in a column, from the words at a position."""
    for seed in range(20_000):
        matrix = Stream(seed).normal((3, 3))
        keys = Stream(seed, position=words_at).bits((3, 3)).T
        matrix[keys <= np.sort(keys, axis=0)[1]] = 0
        yield matrix


def test_the_zeros_of_a_sparse_matrix_do_not_tell_its_values():
    """They did when the zeros' words began in the middle of the last pair of normals."""
    ours = [scheme("sparse(0.34, std=1.0)")(np.empty((3, 3), np.float32), Stream(seed)) for seed in range(20_000)]
    for matrices, related in ((ours, False), (list(sparse_from(10)), False), (list(sparse_from(9)), True)):
        assert np.array_equal(matrices, ours) != related
        first, last = np.array(matrices)[:, (0, 2), (0, 2)].T
        zero_if_positive, zero_if_negative = (first[last > 0] == 0), (first[last < 0] == 0)
        deviation = math.sqrt(0.25 / len(zero_if_positive) + 0.25 / len(zero_if_negative))
        assert (abs(zero_if_positive.mean() - zero_if_negative.mean()) > 5 * deviation) == related
