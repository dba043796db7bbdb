"""Arrays on a GPU, as `__cuda_array_interface__` describes them."""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

import numpy as np

from pyinit._core import DTYPES, RECORDS
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
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch and isinstance(out, torch.Tensor):
        return of_tensor(out) if out.is_cuda and out.layout is torch.strided else None
    if isinstance(out, type) or (jax and isinstance(out, jax.Array)):
        return None
    interface = getattr(out, "__cuda_array_interface__", None)
    return None if interface is None else of_interface(interface, out)


def of_tensor(tensor: Any) -> CudaArray:
    """See a tensor of torch: what its interface says in microseconds, and refuses of one that asks for gradients."""
    dtype = named(str(tensor.dtype).removeprefix("torch."))
    strides = [n * dtype.itemsize for n in tensor.stride()]
    stream = sys.modules["torch"].cuda.current_stream(tensor.device).cuda_stream
    return CudaArray(geometry(tuple(tensor.shape), strides, dtype), tensor.data_ptr(), stream)


@cache
def named(dtype: str) -> np.dtype[Any]:
    """Give the dtype of that name, or raise TypeError."""
    try:
        return RECORDS[dtype] if dtype in RECORDS else np.dtype(dtype)
    except TypeError:
        raise TypeError(f"out must have dtype {', '.join(DTYPES)}; got {dtype}") from None


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
    if any(n % max(dtype.itemsize, 1) for n in (pointer or 0, *(s for s, n in zip(strides, shape) if n > 1))):
        raise ValueError(
            f"out must be aligned to its elements on a GPU; got {dtype} at address {pointer:#x} with strides {strides}"
        )
    return CudaArray(geometry(shape, strides, dtype, read_only), pointer or 0, interface.get("stream"))
