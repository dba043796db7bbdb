"""Gains and fans: compared with PyTorch's numbers, integrals, and the true counts of all kinds of convolutions."""

import math
import warnings

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from pyinit.initializers import VarianceScaling, dirac, fans, gain, gpt2_residual, mup_output, normal, xavier_normal

FUNCTIONS = {
    "linear": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "silu": lambda z: z * scipy.special.expit(z),
    "tanh": math.tanh,
}


def integrated(function):
    """Return 1 / sqrt(E f(z)²) for a standard normal z."""
    halves = (
        scipy.integrate.quad(
            lambda z: function(z) ** 2 * scipy.stats.norm.pdf(z), *ends, epsabs=1e-15, epsrel=1e-13, limit=200
        )[0]
        for ends in ((-20, 0), (0, 20))
    )
    return 1 / math.sqrt(sum(halves))


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "tanh"])
def test_a_gain_keeps_the_power_of_a_normal_signal(name):
    assert gain(name) == pytest.approx(integrated(FUNCTIONS[name]), rel=1e-12)


def test_what_the_docstring_says_of_the_others():
    assert integrated(FUNCTIONS["tanh"]) == pytest.approx(1.5925, abs=1e-4)
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    assert integrated(lambda z: scale * (z if z > 0 else alpha * math.expm1(z))) == pytest.approx(1, abs=1e-9)
    by_tanh = integrated(lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))))
    assert abs(by_tanh - gain("gelu")) < 1e-3


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    names = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
    for name in [*names, "sigmoid", "tanh", "relu", "leaky_relu", "selu"]:
        assert gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    for slope in (0.2, 0, math.sqrt(5)):
        assert gain("leaky_relu", slope) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", slope), rel=1e-15)


@pytest.mark.parametrize("slope", ["0.1", True, [0.1]])
def test_a_slope_is_a_number(slope):
    with pytest.raises(TypeError, match="param must be a real number"):
        gain("leaky_relu", slope)


def test_what_has_no_gain():
    with pytest.raises(ValueError, match=r"nonlinearity must be one of .*silu.*; got 'cosine'"):
        gain("cosine")
    with pytest.raises(ValueError, match="param must be finite"):
        gain("leaky_relu", math.nan)


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 4), (4, 3)), ((64, 3, 7, 7), (147, 3136)), ((5, 2, 3), (6, 15)), ((0, 3), (3, 0))]
)
def test_fans_follow_the_shape(shape, expected):
    assert fans(shape) == expected
    assert fans((*shape[2:], shape[1], shape[0]), layout="in_out") == expected


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_fans_count_the_connections_of_a_real_convolution(groups, transposed):
    """The fans are the non-zero elements of the layer's matrix, in a row for an output, in a column for an input."""
    torch = pytest.importorskip("torch")
    kind = torch.nn.ConvTranspose1d if transposed else torch.nn.Conv1d
    layer = kind(8, 12, kernel_size=3, groups=groups, bias=False)
    torch.nn.init.ones_(layer.weight)
    length = 9
    impulses = torch.eye(8 * length).reshape(8 * length, 8, length)
    with torch.no_grad(), warnings.catch_warnings():
        matrix = layer(impulses).flatten(1).numpy().T
    # In the middle, where no edge cuts connections off.
    inputs_of_an_output = (matrix != 0).sum(axis=1).max()
    outputs_of_an_input = (matrix != 0).sum(axis=0).max()
    shape = tuple(layer.weight.shape)
    assert fans(shape, groups=groups, transposed=transposed) == (inputs_of_an_output, outputs_of_an_input)
    turned = (*shape[2:], shape[1], shape[0])
    assert fans(turned, "in_out", groups, transposed) == (inputs_of_an_output, outputs_of_an_input)


def test_fans_without_groups_are_the_peers():
    torch = pytest.importorskip("torch")
    for shape in ((3, 4), (6, 2, 3), (8, 4, 3, 5), (2, 3, 4, 5, 6)):
        assert fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


def test_a_depthwise_kernel_of_keras_after_a_reshape():
    """Kernel 3, 8 inputs with 2 outputs each: an output sees 3 values, an input reaches 2 times 3."""
    kernel = np.empty((3, 8, 2)).reshape(3, 1, 16)
    assert fans(kernel.shape, "in_out", groups=8) == (3, 6)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_vector_has_no_fans(shape):
    with pytest.raises(ValueError, match=r"at least 2 dimensions, \(out, in, ...\); got shape"):
        fans(shape)
    with pytest.raises(ValueError, match=r"at least 2 dimensions, \(..., in, out\); got shape"):
        fans(shape, layout="in_out")


def test_what_is_no_layout_and_no_groups():
    with pytest.raises(ValueError, match=r"layout must be 'out_in' .* or 'in_out' .*; got 'oi'"):
        fans((2, 3), layout="oi")
    with pytest.raises(ValueError, match="groups must be at least 1; got 0"):
        fans((2, 3), groups=0)
    with pytest.raises(TypeError, match="groups must be an integer; got float"):
        fans((2, 3), groups=1.5)
    with pytest.raises(ValueError, match=r"groups must divide out; got 3 groups for 8 of shape \(8, 2, 3\)"):
        fans((8, 2, 3), groups=3)
    with pytest.raises(ValueError, match="groups must divide in; got 3 groups for 8"):
        fans((8, 2, 3), groups=3, transposed=True)
    with pytest.raises(TypeError, match="transposed must be True or False; got 1"):
        fans((2, 3), transposed=1)


def test_a_slope_that_leaves_nothing():
    assert gain("leaky_relu", 1e200) == 0


def test_numpys_small_integers_do_not_overflow():
    """A kernel with 2**32 places, and a product of two fans of 2**64."""
    assert fans(np.full(4, 2**16, np.int32)) == (2**48, 2**48)
    assert VarianceScaling(1.0, "fan_geo_avg").std(np.full(2, 2**32)) == 2.0**-16
    assert xavier_normal(np.int8(100)) == xavier_normal(100)
    assert gpt2_residual(np.int8(100), np.float16(0.5)) == gpt2_residual(100, 0.5)
    assert mup_output(np.int8(100), np.int8(100)) == mup_output(100, 100)
    assert repr(xavier_normal(groups=np.int64(2), transposed=np.True_)) == (
        "VarianceScaling(scale=1.0, mode='fan_avg', groups=2, transposed=True)"
    )
    assert repr(dirac(np.int64(2))) == "Dirac(groups=2)"
    assert type(xavier_normal(transposed=np.True_).transposed) is bool


def test_a_complex_number_is_not_cut():
    with pytest.raises(TypeError, match="std must be a real number"):
        normal(std=np.complex64(1j))


def test_the_scale_of_mup_is_one_of_the_variance():
    assert mup_output(4, 9.0).std((2, 3)) == 2.0
