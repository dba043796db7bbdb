"""Arrays of pyopencl, filled by kernels made of the core's own headers: the bits are the host's."""

from pyinit.opencl.interface import view

__all__ = ["view"]


def __dir__() -> list[str]:
    return __all__
