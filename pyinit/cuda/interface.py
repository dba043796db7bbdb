"""Arrays on a GPU, as `__cuda_array_interface__` describes them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pyinit._core import BFLOAT16
from pyinit.cuda.arrays import CudaArray


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
    torch, stream = sys.modules.get("torch"), None
    dtype = str(getattr(out, "dtype", ""))
    if torch and isinstance(out, torch.Tensor):
        if not out.is_cuda:
            return None
        out = out.detach()  # a parameter asks for gradients, and then exports nothing
        stream = torch.cuda.current_stream(out.device).cuda_stream
    jax = sys.modules.get("jax")
    if isinstance(out, type) or (jax and isinstance(out, jax.Array)):
        return None
    interface = getattr(out, "__cuda_array_interface__", None)
    if interface is None:
        return None
    array = described(interface, type(out).__name__, BFLOAT16 if dtype.endswith("bfloat16") else None)
    return array if stream is None else replace(array, stream=stream)


def described(interface: Any, name: str, dtype: np.dtype[Any] | None) -> CudaArray:
    """Read and check an interface of an array of the type `name`; `dtype` where NumPy has none of its typestr."""
    try:
        shape = tuple(map(int, interface["shape"]))
        pointer, read_only = interface["data"]
        if dtype is None:
            dtype = np.dtype(interface["typestr"])
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(
            f"out must have a __cuda_array_interface__ with shape, typestr and data; {name} has one "
            f"that cannot be read: {error!r}"
        ) from None
    if interface.get("mask") is not None:
        raise ValueError("out must have no mask; got a masked array")
    strides = interface.get("strides")
    if strides is None:
        strides = tuple(math.prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape)))
    if any(n % max(dtype.itemsize, 1) for n in (pointer or 0, *(s for s, n in zip(strides, shape) if n > 1))):
        raise ValueError(
            f"out must be aligned to its elements on a GPU; got {dtype} at address {pointer:#x} with strides {strides}"
        )
    geometry = as_strided(np.empty(1, dtype), shape, strides, writeable=not read_only)
    return CudaArray(geometry, pointer or 0, interface.get("stream"))
