"""Build the kernels' programs, and keep them: a context loads each once, and the disk has them for other processes."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from pyinit import _core
from pyinit.kernels import cache
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.sources import OPENCL_OPTIONS, WITHOUT_DOUBLES, source, text
from pyinit.opencl.driver import has_doubles, memory_for, pyopencl


def fills(context: Any, device: Any, key: KernelKey) -> Any:
    """Return a kernel's program for a device of a context."""
    return _kept(_fills, context, device, key)


def placing(context: Any, device: Any) -> Any:
    """Return the program that writes given elements into an array of any strides."""
    return _kept(_placing, context, device)


def _kept(build: Any, context: Any, *arguments: Any) -> Any:
    # pyopencl keeps it with the context, until its clear_first_arg_caches.
    return pyopencl().tools.first_arg_dependent_memoize(build)(context, *arguments)


def _fills(context: Any, device: Any, key: KernelKey) -> Any:
    options = OPENCL_OPTIONS if has_doubles(device) else (*OPENCL_OPTIONS, WITHOUT_DOUBLES)
    return build(context, device, source(key, _core.JOB_BYTES, "OPENCL"), options)


def _placing(context: Any, device: Any) -> Any:
    return build(context, device, text("assign.cl"), OPENCL_OPTIONS)


def build(context: Any, device: Any, code: str, options: tuple[str, ...]) -> Any:
    """Build a program for a device of a context: from the disk, otherwise from its source, and keep it there."""
    cl = pyopencl()
    entry = cache.entry("OpenCL", code, options, *target(device))
    binary = cache.read(entry)
    with memory_for("a kernel"):
        if binary is not None:
            with suppress(cl.Error):  # a driver may refuse its own binary
                return cl.Program(context, [device], [binary]).build(list(options))
        # pyopencl's own cache is off: it crashes on a damaged file and waits a minute for a killed process's lock.
        program = cl.Program(context, code).build(list(options), devices=[device], cache_dir=False)
    if entry is not None:
        with suppress(cl.Error):
            if binary := machine_code(program, device):
                cache.write(entry, binary)
    return program


def target(device: Any) -> tuple[object, ...]:
    """Return what determines the binary besides the text and the options: the device and its driver.

    pyopencl adds options from an environment variable.
    """
    platform = device.platform
    return (
        *(platform.vendor, platform.name, platform.version),
        *(device.vendor, device.name, device.version, device.driver_version),
        os.environ.get("PYOPENCL_BUILD_OPTIONS"),
    )


def machine_code(program: Any, device: Any) -> bytes | None:
    """Return the driver's binary of a program for a device; None if there is none, as with PoCL for a sub-device."""
    info = pyopencl().program_info
    binaries: dict[Any, bytes] = dict(zip(program.get_info(info.DEVICES), program.get_info(info.BINARIES)))
    return binaries.get(device)
