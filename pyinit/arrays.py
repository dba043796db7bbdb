"""What an array is: anything whose memory can be written in place, seen as a NumPy array without a copy."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def on_host(out: Any) -> NDArray[Any]:
    """View `out` as a NumPy array of the same memory.

    Parameters
    ----------
    out : object
        A NumPy array or memmap, a torch CPU tensor, or whatever offers DLPack, `__array_interface__`
        or the buffer protocol; of any shape.

    Returns
    -------
    numpy.ndarray
        Shares the memory of `out`. Whether it is writable is for the caller to ask.

    Raises
    ------
    TypeError
        If `out` is none of these, or lies elsewhere than in host memory.

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
    if hasattr(out, "__array_interface__"):
        return np.asarray(out)
    if hasattr(out, "__dlpack__"):
        return _from_dlpack(out)
    try:
        return np.asarray(memoryview(out))
    except TypeError:
        raise refused from None


def _from_dlpack(out: Any) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    try:
        return _from_torch(torch, out) if torch and isinstance(out, torch.Tensor) else np.from_dlpack(out)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(out).__name__} of {getattr(out, 'dtype', 'unknown dtype')}"
        raise TypeError(f"out must be an array that NumPy can view in place; got {kind}: {error}") from None


def _from_torch(torch: Any, tensor: Any) -> NDArray[Any]:
    # A parameter asks for gradients, and then exports nothing; its values alone are meant here.
    view: NDArray[Any] = tensor.detach().numpy()
    # Autograd is told that they change, so that a graph that still needs the old ones says so.
    if not tensor.is_inference():
        torch.autograd.graph.increment_version(tensor)
    return view
