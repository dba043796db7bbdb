"""Views of arrays on a GPU, from torch, CuPy or `__cuda_array_interface__`."""

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
    """View an array on an NVIDIA GPU.

    Parameters
    ----------
    out : object
        A CuPy or Numba array, a torch tensor on CUDA, or any object with `__cuda_array_interface__`.

    Returns
    -------
    CudaArray or None
        None for anything else: host arrays, and JAX's, which are immutable.

    Raises
    ------
    TypeError
        If the interface is incomplete or its type is unknown.
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
    """Read a torch tensor directly: its interface is slow, and raises if gradients are required."""
    dtype = named(tensor.dtype)
    if tensor.is_neg():
        raise TypeError("out must hold its own values; got a torch tensor with its negative bit set")
    device = tensor.get_device()
    stream = sys.modules["torch"]._C._cuda_getCurrentRawStream(device)  # torch.cuda.current_stream takes 3 us more
    seen = geometry(tensor.shape, tensor.stride(), dtype, unit=dtype.itemsize)
    pointer, storage = tensor.data_ptr(), tensor.untyped_storage()
    low, high = extent(seen) if seen.size else (0, 0)
    if not 0 <= pointer - storage.data_ptr() <= storage.nbytes() - (high - low) and seen.size:
        raise ValueError(
            f"out must have memory for all of its elements; got shape {seen.shape} with {storage.nbytes()} bytes, as "
            "FSDP leaves some tensors"
        )
    return CudaArray(seen, pointer, stream, device)


def of_cupy(array: Any) -> CudaArray:
    """Read a CuPy array directly: its interface would take longer than the rest of a small fill."""
    data = array.data
    seen = geometry(array.shape, array.strides, array.dtype)
    return CudaArray(aligned(seen, data.ptr), data.ptr, None, data.device_id)


def aligned(seen: NDArray[Any], pointer: int) -> NDArray[Any]:
    """Return the geometry; raise ValueError if its elements are not aligned, as GPUs need."""
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
    """Return the NumPy dtype for a torch dtype; raise TypeError if there is none."""
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
    record = RECORDS.get(str(getattr(owner, "dtype", "")).rpartition(".")[2])  # NumPy has no typestr for these
    if record is not None and record.itemsize == dtype.itemsize:
        dtype = record
    strides = interface.get("strides")
    if strides is None:
        strides = [math.prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape))]
    seen = aligned(geometry(shape, strides, dtype, read_only), pointer or 0)
    if not pointer and seen.size:
        raise ValueError("out must have memory; got an array at address 0")
    return CudaArray(seen, pointer or 0, interface.get("stream"))
