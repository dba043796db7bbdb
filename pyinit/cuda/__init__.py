"""Fills of arrays on a GPU, by kernels made of the core's own headers: the bits are the host's."""

from pyinit.cuda.interface import holds
from pyinit.cuda.launch import fill

__all__ = ["fill", "holds"]
