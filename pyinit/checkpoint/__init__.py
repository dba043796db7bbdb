"""Checkpoints of initial weights: write them at the disk's speed, and compare any checkpoint with a seed's weights.

`write` makes a folder in Hugging Face's layout, from a plan, a configuration, a PyTorch model or another checkpoint.
`verify` finds out which tensors of a checkpoint have their initial values. `against` finds out which tensors of two
checkpoints differ, and by how much.
"""

from pyinit.checkpoint.moving import Moved, against
from pyinit.checkpoint.verifying import verify
from pyinit.checkpoint.writing import Written, write

__all__ = ["Moved", "Written", "against", "verify", "write"]


def __dir__() -> list[str]:
    return __all__
