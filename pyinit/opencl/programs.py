"""The kernels' programs, each built once for a context."""

from __future__ import annotations

from typing import Any

from pyinit import _core
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.sources import OPENCL_OPTIONS, WITHOUT_DOUBLES, source, text
from pyinit.opencl.driver import has_doubles, memory_for, pyopencl


def fills(context: Any, device: Any, key: KernelKey) -> Any:
    """Give the program of the two kernels of a key, for a device of a context."""
    return _kept(_fills, context, device, key)


def placing(context: Any, device: Any) -> Any:
    """Give the program that puts elements where those of an array lie."""
    return _kept(_placing, context, device)


def _kept(build: Any, context: Any, *arguments: Any) -> Any:
    # Among what pyopencl keeps for a context, until its clear_first_arg_caches.
    return pyopencl().tools.first_arg_dependent_memoize(build)(context, *arguments)


def _fills(context: Any, device: Any, key: KernelKey) -> Any:
    options = OPENCL_OPTIONS if has_doubles(device) else (*OPENCL_OPTIONS, WITHOUT_DOUBLES)
    return build(context, device, source(key, _core.JOB_BYTES, "OPENCL"), options)


def _placing(context: Any, device: Any) -> Any:
    return build(context, device, text("assign.cl"), OPENCL_OPTIONS)


def build(context: Any, device: Any, code: str, options: tuple[str, ...]) -> Any:
    """Build a program for a device of a context."""
    with memory_for("a kernel"):
        return pyopencl().Program(context, code).build(list(options), devices=[device])
