"""An array on a device, seen without touching its memory, and what a kind of device has to offer: its protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit._core import Distribution, Launch, StreamState, array_at
from pyinit.kernels.layouts import Layout

Self = TypeVar("Self", bound="DeviceArray")


class KernelKey(NamedTuple):
    """What names a kernel: a generator, a method and a dtype, as the core numbers them, and what it fills.

    `kind` is "run", for one array without gaps, or "items", for all others, many in one launch.
    """

    generator: int
    method: int
    dtype: int
    kind: str = "run"


class Copy(Protocol):
    """A copy to a device that has begun."""

    def wait(self) -> object:
        """Return when it is done, and what it copies from may be written again."""


@dataclass(eq=False, slots=True)
class DeviceArray(ABC):
    """An array on a device, or a part of one.

    A kind of device is a subclass: `compile` and `launch` are for the samples that it makes itself, `staging_buffer`
    and `copy` for those that the host makes, `assign` for other values of the host.

    Attributes
    ----------
    geometry : numpy.ndarray
        Of the array's shape, strides, dtype and flags, over no memory of its own: its elements must not be touched.
    start : int
        Where the first element lies: an address, or bytes from the beginning of a buffer.
    """

    library: ClassVar[str]  # whose arrays these are, for messages

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
        """The elements' type as NumPy has it, or one of `pyinit.arrays`."""
        return self.geometry.dtype

    @property
    @abstractmethod
    def queue(self) -> Hashable:
        """Where the work on the array is ordered; one launch can fill arrays of one queue and memory."""

    @property
    @abstractmethod
    def memory(self) -> Hashable:
        """What `start` is a place in: a device's addresses, or a buffer; only places in one memory can be compared."""

    def __getitem__(self: Self, region: tuple[slice, ...]) -> Self:
        index: tuple[Any, ...] = (*region, ...)  # an array comes of it where there are no dimensions, too
        part = self.geometry[index]
        offset = part.__array_interface__["data"][0] - self.geometry.__array_interface__["data"][0]
        return replace(self, geometry=part, start=self.start + offset)

    def current(self) -> AbstractContextManager[object]:
        """Make the array's device and queue those that the methods below use; raise if there is no such device."""
        return nullcontext()

    @abstractmethod
    def compile(self, key: KernelKey) -> Any:
        """Give a kernel, compiled for the device; or raise what the device lacks."""

    @abstractmethod
    def launch_run(self, kernel: Any, job: bytes, layout: Layout) -> None:
        """Start a kernel for a run, in order with the work on the array's queue; the host does not wait."""

    @abstractmethod
    def launch_items(self: Self, kernel: Any, launch: Launch, arrays: Sequence[Self]) -> None:
        """Start a kernel for arrays of one queue and memory, of which this is one; `launch` has a table of them.

        The table is copied to the device. If it has more than some hundred arrays, the host may wait for the work that
        is ahead of it in the queue.
        """

    @abstractmethod
    def staging_buffer(self, size: int) -> NDArray[np.uint8]:
        """Give host memory of that many bytes that the device copies from by itself, or raise MemoryError."""

    @abstractmethod
    def copy(self, values: NDArray[Any]) -> Copy:
        """Begin to write values of the host, integers of the array's item size and of its shape, in C order."""

    @abstractmethod
    def assign(self, values: NDArray[Any]) -> None:
        """Write values of the host, which have the array's item size and broadcast to its shape."""

    def draw_otherwise(self, distribution: Distribution, begin: StreamState) -> None:
        """Fill from a generator that is not pyinit's, where there is one."""
        self.check_otherwise(distribution)

    def check_otherwise(self, distribution: Distribution) -> None:
        """Raise ValueError if there is no such generator, or it does not have the distribution."""
        raise ValueError(f'backend="cupy" fills arrays on an NVIDIA GPU; got one of {self.library}')


_BYTES = np.empty(16, np.uint8)  # somewhere that an address can be of
_ADDRESS = _BYTES.ctypes.data


def geometry(
    shape: Sequence[int],
    strides: Sequence[int],
    dtype: np.dtype[Any],
    read_only: bool = False,
    address: int = _ADDRESS,
    unit: int = 1,
) -> NDArray[Any]:
    """Give an array of that shape, strides and dtype, whose elements must not be touched: it has no memory.

    The strides are in bytes, or in units of so many.

    Examples
    --------
    >>> from pyinit.kernels.device_arrays import geometry
    >>> geometry((2**40, 3), (3 * 4, 4), np.dtype(np.float32)).nbytes == 2**40 * 12
    True
    """
    return array_at(address, shape, strides, dtype, not read_only, None, unit)
