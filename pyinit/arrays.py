"""What an array is: anything whose memory can be written in place, seen as a NumPy array without a copy."""

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
    if isinstance(out, (list, tuple, str, bytes, int, float, complex, np.generic, type(None))):
        raise TypeError(f"out must be an array that can be written in place; got {type(out).__name__}")
    # A torch parameter asks for gradients, and then exports nothing; its values alone are meant here.
    exporter = out.detach() if hasattr(out, "detach") else out
    if hasattr(exporter, "__array_interface__"):
        return np.asarray(exporter)
    if hasattr(exporter, "__dlpack__"):
        try:
            return np.from_dlpack(exporter)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"out cannot be seen as host memory: {type(out).__name__}: {error}") from None
    try:
        return np.asarray(memoryview(exporter))
    except TypeError:
        raise TypeError(f"out must be an array that can be written in place; got {type(out).__name__}") from None
