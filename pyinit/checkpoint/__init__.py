"""Checkpoints of initial weights: write them at the disk's speed, and compare any checkpoint with what a seed gives.

`write` makes a folder as Hugging Face lays it out, from a plan, a configuration, a model of PyTorch or another
checkpoint. `verify` tells which tensors of a checkpoint have their initial values. `against` tells which tensors of two
checkpoints differ, and by how much.
"""

from pyinit.checkpoint.moving import Moved, against
from pyinit.checkpoint.verifying import verify
from pyinit.checkpoint.writing import Written, write

__all__ = ["Moved", "Written", "against", "verify", "write"]


def __dir__() -> list[str]:
    return __all__
