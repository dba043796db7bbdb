"""Distributions: what a fill draws, as values that are checked once, compare, print and pickle.

>>> distribution = pyinit.distributions.truncated_normal(std=0.02, lower=-3.0, upper=3.0)
>>> _ = pyinit.Stream(seed=0).fill(np.empty(10, np.float32), distribution)
"""

from pyinit._core import Distribution, bits, constant, normal, truncated_normal, uniform

__all__ = ["Distribution", "bits", "constant", "normal", "truncated_normal", "uniform"]


def __dir__() -> list[str]:
    return __all__
