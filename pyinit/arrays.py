"""What an array is: anything whose memory can be written in place, seen where it lies, without a copy."""

import sys
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import cuda, opencl
from pyinit.kernels.views import View

Array = TypeVar("Array")

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""How a bfloat16 looks to NumPy, which has none of its own: a record of that name. ml_dtypes' type is taken too."""


def view(out: Any) -> NDArray[Any] | View:
    """View `out` where it lies: an array on a device as a `View`, another as `on_host` does.

    Examples
    --------
    >>> pyinit.arrays.view(memoryview(bytearray(3))).shape
    (3,)
    """
    if isinstance(out, (np.ndarray, View)):
        return out
    for there in (cuda.view(out), opencl.view(out)):
        if there is not None:
            return there
    return on_host(out)


def on_host(out: Any) -> NDArray[Any]:
    """View `out` as a NumPy array of the same memory.

    Parameters
    ----------
    out : object
        A NumPy array or memmap, a torch CPU tensor, or whatever offers DLPack, `__array_interface__`
        or the buffer protocol; of any shape and strides.

    Returns
    -------
    numpy.ndarray
        Shares the memory of `out`. Whether it is writable is for the caller to ask. The dtype of torch's
        bfloat16 is `BFLOAT16`.

    Raises
    ------
    TypeError
        If `out` is none of these, is immutable as JAX's arrays are, or lies elsewhere than in host memory.

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
    refused = TypeError(f"out must be an array that can be written in place; got {type(out).__name__}")
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
        return _from_dlpack(out)
    try:
        return np.asarray(memoryview(out))
    except TypeError:
        raise refused from None


def written(out: Array) -> Array:
    """Tell the owner of `out` that its values have changed; returns `out`."""
    if not isinstance(out, np.ndarray) and _is_a(out, "torch", "Tensor") and not out.is_inference():  # type: ignore[attr-defined]
        # So autograd says so, should a graph still need the old ones.
        sys.modules["torch"].autograd.graph.increment_version(out)
    return out


def _is_a(out: Any, module: str, name: str) -> bool:
    """Whether `out` is an instance of a class of a package that may not even be imported."""
    package = sys.modules.get(module)
    kind = getattr(package, name, None)
    return isinstance(kind, type) and isinstance(out, kind)


def _from_dlpack(out: Any) -> NDArray[Any]:
    try:
        return _from_torch(out) if _is_a(out, "torch", "Tensor") else np.from_dlpack(out)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(out).__name__} of {getattr(out, 'dtype', 'unknown dtype')}"
        raise TypeError(f"out must be an array that NumPy can view in place; got {kind}: {error}") from None


def _from_torch(tensor: Any) -> NDArray[Any]:
    # A parameter asks for gradients, and then exports nothing; its values alone are meant here.
    torch, values = sys.modules["torch"], tensor.detach()
    if values.dtype is torch.bfloat16:
        return values.view(torch.int16).numpy().view(BFLOAT16)  # type: ignore[no-any-return]
    return values.numpy()  # type: ignore[no-any-return]
