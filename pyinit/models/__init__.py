"""Whole models: many parameters, each from a stream of its own, by its name.

`initialize` matches names with patterns; `fill` takes parameters whose schemes are known; `shards` says which blocks of
a tensor a process holds.
"""

from pyinit.models.filling import Parameter, fill
from pyinit.models.plan import initialize
from pyinit.models.sharding import Cut, Shard, shards

__all__ = ["Cut", "Parameter", "Shard", "fill", "initialize", "shards"]


def __dir__() -> list[str]:
    return __all__
