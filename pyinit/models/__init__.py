"""Whole models: many parameters, each filled from its own stream, which its name selects.

`initialize` matches names with patterns. `fill` takes parameters with their schemes. `shards` computes the blocks of a
tensor that a process holds.
"""

from pyinit.models.filling import Parameter, fill
from pyinit.models.plan import initialize
from pyinit.models.sharding import Cut, Shard, shards

__all__ = ["Cut", "Parameter", "Shard", "fill", "initialize", "shards"]


def __dir__() -> list[str]:
    return __all__
