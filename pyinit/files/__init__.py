"""Files of initial weights: .npy, .npz, .safetensors and Zarr arrays, which may be larger than memory.

The file holds the same bits that the scheme writes into an array of that shape. It is written in pieces and appears
under its name when it is complete.
"""

from pyinit.files.filling import SUFFIXES, Filled, fill

__all__ = ["SUFFIXES", "Filled", "fill"]


def __dir__() -> list[str]:
    return __all__
