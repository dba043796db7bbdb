"""pyopencl, imported on first use, and the properties that a device needs for the same bits as the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinit import _core
from pyinit.kernels.device_arrays import KernelKey

ARITHMETIC = {
    "FMA": "a fused multiply-add",
    "ROUND_TO_NEAREST": "rounding to nearest",
    "DENORM": "subnormal numbers",
    "INF_NAN": "infinities",
    "CORRECTLY_ROUNDED_DIVIDE_SQRT": "correctly rounded quotients and square roots",
}


def pyopencl() -> Any:
    """Return the module; raise an ImportError that says how to install it."""
    try:
        import pyopencl
    except ImportError:
        raise ImportError(
            "an array of OpenCL needs pyopencl: pip install pyopencl, and an OpenCL driver; pyopencl[pocl] brings one "
            "for CPUs"
        ) from None
    return pyopencl


def check_device(device: Any, key: KernelKey) -> None:
    """Raise RuntimeError if a device cannot make the samples of a kernel bit for bit."""
    arithmetic = pyopencl().device_fp_config
    missing = [what for flag, what in ARITHMETIC.items() if not device.single_fp_config & getattr(arithmetic, flag)]
    if key.dtype == _core.DTYPES["float64"].number and not has_doubles(device):
        missing.append("float64")
    if not device.endian_little:
        missing.append("little-endian memory")
    if not device.compiler_available:
        missing.append("a compiler")
    if missing:
        raise RuntimeError(f"the OpenCL device {device.name} lacks what the samples need: {', '.join(missing)}")


def has_doubles(device: Any) -> bool:
    """Whether a device computes with float64; if so, OpenCL guarantees everything that the samples need."""
    return "cl_khr_fp64" in device.extensions.split()


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Turn OpenCL's out-of-memory errors into MemoryError."""
    cl = pyopencl()
    codes = cl.status_code
    lacking = (
        codes.MEM_OBJECT_ALLOCATION_FAILURE,
        codes.OUT_OF_RESOURCES,
        codes.OUT_OF_HOST_MEMORY,
        codes.INVALID_BUFFER_SIZE,
    )
    try:
        yield
    except cl.Error as error:
        if error.code not in lacking:
            raise
        raise MemoryError(f"too little memory for {what}; OpenCL says: {error}") from None
