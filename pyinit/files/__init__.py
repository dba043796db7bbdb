"""Files of initial weights, .npy and .safetensors, larger than memory if need be.

The file holds what the scheme writes into one array of that shape, bit for bit. It is made in pieces and appears under
its name when it is whole.
"""

from pyinit.files.filling import Filled, fill

__all__ = ["Filled", "fill"]
