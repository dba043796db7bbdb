"""Files of initial weights, .npy, .npz, .safetensors and Zarr arrays, larger than memory if need be.

The file holds what the scheme writes into one array of that shape, bit for bit. It is made in pieces and appears under
its name when it is whole.
"""

from pyinit.files.filling import SUFFIXES, Filled, fill

__all__ = ["SUFFIXES", "Filled", "fill"]


def __dir__() -> list[str]:
    return __all__
