"""Arrays on NVIDIA GPUs, filled by kernels from the core's own headers: GPU and CPU results are bit-identical."""

from pyinit.cuda.driver import cupy
from pyinit.cuda.interface import view

__all__ = ["cupy", "view"]


def __dir__() -> list[str]:
    return __all__
