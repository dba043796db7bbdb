"""Arrays on NVIDIA GPUs, filled by kernels made of the core's own headers: the bits are the host's."""

from pyinit.cuda.driver import cupy
from pyinit.cuda.interface import view

__all__ = ["cupy", "view"]


def __dir__() -> list[str]:
    return __all__
