"""Checks of a network's arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from numpy.typing import NDArray

from pyinit import initializers
from pyinit._core import text_of
from pyinit.network.devices import as_array

__all__ = ["Scheme", "count", "rows", "scheme"]

Array = NDArray[Any]
Scheme = Callable[[Any, Any], Any]


def count(value: Any, least: int, name: str) -> int:
    """Return `value` as an int in [`least`, 2**63), or raise TypeError or ValueError.

    Examples
    --------
    >>> count(4, 1, "units")
    4
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {text_of(value)}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}; got {text_of(number)}")
    if number >= 1 << 63:
        raise ValueError(f"{name} must be below 2**63; got {text_of(number)}")
    return number


def scheme(value: Any, name: str) -> Scheme:
    """Return `value`, a scheme or its description, as a scheme; otherwise raise TypeError or ValueError.

    Examples
    --------
    >>> scheme("normal(std=0.02)", "weights")
    Normal(std=0.02)
    >>> from pyinit.initializers import zeros
    >>> scheme(zeros, "bias")
    Traceback (most recent call last):
    TypeError: bias: a scheme must be callable with an array and a stream; got zeros: did you mean zeros()?
    """
    try:
        return cast(Scheme, initializers.scheme(value))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def rows(values: Any, length: int, name: str, dtype: Any, xp: Any) -> Array:
    """Convert `values` to an array of shape (batch, length); copy them only if needed, for example to a GPU.

    Parameters
    ----------
    values : array_like of shape (batch, length)
        Real numbers.
    length : int
        The length of a row.
    name : str
        The name of the values in errors.
    dtype : dtype
        The result's dtype.
    xp : module
        The result's array namespace.

    Returns
    -------
    array of shape (batch, length)

    Raises
    ------
    TypeError
        If the values are not real numbers, or are on a GPU and the result would not be.
    ValueError
        If they have the wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> rows([[1, 2], [3, 4], [5, 6]], 2, "x", np.float32, np).shape
    (3, 2)
    """
    array = as_array(values, name, xp)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != length:
        labels = "; class labels need loss='cross_entropy'" if name == "y" and array.ndim == 1 else ""
        raise ValueError(f"{name} must have shape (batch, {length}); got {array.shape}{labels}")
    result: Array = xp.asarray(array.astype(dtype, copy=False))  # converted first: less to copy
    return result
