"""A fill of an array on a device as a job: what the core checks, claims and computes before a kernel starts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.layouts import Layout, layout

Write = Callable[..., Any]
"""`_core.fill_bits` or one of its kind, which checks what it is given and claims the words."""
Kind = tuple[int, int, int]
"""A generator, a method and a dtype, as the core numbers them: what names a kernel."""


class Job(NamedTuple):
    """Which kernel, its constants (the `pyi_job` of job.h), and where the samples go."""

    kind: Kind
    constants: bytes
    layout: Layout


def prepare(
    write: Write,
    state: _core.StreamState,
    geometry: NDArray[Any],
    arguments: tuple[Any, ...],
    ready: Callable[[Kind], object],
) -> Job | None:
    """Check a fill, claim its words, and make its job.

    Parameters
    ----------
    write : Write
    state : StreamState
    geometry : numpy.ndarray
        Of the shape, strides, dtype and flags of the array on the device; its elements are not touched.
    arguments : tuple
        Of `write`: the distribution's parameters, then global_shape, offset and num_threads.
    ready : function
        Called once all is checked and nothing claimed, to raise what the device lacks; not for an array without
        elements, which needs no device.

    Returns
    -------
    Job or None
        None where there is nothing to write.

    Raises
    ------
    TypeError, ValueError
        As for `Stream.fill_normal`; and what `ready` raises.
    """
    kinds = []

    def asked(kind: Kind) -> None:
        if geometry.size:
            ready(kind)
        kinds.append(kind)

    _, constants = write(state, geometry, *arguments, ready=asked)
    if not geometry.size:
        return None
    *_, global_shape, offset, _ = arguments
    shape, strides, itemsize = geometry.shape, geometry.strides, geometry.itemsize
    if global_shape is not None:
        global_shape, offset = _core.checked_window(geometry, global_shape, offset)
    elif geometry.flags.c_contiguous:  # most are: one run
        shape, strides = (geometry.size,), (itemsize,)
    return Job(kinds[0], constants, layout(shape, strides, itemsize, global_shape, offset))
