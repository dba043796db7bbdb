"""Arrays that pyinit can fill: views of anything whose memory can be written in place, without a copy."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core, cuda, opencl
from pyinit.kernels.device_arrays import DeviceArray

__all__ = ["BFLOAT16", "FLOAT8_E4M3FN", "FLOAT8_E5M2", "dtype_of", "on_host", "view"]

Array = TypeVar("Array")

BFLOAT16 = _core.RECORDS["bfloat16"]
FLOAT8_E4M3FN = _core.RECORDS["float8_e4m3fn"]
FLOAT8_E5M2 = _core.RECORDS["float8_e5m2"]
"""The dtypes of arrays of types that NumPy lacks: records. ml_dtypes' types of these names are accepted too."""


def __dir__() -> list[str]:
    return __all__


INSTEAD: dict[type | tuple[type, ...], str] = {
    (int, tuple): "; stream.normal(shape) and its like make a new array",
    dict: (
        "; give each array a name of its own, such as 'layer.weight'; pyinit.adapters.jax.initialize takes nested dicts"
    ),
}
"""What to do instead of giving an argument of this type."""


def dtype_of(dtype: Any) -> np.dtype[Any]:
    """Return the NumPy dtype for a dtype of NumPy, ml_dtypes or torch, or for a name.

    Parameters
    ----------
    dtype : dtype or str
        A name may be torch's, as in "torch.float32". NumPy lacks torch's "bfloat16", "float8_e4m3fn" and
        "float8_e5m2": for these the result is the record of that name.

    Raises
    ------
    TypeError
        If `dtype` is none of these.

    Examples
    --------
    >>> dtypes = [pyinit.arrays.dtype_of(name) for name in ("bfloat16", "torch.bfloat16")]
    >>> dtypes[0] == dtypes[1] == pyinit.arrays.BFLOAT16
    True
    """
    return _core.dtype_of(dtype)


def view(out: Any) -> NDArray[Any] | DeviceArray:
    """View `out` without a copy: an array on a device as a `DeviceArray`, any other as `on_host` does.

    Examples
    --------
    >>> pyinit.arrays.view(memoryview(bytearray(3))).shape
    (3,)
    """
    if isinstance(out, np.ndarray):
        return out
    if (seen := _tensor_on_host(out)) is not None:
        return seen
    there: DeviceArray | None = cuda.view(out)
    if there is None and not _is_a(out, "torch", "Tensor"):
        there = out if isinstance(out, DeviceArray) else opencl.view(out)
    return on_host(out) if there is None else there


def on_host(out: Any) -> NDArray[Any]:
    """View `out` as a NumPy array of the same memory.

    Parameters
    ----------
    out : object
        A NumPy array or memmap, a torch CPU tensor, or any object with DLPack, `__array_interface__` or the buffer
        protocol; of any shape and strides.

    Returns
    -------
    numpy.ndarray
        Shares the memory of `out`. It may be read-only: check before writing. torch's bfloat16 becomes `BFLOAT16`.

    Raises
    ------
    TypeError
        If `out` is none of these, is immutable, as JAX's arrays are, or is not in host memory.

    Examples
    --------
    >>> from array import array
    >>> a = array("f", [0.0, 0.0])
    >>> pyinit.arrays.on_host(a)[1] = 3.0
    >>> a
    array('f', [0.0, 3.0])
    """
    if isinstance(out, np.ndarray):
        return out
    if _is_a(out, "torch", "Tensor"):
        if out.is_meta:
            raise TypeError(
                "out must have memory; got a tensor on the meta device: module.to_empty(device=...) allocates a "
                "module's, and pyinit.adapters.torch.materialize that of a module built inside deferred()"
            )
        return _viewed(out, _from_torch)
    hint = next((text for kind, text in INSTEAD.items() if isinstance(out, kind)), "")
    refused = TypeError(f"out must be an array that can be written in place; got {type(out).__name__}{hint}")
    if isinstance(out, (type, list, tuple, str, bytes, int, float, complex, np.generic, type(None))):
        raise refused
    if _is_a(out, "jax", "Array"):
        raise TypeError(
            "out must be an array that can be written in place, and JAX's are immutable: "
            "make a NumPy array, stream.normal(shape) for one, and give it to jax.numpy.asarray"
        )
    if hasattr(out, "__array_interface__"):
        return np.asarray(out)
    if hasattr(out, "__dlpack__"):
        return _viewed(out, np.from_dlpack)
    try:
        return np.asarray(memoryview(out))
    except TypeError:
        raise refused from None


def mark_modified(*arrays: Any) -> None:
    """Tell the owners of arrays that their values have changed."""
    if (torch := sys.modules.get("torch")) is None:
        return
    for array in arrays:
        # Autograd then raises if a graph still needs the old values.
        if isinstance(array, torch.Tensor) and not array.is_inference():
            torch.autograd.graph.increment_version(array)


def _tensor_on_host(out: Any) -> NDArray[Any] | None:
    """View a plain CPU tensor, faster than `Tensor.numpy`; None for anything else."""
    torch = sys.modules.get("torch")
    try:
        if torch is None or not (type(out) is torch.Tensor or type(out) is torch.nn.Parameter) or not out.is_cpu:
            return None
    except AttributeError:  # torch is still being imported
        return None
    # Call the class's methods: the tensor itself may have attributes of the same names.
    tensor, dtype = torch.Tensor, dtype_of_torch(out.dtype)
    if dtype is None or out.layout is not torch.strided or tensor.is_neg(out):
        return None
    address, strides = tensor.data_ptr(out), tensor.stride(out)
    return _core.array_at(address, out.shape, strides, dtype, True, _lent(torch, out), dtype.itemsize)


def _lent(torch: Any, tensor: Any) -> _core.Lent:
    """Give the memory of a tensor. It outlives the tensor, but can be resized."""
    storage = torch.UntypedStorage
    return _core.Lent(torch.Tensor.untyped_storage(tensor), storage.data_ptr, storage.nbytes)


def _is_a(out: Any, module: str, name: str) -> bool:
    """Whether `out` is an instance of a package's class, without importing the package."""
    package = sys.modules.get(module)
    kind = getattr(package, name, None)
    return isinstance(kind, type) and isinstance(out, kind)


def _viewed(out: Any, by: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
    try:
        return by(out)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(out).__name__} of {getattr(out, 'dtype', 'unknown dtype')}"
        raise TypeError(f"out must be an array that NumPy can view in place; got {kind}: {error}") from None


@cache
def dtype_of_torch(dtype: Any) -> np.dtype[Any] | None:
    """Give the NumPy dtype or record for a torch dtype that the fills take, otherwise None."""
    name = str(dtype).removeprefix("torch.")
    return _core.RECORDS.get(name) or (np.dtype(name) if name in ("bool", *_core.DTYPES) else None)


def _from_torch(tensor: Any) -> NDArray[Any]:
    # torch exports no tensor that requires gradients; only the values matter here.
    torch, values = sys.modules["torch"], tensor.detach() if tensor.requires_grad else tensor
    record = _core.RECORDS.get(str(values.dtype).removeprefix("torch."))
    if record is None:
        seen = values.numpy()
    else:
        seen = values.view(torch.uint8 if record.itemsize == 1 else torch.int16).numpy().view(record)
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may override anything, but not its storage
        memory = _lent(torch, tensor)
    address, writeable = seen.__array_interface__["data"][0], seen.flags.writeable
    return _core.array_at(address, seen.shape, seen.strides, seen.dtype, writeable, memory)
