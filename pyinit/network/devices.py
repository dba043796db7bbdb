"""Where a network's arrays live: what makes them there, and how values come and go."""

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

# What gives the module that makes arrays, or raises; all else is asked of the arrays themselves.
NAMESPACES: dict[str, Callable[[], Any]] = {"cpu": lambda: np, "cuda": check_device}


def namespace(device: str) -> Any:
    """Give the module that makes a device's arrays: NumPy, or CuPy, which is looked for only here.

    Raises
    ------
    ValueError
        If there is no such device.
    ImportError, RuntimeError
        If CuPy is missing, or a driver or a device.

    Examples
    --------
    >>> namespace("cpu").__name__
    'numpy'
    """
    if not isinstance(device, str) or device not in NAMESPACES:
        raise ValueError(f"device must be {' or '.join(map(repr, NAMESPACES))}; got {text_of(device)}")
    return NAMESPACES[device]()


def as_array(values: Any, name: str, xp: Any) -> Array:
    """Give values as an array where they are: on a GPU, which `xp` has to be of, or on the host.

    Raises
    ------
    TypeError
        If they are on a GPU and `xp` is NumPy: no array goes to the host unasked.

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
            'on a GPU: copy it, by its get() or cpu(), or make the network with device="cuda"'
        )
    found: Array = xp.asarray(values)
    return found


def on_host(array: Any) -> Array:
    """Give an array of any device as one of NumPy, which waits until it has been computed.

    Examples
    --------
    >>> on_host(np.zeros(2))
    array([0., 0.])
    """
    copied: Array = array if isinstance(array, np.ndarray) else array.get()
    return copied
