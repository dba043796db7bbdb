"""Orthogonal schemes: orthonormal rows or columns, and a uniform distribution over all such matrices."""

import math

import numpy as np
import pytest
import scipy.stats

from pyinit import Stream
from pyinit.initializers import delta_orthogonal, orthogonal

SIZE, DRAWS = 5, 4000


def near_orthonormal(matrix, scale=1.0):
    """Whether the rows, or the columns if there are fewer, are orthonormal times a scale."""
    matrix = matrix.astype(np.float64)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    precise = 1e-12 if matrix.dtype == np.float64 else 1e-5
    return np.allclose(short @ short.T, scale**2 * np.eye(len(short)), atol=max(precise, 1e-5))


@pytest.mark.parametrize("shape", [(6, 6), (6, 9), (9, 6), (4, 3, 2, 2), (16, 3, 2), (1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_or_columns_are_orthonormal(shape, dtype):
    out = orthogonal(1.5)(np.empty(shape, dtype), Stream(0))
    assert near_orthonormal(out.reshape(shape[0], -1), 1.5)
    out = orthogonal(1.5, "in_out")(np.empty(shape, dtype), Stream(0))
    assert near_orthonormal(out.reshape(-1, shape[-1]), 1.5)


def test_float64_is_orthonormal_to_its_own_precision():
    q = orthogonal()(np.empty((30, 30)), Stream(0))
    assert abs(q @ q.T - np.eye(30)).max() < 1e-13


def test_the_middle_of_a_kernel_is_orthogonal_and_the_rest_is_zero():
    for shape, turn in (((8, 3, 3, 4), ()), ((5, 5, 6), ()), ((4, 2, 1, 1, 2), ())):
        out = delta_orthogonal(2.0)(np.empty(shape), Stream(1))
        middle = (slice(None), slice(None), *((n - 1) // 2 for n in shape[2:]))
        assert near_orthonormal(out[middle], 2.0), turn
        assert np.count_nonzero(out) == np.count_nonzero(out[middle])
        turned = delta_orthogonal(2.0, "in_out")(np.empty((*shape[2:], shape[1], shape[0])), Stream(1))
        assert near_orthonormal(turned[(*middle[2:], *middle[:2])], 2.0)


def test_a_convolution_with_a_delta_orthogonal_kernel_keeps_lengths():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
    delta_orthogonal()(layer.weight, Stream(0))
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(layer(x).norm(), x.norm())


@pytest.mark.parametrize("shape", [(5, 5), (7, 4)])
def test_it_is_the_q_of_the_streams_normal_samples_with_a_positive_r(shape):
    q, gaussian = orthogonal()(np.empty(shape), Stream(9)), Stream(9).normal(shape, np.float64)
    r = q.T @ gaussian
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-12)
    assert (np.diagonal(r) > 0).all()


def rotations(flaw=None):
    """Return many matrices; with the flaw, those of LAPACK, whose R has a diagonal of either sign."""
    made, stream = orthogonal(), Stream(20)
    if flaw:
        return np.linalg.qr(stream.normal((DRAWS, SIZE, SIZE), np.float64))[0]
    return np.stack([made(np.empty((SIZE, SIZE)), stream) for _ in range(DRAWS)])


def evidence(matrices):
    """Return p-values for properties of the Haar measure on O(n): the trace, an entry and the eigenvalues' phases.

    E tr Q = 0, E (tr Q)² = 1 and E (tr Q²) = 1 (Diaconis and Shahshahani, 1994); a squared entry is beta distributed
    with parameters 1/2 and (n - 1) / 2; the two determinants are equally frequent; and Q has the distribution of D Q
    for any fixed rotation D, so the traces of D Q and Q have the same distribution.
    """
    n = len(matrices)

    def of_mean(x, mean):
        if np.ptp(x) < 1e-9:  # as LAPACK's own determinants are
            return 0.0
        return 2 * scipy.stats.norm.sf(abs(x.mean() - mean) / (x.std() / math.sqrt(n)))

    trace = np.trace(matrices, axis1=1, axis2=2)
    squared = np.trace(matrices @ matrices, axis1=1, axis2=2)
    turn = np.linalg.qr(Stream(3).normal((SIZE, SIZE), np.float64))[0]
    turned = np.trace(turn @ matrices, axis1=1, axis2=2)
    entry = scipy.stats.beta(0.5, (SIZE - 1) / 2)
    p = {
        "trace": of_mean(trace, 0.0),
        "trace squared": of_mean(trace**2, 1.0),
        "trace of the square": of_mean(squared, 1.0),
        "determinant": of_mean(np.linalg.det(matrices), 0.0),
        "turned": scipy.stats.ks_2samp(trace, turned).pvalue,
    }
    for i, j in ((0, 0), (0, SIZE - 1), (SIZE - 1, 0), (2, 3), (SIZE - 1, SIZE - 1)):
        p[f"entry {i} {j}"] = scipy.stats.kstest(matrices[:, i, j] ** 2, entry.cdf).pvalue
        p[f"sign of {i} {j}"] = of_mean(np.sign(matrices[:, i, j]), 0.0)
    return p


def test_the_matrices_are_uniformly_distributed():
    p = evidence(rotations())
    assert min(p.values()) > 1e-4, p


def test_without_the_signs_of_r_they_are_not():
    p = evidence(rotations(flaw=True))
    for name in ("trace", "turned", "sign of 0 0"):
        assert p[name] < 1e-9, name


def test_rows_of_a_wide_matrix_are_uniform_on_the_sphere():
    made, stream = orthogonal(), Stream(21)
    first = np.stack([made(np.empty((2, 6)), stream)[0] for _ in range(3000)])
    for k in (0, 3, 5):
        assert scipy.stats.kstest(first[:, k] ** 2, scipy.stats.beta(0.5, 2.5).cdf).pvalue > 1e-4
        assert abs(np.sign(first[:, k]).mean()) < 4 / math.sqrt(3000)


@pytest.mark.parametrize("gain", [math.nan, math.inf])
def test_a_gain_is_finite(gain):
    for make in (orthogonal, delta_orthogonal):
        with pytest.raises(ValueError, match="gain must be finite"):
            make(gain)


def test_a_layout_is_checked():
    with pytest.raises(ValueError, match="layout must be"):
        orthogonal(layout="rows")
