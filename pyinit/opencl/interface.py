"""Views of pyopencl's arrays."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.device_arrays import geometry
from pyinit.opencl.arrays import ClArray
from pyinit.opencl.driver import pyopencl


def view(out: Any) -> ClArray | None:
    """View an array of pyopencl.

    Parameters
    ----------
    out : object
        A `pyopencl.array.Array`, of any strides and offset. It needs a queue, which orders the fill.

    Returns
    -------
    ClArray or None
        None for anything else.

    Raises
    ------
    TypeError
        If the array is in shared virtual memory.
    ValueError
        If it has no queue, is not aligned to its elements, or is not inside its buffer.

    Examples
    --------
    >>> print(pyinit.opencl.view(np.zeros(3)))
    None
    """
    module = sys.modules.get("pyopencl.array")
    if module is None or not isinstance(out, module.Array):
        return None
    array = geometry(out.shape, out.strides, out.dtype)
    if out.size:
        _check(out, array)
        if out.base_data.flags & pyopencl().mem_flags.READ_ONLY:
            array.flags.writeable = False
    return ClArray(array, out.offset, out)


def _check(out: Any, array: NDArray[Any]) -> None:
    if not isinstance(out.base_data, pyopencl().MemoryObjectHolder):
        raise TypeError(
            f"out must be in an OpenCL buffer; got one in shared virtual memory, {type(out.base_data).__name__}"
        )
    if out.queue is None:
        raise ValueError("out must have a queue, which orders the fill: give it one by out.with_queue(queue)")
    low, high = _core.extent(array)
    before = array.__array_interface__["data"][0] - low
    if out.offset < before or out.offset - before + high - low > out.base_data.size:
        raise ValueError(
            f"out must lie inside its buffer of {out.base_data.size} bytes; got offset {out.offset}, "
            f"shape {out.shape} and strides {out.strides}"
        )
    if any(n % out.dtype.itemsize for n in (out.offset, *(s for s, n in zip(out.strides, out.shape) if n > 1))):
        raise ValueError(
            f"out must be aligned to its elements; got {out.dtype} at offset {out.offset} with strides {out.strides}"
        )
