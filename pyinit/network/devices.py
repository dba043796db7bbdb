"""A network's device: the namespace that makes its arrays, and copies to and from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import cuda
from pyinit._core import text_of
from pyinit.cuda.driver import check_device

__all__ = ["as_array", "namespace", "on_host"]

Array = NDArray[Any]

# Each returns the module that makes arrays, or raises; the arrays do everything else.
NAMESPACES: dict[str, Callable[[], Any]] = {"cpu": lambda: np, "cuda": check_device}


def namespace(device: str) -> Any:
    """Return the module that makes a device's arrays: NumPy, or CuPy, which is imported only now.

    Raises
    ------
    ValueError
        If the device is unknown.
    ImportError, RuntimeError
        If CuPy, the driver or the device is missing.

    Examples
    --------
    >>> namespace("cpu").__name__
    'numpy'
    """
    if not isinstance(device, str) or device not in NAMESPACES:
        raise ValueError(f"device must be {' or '.join(map(repr, NAMESPACES))}; got {text_of(device)}")
    return NAMESPACES[device]()


def as_array(values: Any, name: str, xp: Any) -> Array:
    """Return values as an array on their own device: the host, or a GPU if `xp` is CuPy.

    Raises
    ------
    TypeError
        If they are on a GPU and `xp` is NumPy: pyinit never copies an array to the host silently.

    Examples
    --------
    >>> as_array([1.0, 2.0], "x", np)
    array([1., 2.])
    """
    if isinstance(values, np.ndarray) or cuda.view(values) is None:
        return np.asarray(values)
    if xp is np:
        raise TypeError(
            f"{name} must be on the host, where the network is; got {type(values).__module__}.{type(values).__name__} "
            'on a GPU: copy it with get() or cpu(), or make the network with device="cuda"'
        )
    found: Array = xp.asarray(values)
    return found


def on_host(array: Any) -> Array:
    """Return any device's array as a NumPy array; this waits until it has been computed.

    Examples
    --------
    >>> on_host(np.zeros(2))
    array([0., 0.])
    """
    copied: Array = array if isinstance(array, np.ndarray) else array.get()
    return copied
