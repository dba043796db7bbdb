"""Arrays on a GPU, as `__cuda_array_interface__` describes them."""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit._core import DTYPES, RECORDS, extent
from pyinit.cuda.arrays import CudaArray
from pyinit.kernels.device_arrays import geometry


def view(out: Any) -> CudaArray | None:
    """See an array on a GPU as `__cuda_array_interface__` describes it.

    Parameters
    ----------
    out : object
        A CuPy or Numba array, a torch tensor on CUDA, or whatever offers `__cuda_array_interface__`.

    Returns
    -------
    CudaArray or None
        None for what is no such array: host arrays, and JAX's, which are immutable.

    Raises
    ------
    TypeError
        If the interface lacks something or its type is unknown.
    ValueError
        If the array is masked, or not aligned to its elements.

    Examples
    --------
    >>> print(pyinit.cuda.view(np.zeros(3)))
    None
    """
    modules = sys.modules
    if (cupy := modules.get("cupy")) is not None and type(out) is cupy.ndarray:
        return of_cupy(out)
    if (torch := modules.get("torch")) is not None and isinstance(out, torch.Tensor):
        return of_tensor(out) if out.is_cuda and out.layout is torch.strided else None
    if isinstance(out, type) or ((jax := modules.get("jax")) is not None and isinstance(out, jax.Array)):
        return None
    interface = getattr(out, "__cuda_array_interface__", None)
    return None if interface is None else of_interface(interface, out)


def of_tensor(tensor: Any) -> CudaArray:
    """See a tensor of torch: what its interface says in microseconds, and refuses of one that asks for gradients."""
    dtype = named(tensor.dtype)
    if tensor.is_neg():
        raise TypeError("out must hold its own values; got a tensor that negates those in its memory")
    device = tensor.get_device()
    stream = sys.modules["torch"]._C._cuda_getCurrentRawStream(device)  # torch.cuda.current_stream takes 3 us more
    seen = geometry(tensor.shape, tensor.stride(), dtype, unit=dtype.itemsize)
    pointer, storage = tensor.data_ptr(), tensor.untyped_storage()
    low, high = extent(seen) if seen.size else (0, 0)
    if not 0 <= pointer - storage.data_ptr() <= storage.nbytes() - (high - low) and seen.size:
        raise ValueError(
            f"out must have memory for all of its elements; got shape {seen.shape} with {storage.nbytes()} bytes of "
            "it, as FSDP leaves some"
        )
    return CudaArray(seen, pointer, stream, device)


def of_cupy(array: Any) -> CudaArray:
    """Read an array of CuPy directly: its interface would take longer than the rest of a small fill."""
    data = array.data
    seen = geometry(array.shape, array.strides, array.dtype)
    return CudaArray(aligned(seen, data.ptr), data.ptr, None, data.device_id)


def aligned(seen: NDArray[Any], pointer: int) -> NDArray[Any]:
    """Give a geometry; ValueError if an element is not at a multiple of its size, where a GPU cannot write it."""
    size = seen.itemsize or 1
    if pointer % size or not (
        seen.flags.c_contiguous or all(s % size == 0 or n <= 1 for s, n in zip(seen.strides, seen.shape))
    ):
        raise ValueError(
            f"out must be aligned to its elements on a GPU; got {seen.dtype} at address {pointer:#x} with strides "
            f"{seen.strides}"
        )
    return seen


@cache
def named(dtype: Any) -> np.dtype[Any]:
    """Give NumPy's dtype for one of torch's, or raise TypeError."""
    name = str(dtype).removeprefix("torch.")
    try:
        return RECORDS[name] if name in RECORDS else np.dtype(name)
    except TypeError:
        raise TypeError(f"out must have dtype {', '.join(DTYPES)}; got {name}") from None


def of_interface(interface: Any, owner: Any) -> CudaArray:
    """Read and check the interface of an array."""
    try:
        shape = tuple(map(int, interface["shape"]))
        pointer, read_only = interface["data"]
        dtype = np.dtype(interface["typestr"])
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(
            "out must have a __cuda_array_interface__ with shape, typestr and data; "
            f"{type(owner).__name__} has one that cannot be read: {error!r}"
        ) from None
    if interface.get("mask") is not None:
        raise ValueError("out must have no mask; got a masked array")
    record = RECORDS.get(str(getattr(owner, "dtype", "")).rpartition(".")[2])  # of which NumPy has no typestr
    if record is not None and record.itemsize == dtype.itemsize:
        dtype = record
    strides = interface.get("strides")
    if strides is None:
        strides = [math.prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape))]
    seen = aligned(geometry(shape, strides, dtype, read_only), pointer or 0)
    if not pointer and seen.size:
        raise ValueError("out must have memory; got an array at address 0")
    return CudaArray(seen, pointer or 0, interface.get("stream"))
