"""An array on a device, seen without touching its memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.jobs import Write

Self = TypeVar("Self", bound="View")

BACKENDS = ("device", "host", "cupy")
PAGE = 1 << 12  # that far from 0, which is no address to NumPy


@dataclass(frozen=True, eq=False)
class View(ABC):
    """An array on a device, or a part of one.

    Attributes
    ----------
    geometry : numpy.ndarray
        Of the array's shape, strides, dtype and flags, over no memory of its own: its elements must not be touched.
    start : int
        Where the first element lies: an address, or bytes from the beginning of a buffer.
    """

    geometry: NDArray[Any]
    start: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each dimension."""
        return self.geometry.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.geometry.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.geometry.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The elements' type as NumPy has it, of bfloat16 `pyinit.arrays.BFLOAT16`."""
        return self.geometry.dtype

    @property
    @abstractmethod
    def memory(self) -> Hashable:
        """What `start` is a place in: a device's addresses, or a buffer; only places in one memory can be compared."""

    def located(self) -> NDArray[Any]:
        """Give the geometry as if it lay at `start`, for NumPy to say what overlaps; to touch an element is a crash."""
        return geometry(self.shape, self.geometry.strides, self.dtype, address=PAGE + self.start)

    def __getitem__(self: Self, region: tuple[slice, ...]) -> Self:
        index: tuple[Any, ...] = (*region, ...)  # an array comes of it where there are no dimensions, too
        part = self.geometry[index]
        offset = part.__array_interface__["data"][0] - self.geometry.__array_interface__["data"][0]
        return replace(self, geometry=part, start=self.start + offset)

    @abstractmethod
    def fill(self, write: Write, state: _core.StreamState, arguments: tuple[Any, ...], backend: str) -> None:
        """Write samples, in order with the work on the array's queue; the host does not wait.

        Parameters
        ----------
        write : Write
        state : StreamState
        arguments : tuple
            Of `write`: the distribution's parameters, then global_shape, offset and num_threads.
        backend : {"device", "host", "cupy"}
            What makes the samples.

        Raises
        ------
        TypeError, ValueError
            As for `Stream.fill_normal`; ValueError also if the memory is not a device's.
        ImportError
            If the package is missing that reaches the device.
        RuntimeError, MemoryError
            If there is no driver or device, or too little memory.
        """

    @abstractmethod
    def place(self, values: NDArray[Any]) -> None:
        """Write values of the host, which have the array's item size and broadcast to its shape."""


_BYTES = np.empty(16, np.uint8)  # somewhere that an address can be of
_ADDRESS = _BYTES.ctypes.data


class _Geometry:
    """What NumPy makes an array of."""

    def __init__(self, **interface: Any) -> None:
        self.__array_interface__ = {"version": 3, **interface}


def geometry(
    shape: tuple[int, ...],
    strides: Sequence[int],
    dtype: np.dtype[Any],
    read_only: bool = False,
    address: int = _ADDRESS,
) -> NDArray[Any]:
    """Give an array of that shape, strides in bytes and dtype, whose elements must not be touched: it has no memory.

    Examples
    --------
    >>> pyinit.kernels.views.geometry((2**40, 3), (3 * 4, 4), np.dtype(np.float32)).nbytes == 2**40 * 12
    True
    """
    array = np.asarray(_Geometry(shape=shape, strides=tuple(strides), typestr=dtype.str, data=(address, read_only)))
    return array.view(dtype)  # bfloat16's text says no more than its size
