"""A fill of an array on a device as a job: what the core checks, claims and computes before a kernel starts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.layouts import Layout, layout


class Job(NamedTuple):
    """The generator, method and dtype that name a kernel, the `pyi_job` of job.h, and where the samples go."""

    kind: tuple[int, int, int]
    constants: bytes
    layout: Layout


def prepare(
    write: Callable[..., Any],
    state: _core.StreamState,
    geometry: NDArray[Any],
    arguments: tuple[Any, ...],
    ready: Callable[[], None],
) -> Job | None:
    """Check a fill, claim its words, and make its job.

    Parameters
    ----------
    write : function
        `_core.fill_bits` or one of its kind.
    state : StreamState
    geometry : numpy.ndarray
        Of the shape, strides, dtype and flags of the array on the device; its elements are not touched.
    arguments : tuple
        Of `write`: the distribution's parameters, then global_shape, offset and num_threads.
    ready : function
        Called once all is checked and nothing claimed: to raise what the device lacks. Not for an array without
        elements.

    Returns
    -------
    Job or None
        None where there is nothing to write.

    Raises
    ------
    TypeError, ValueError
        As for `Stream.fill_normal`.
    """
    kind, constants = write(state, geometry, *arguments, ready=ready if geometry.size else _nothing)
    if not geometry.size:
        return None
    *_, global_shape, offset, _ = arguments
    if global_shape is not None:
        global_shape, offset = _core.checked_window(geometry, global_shape, offset)
    return Job(kind, constants, layout(geometry.shape, geometry.strides, geometry.itemsize, global_shape, offset))


def _nothing() -> None:
    pass
