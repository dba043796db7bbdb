"""Initialisation schemes: small frozen values that fill an array in place from a stream.

Call a scheme as ``scheme(out, stream)``; it returns ``out``. The scheme chooses the distribution and its spread; the
stream makes the random numbers. Schemes print as the expression that makes them, compare by value, and pickle. `scheme`
makes them from strings and dicts, and `pyinit.initialize` fills a model's parameters by a plan.

The functions in lower case make schemes. Most are one-line specialisations of a few classes: `Constant`, `Uniform`,
`Normal`, `TruncatedNormal`, and `VarianceScaling`, whose spread follows from the shape of the tensor. The names in
other libraries are:

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

Keras and JAX arrays are ``(*kernel, in, out)``: pass ``layout="in_out"`` for them. All schemes in a row have the same
variance. As in Keras and JAX, the variance of fan-based schemes is corrected for the truncation, that of
truncated_normal is not. Note that ``normal(0.02)`` has mean 0.02 here, as in PyTorch and Keras; JAX's ``normal(0.02)``
is ``normal(std=0.02)``. The bounds of PyTorch's ``trunc_normal_`` are values of weights; ours are in standard
deviations.
"""

from pyinit.initializers import depth_and_width, distributions, haar, kaiming, lecun, scaling, structured, xavier
from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.depth_and_width import *
from pyinit.initializers.distributions import *
from pyinit.initializers.fans import fans
from pyinit.initializers.gains import gain
from pyinit.initializers.haar import *
from pyinit.initializers.kaiming import *
from pyinit.initializers.lecun import *
from pyinit.initializers.scaling import *
from pyinit.initializers.structured import *
from pyinit.initializers.xavier import *

__all__ = ["Scheme", "fans", "gain", "scheme"]
__all__ += depth_and_width.__all__
__all__ += distributions.__all__
__all__ += haar.__all__
__all__ += kaiming.__all__
__all__ += lecun.__all__
__all__ += scaling.__all__
__all__ += structured.__all__
__all__ += xavier.__all__


def __dir__() -> list[str]:
    return __all__
