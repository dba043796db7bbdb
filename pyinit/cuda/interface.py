"""Arrays on a GPU, as `__cuda_array_interface__` describes them."""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from pyinit import _core


def holds(out: Any) -> bool:
    """Whether `out` is an array on a GPU, that can be written in place.

    Parameters
    ----------
    out : object
        A CuPy or Numba array, a torch tensor on CUDA, or whatever offers `__cuda_array_interface__`. JAX's arrays,
        which are immutable, are none.

    Returns
    -------
    bool

    Examples
    --------
    >>> pyinit.cuda.holds(np.zeros(3))
    False
    """
    if isinstance(out, (np.ndarray, type)):
        return False
    tensor = _torch_tensor(out)
    if tensor is not None:
        return bool(tensor.is_cuda)
    jax = sys.modules.get("jax")
    return hasattr(out, "__cuda_array_interface__") and not (jax and isinstance(out, jax.Array))


def _torch_tensor(out: Any) -> Any:
    """The values of a torch tensor, a parameter's too; None for whatever else."""
    torch = sys.modules.get("torch")
    return out.detach() if torch and isinstance(out, torch.Tensor) else None


class Description(NamedTuple):
    """What `__cuda_array_interface__` says: an address, and an array of the same shape and strides over no memory."""

    pointer: int
    geometry: NDArray[Any]
    stream: int | None


def describe(out: Any) -> Description:
    """Read and check an array's `__cuda_array_interface__`.

    Parameters
    ----------
    out : object
        For which `holds` is true.

    Returns
    -------
    Description
        `geometry` is for its shape, strides, dtype and flags alone: its elements must not be touched.

    Raises
    ------
    TypeError
        If the interface lacks something or its type is unknown.
    ValueError
        If the array is masked, or not aligned to its elements.
    """
    tensor = _torch_tensor(out)
    interface = (out if tensor is None else tensor).__cuda_array_interface__
    try:
        shape = tuple(map(int, interface["shape"]))
        dtype, (pointer, read_only) = np.dtype(interface["typestr"]), interface["data"]
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(
            f"out must have a __cuda_array_interface__ with shape, typestr and data; {type(out).__name__} has one "
            f"that cannot be read: {error!r}"
        ) from None
    if interface.get("mask") is not None:
        raise ValueError("out must have no mask; got a masked array")
    if str(getattr(out, "dtype", "")).endswith("bfloat16"):
        dtype = _core.BFLOAT16
    strides = interface.get("strides")
    if strides is None:
        strides = tuple(math.prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape)))
    geometry = as_strided(np.empty(1, dtype), shape, strides, writeable=not read_only)
    if any(n % max(dtype.itemsize, 1) for n in (pointer or 0, *(s for s, n in zip(strides, shape) if n > 1))):
        raise ValueError(
            f"out must be aligned to its elements on a GPU; got {dtype} at address {pointer:#x} with strides {strides}"
        )
    if tensor is not None:
        return Description(pointer or 0, geometry, sys.modules["torch"].cuda.current_stream(out.device).cuda_stream)
    return Description(pointer or 0, geometry, interface.get("stream"))
