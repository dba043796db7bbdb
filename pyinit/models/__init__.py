"""Whole models: many parameters, each from a stream of its own, by its name.

`initialize` matches names with patterns; `fill` takes parameters whose schemes are known.
"""

from pyinit.models.filling import Parameter, fill
from pyinit.models.plan import initialize

__all__ = ["Parameter", "fill", "initialize"]
