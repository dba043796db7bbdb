"""Arrays of pyopencl, filled by kernels from the core's own headers: GPU and CPU results are bit-identical."""

from pyinit.opencl.interface import view

__all__ = ["view"]


def __dir__() -> list[str]:
    return __all__
