"""Windows of tensors, and how arrays store floats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyinit import _core
from pyinit.arrays import view
from pyinit.kernels.device_arrays import DeviceArray

__all__ = ["Window", "decode", "encode", "raw_bits"]


class Window(NamedTuple):
    """An array, the shape of its tensor, and its offset in the tensor (None: it is the whole)."""

    array: NDArray[Any] | DeviceArray
    shape: tuple[int, ...]
    offset: tuple[int, ...] | None

    @classmethod
    def of(cls, out: Any, global_shape: Iterable[int] | None = None, offset: Iterable[int] | None = None) -> Window:
        """View `out` as a window, or raise TypeError or ValueError.

        Examples
        --------
        >>> Window.of(np.zeros(2), global_shape=(5,), offset=(3,)).region
        (slice(3, 5, None),)
        """
        whole, where = _core.window_tuples(global_shape, offset)  # first everything that runs a caller's code
        array = view(out)
        if isinstance(array, np.ndarray):  # a private view, without a subclass's methods
            array = np.ndarray.view(array, np.ndarray)
        if whole is None:
            return cls(array, array.shape, None)
        geometry = array if isinstance(array, np.ndarray) else array.geometry
        return cls(array, *_core.checked_window(geometry, whole, where))

    @property
    def geometry(self) -> NDArray[Any]:
        """A NumPy array of the same shape, strides, dtype and flags; its elements may be elsewhere."""
        return self.array if isinstance(self.array, np.ndarray) else self.array.geometry

    @property
    def placement(self) -> dict[str, Any]:
        """The keywords that give a stream's fills this window."""
        return {} if self.offset is None else dict(zip(("global_shape", "offset"), self.place))

    @property
    def place(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """The tensor's shape and the array's offset in it; None for both if it is the whole."""
        return (None, None) if self.offset is None else (self.shape, self.offset)

    @property
    def region(self) -> tuple[slice, ...]:
        """The array's part of the tensor, as slices."""
        starts = self.offset or (0,) * self.array.ndim
        return tuple(slice(o, o + n) for o, n in zip(starts, self.array.shape))

    def assign(self, values: NDArray[Any]) -> None:
        """Write values from `encode`; they broadcast to the array."""
        if isinstance(self.array, np.ndarray):
            raw_bits(self.array)[...] = values
        else:
            self.array.assign(values)

    @contextmanager
    def on_host(self) -> Iterator[NDArray[Any]]:
        """Give an array on the host to write bits into; for one on a device, a new array that is copied there after."""
        if isinstance(self.array, np.ndarray):
            yield self.array
        else:
            values = np.empty(self.array.shape, self.array.dtype)
            yield values
            self.array.assign(raw_bits(values))


def raw_bits(array: NDArray[Any]) -> NDArray[Any]:
    """View an array so that values of `encode` can be assigned: as integers, if NumPy lacks its type."""
    # `kind` does not help: ml_dtypes' float8_e5m2 has "f", as NumPy's own types do.
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.itemsize}")


def encode(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Give real numbers in a dtype of the fills; narrow ones are rounded to float32, then to nearest even.

    Parameters
    ----------
    values : array_like
        Real numbers, none of them nan.
    dtype : dtype
        One that `Stream.fill` takes, but not uint32.

    Returns
    -------
    numpy.ndarray
        For a type that NumPy lacks, the bits as integers.

    Examples
    --------
    >>> encode([1.0, 1.00390625], pyinit.arrays.BFLOAT16)
    array([16256, 16256], dtype=uint16)
    """
    dtype = np.dtype(dtype)
    if dtype == np.float64:
        return np.asarray(values, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        single = np.asarray(values).astype(np.float32, copy=False)
    return single if dtype == np.float32 else _core.rounded(single, dtype)


def decode(array: NDArray[Any]) -> NDArray[Any]:
    """Convert floats of any dtype of the fills to one that NumPy computes with; NumPy's own stay as they are.

    Examples
    --------
    >>> out = np.empty(1, pyinit.arrays.BFLOAT16)
    >>> decode(pyinit.Stream(0).fill_uniform(out, 1.0, 1.0078125))
    array([1.], dtype=float32)
    """
    if array.dtype.isbuiltin == 1:
        return array
    row = _core.dtype_row(array.dtype)
    if row is None:
        raise TypeError(f"dtype must be one of the fills; got {array.dtype}")
    bits = array.view(f"u{array.itemsize}")
    if row.name == "bfloat16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if row.name == "float8_e5m2":  # the upper half of a float16
        return (bits.astype(np.uint16) << 8).view(np.float16)
    if row.name == "float8_e4m3fn":
        found: NDArray[np.float32] = E4M3FN[bits]
        return found
    raise TypeError(f"{row.name} cannot be read yet")


def e4m3fn() -> NDArray[np.float32]:
    """Give the values of all float8_e4m3fn bit patterns, in order; all bits set is nan, and there is no inf."""
    bits = np.arange(128)
    exponent, mantissa = bits >> 3, bits & 7
    values = np.where(exponent > 0, (8 + mantissa) * 2.0 ** (exponent - 10), mantissa * 2.0**-9)
    values[127] = np.nan
    return np.concatenate([values, -values]).astype(np.float32)


E4M3FN = e4m3fn()
