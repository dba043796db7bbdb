"""Distributions to fill from: values that are checked once, and that compare, print and pickle.

>>> from pyinit.distributions import truncated_normal
>>> distribution = truncated_normal(std=0.02, lower=-3.0, upper=3.0)
>>> _ = pyinit.Stream(seed=0).fill(np.empty(10, np.float32), distribution)
"""

from pyinit import _core
from pyinit._core import Distribution, bits, constant
from pyinit.hints import explained, right_call

__all__ = ["Distribution", "bits", "constant", "normal", "truncated_normal", "uniform"]

normal = explained(right_call)(_core.normal)
truncated_normal = explained(right_call)(_core.truncated_normal)
uniform = explained(right_call)(_core.uniform)
for made in (normal, truncated_normal, uniform):
    made.__module__ = __name__  # where pickle finds them
del made


def __dir__() -> list[str]:
    return __all__
