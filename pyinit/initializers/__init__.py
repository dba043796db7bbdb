"""Initialisation schemes: small frozen values that fill an array in place from a stream.

A scheme is called as ``scheme(out, stream)`` and returns ``out``. It says which distribution to ask the
stream for, and with which spread; the random numbers themselves are the stream's. Schemes print as what
makes them, compare by value, and can be pickled; `scheme` makes them of strings and dicts. `pyinit.initialize`
fills a model's parameters by a plan.

The functions in lower case make schemes. The families among them are one-line specialisations of a few classes:
`Constant`, `Uniform`, `Normal`, `TruncatedNormal`, and `VarianceScaling`, whose spread follows from the shape of the
tensor. What others call by the same or by another name:

============================  =============================  ==========================  ============================
torch.nn.init                 keras.initializers             jax.nn.initializers         here
============================  =============================  ==========================  ============================
zeros\\_, ones\\_, constant\\_   Zeros, Ones, Constant          zeros, ones, constant       zeros, ones, constant
uniform\\_(a, b)               RandomUniform(minval, maxval)  uniform(s): from 0 to s     uniform(low, high)
normal\\_(mean, std)           RandomNormal(mean, stddev)     normal(stddev)              normal(mean, std)
trunc_normal\\_(a, b: values)  TruncatedNormal(mean, stddev)  truncated_normal(stddev)    truncated_normal
..                            VarianceScaling                variance_scaling            variance_scaling
xavier_normal\\_               ..                             ..                          xavier_normal
xavier_uniform\\_              GlorotUniform                  glorot_uniform              xavier_uniform
..                            GlorotNormal                   glorot_normal               xavier_truncated_normal
kaiming_normal\\_              ..                             ..                          kaiming_normal
kaiming_uniform\\_             HeUniform                      he_uniform                  kaiming_uniform
..                            HeNormal                       he_normal                   kaiming_truncated_normal
..                            LecunUniform                   lecun_uniform               lecun_uniform
..                            LecunNormal                    lecun_normal                lecun_truncated_normal
orthogonal\\_(gain)            Orthogonal(gain)               orthogonal(scale)           orthogonal(gain)
..                            ..                             delta_orthogonal(scale)     delta_orthogonal(gain)
eye\\_                         Identity(gain)                 ..                          identity(gain), eye
dirac\\_(groups)               ..                             ..                          dirac(groups)
sparse\\_(sparsity, std)       ..                             ..                          sparse(sparsity, std)
============================  =============================  ==========================  ============================

Keras and JAX arrays are ``(*kernel, in, out)``: give ``layout="in_out"`` for them. The variance is the same in each
row; with Keras and JAX that of the families is corrected for the truncation, that of truncated_normal is not. Mind that
``normal(0.02)`` has the mean 0.02 here, as in PyTorch and Keras: JAX's is ``normal(std=0.02)``; and that PyTorch's
``trunc_normal_`` has its bounds in the units of the weights, ours in standard deviations.
"""

from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.depth_and_width import gpt2_residual, mup_hidden, mup_input, mup_output
from pyinit.initializers.distributions import (
    Constant,
    Normal,
    TruncatedNormal,
    Uniform,
    big,
    constant,
    normal,
    ones,
    small,
    truncated_normal,
    uniform,
    zeros,
)
from pyinit.initializers.fans import fans
from pyinit.initializers.gains import gain
from pyinit.initializers.haar import DeltaOrthogonal, Orthogonal, delta_orthogonal, orthogonal
from pyinit.initializers.kaiming import (
    he_normal,
    he_truncated_normal,
    he_uniform,
    kaiming_normal,
    kaiming_truncated_normal,
    kaiming_uniform,
)
from pyinit.initializers.lecun import lecun_normal, lecun_truncated_normal, lecun_uniform
from pyinit.initializers.scaling import InverseFanIn, VarianceScaling, inverse_fan_in, variance_scaling
from pyinit.initializers.structured import Dirac, Identity, Sparse, dirac, eye, identity, sparse
from pyinit.initializers.xavier import (
    glorot_normal,
    glorot_truncated_normal,
    glorot_uniform,
    xavier_normal,
    xavier_truncated_normal,
    xavier_uniform,
)

__all__ = [
    "Constant",
    "DeltaOrthogonal",
    "Dirac",
    "Identity",
    "InverseFanIn",
    "Normal",
    "Orthogonal",
    "Scheme",
    "Sparse",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "big",
    "constant",
    "delta_orthogonal",
    "dirac",
    "eye",
    "fans",
    "gain",
    "glorot_normal",
    "glorot_truncated_normal",
    "glorot_uniform",
    "gpt2_residual",
    "he_normal",
    "he_truncated_normal",
    "he_uniform",
    "identity",
    "inverse_fan_in",
    "kaiming_normal",
    "kaiming_truncated_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_truncated_normal",
    "lecun_uniform",
    "mup_hidden",
    "mup_input",
    "mup_output",
    "normal",
    "ones",
    "orthogonal",
    "scheme",
    "small",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_truncated_normal",
    "xavier_uniform",
    "zeros",
]
