"""The base class of arrays on devices: it describes an array without touching its memory."""

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
    """The key of a kernel: the core's numbers of generator, method and dtype, and the kind of its targets.

    `kind` is "run", for one array without gaps, or "items", for all others, many in one launch.
    """

    generator: int
    method: int
    dtype: int
    kind: str = "run"


class Copy(Protocol):
    """A copy to a device that has begun."""

    def wait(self) -> object:
        """Return when it is done; then its source may be written again."""


@dataclass(eq=False, slots=True)
class DeviceArray(ABC):
    """An array on a device, or a part of one.

    Each kind of device is a subclass. `compile` and the launches fill with samples that the device computes,
    `staging_buffer` and `copy` with samples of the host; `assign` writes other values of the host.

    Attributes
    ----------
    geometry : numpy.ndarray
        An array of the same shape, strides, dtype and flags, without memory: its elements must not be touched.
    start : int
        The place of the first element: an address, or an offset in bytes into a buffer.
    """

    library: ClassVar[str]  # the library of these arrays, for messages

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
        """The elements' dtype, NumPy's or one of `pyinit.arrays`."""
        return self.geometry.dtype

    @property
    @abstractmethod
    def queue(self) -> Hashable:
        """The queue that orders the work on the array; one launch can fill arrays of one queue and memory."""

    @property
    @abstractmethod
    def memory(self) -> Hashable:
        """The address range or buffer of `start`; only places in one memory can be compared."""

    def __getitem__(self: Self, region: tuple[slice, ...]) -> Self:
        index: tuple[Any, ...] = (*region, ...)  # gives an array even without dimensions
        part = self.geometry[index]
        offset = part.__array_interface__["data"][0] - self.geometry.__array_interface__["data"][0]
        return replace(self, geometry=part, start=self.start + offset)

    def current(self) -> AbstractContextManager[object]:
        """Make the array's device and queue current for the methods below; raise if there is no such device."""
        return nullcontext()

    @abstractmethod
    def compile(self, key: KernelKey) -> Any:
        """Return a kernel compiled for the device; raise if the device lacks something for it."""

    @abstractmethod
    def launch_run(self, kernel: Any, job: bytes, layout: Layout) -> None:
        """Start a kernel for a run, in the order of the array's queue; the host does not wait."""

    @abstractmethod
    def launch_items(self: Self, kernel: Any, launch: Launch, arrays: Sequence[Self]) -> None:
        """Start a kernel for arrays of one queue and memory, this one among them; `launch` has a table of them.

        The table is copied to the device. For more than a few hundred arrays, the host may wait for earlier work in the
        queue.
        """

    @abstractmethod
    def staging_buffer(self, size: int) -> NDArray[np.uint8]:
        """Allocate `size` bytes of host memory that the device can copy from; raise MemoryError if there is none."""

    @abstractmethod
    def copy(self, values: NDArray[Any]) -> Copy:
        """Begin to write the host's values: integers of the array's item size and shape, in C order."""

    @abstractmethod
    def assign(self, values: NDArray[Any]) -> None:
        """Write the host's values; they have the array's item size and broadcast to its shape."""

    def draw_otherwise(self, distribution: Distribution, begin: StreamState) -> None:
        """Fill from the other library's own generator, if it has one."""
        self.check_otherwise(distribution)

    def check_otherwise(self, distribution: Distribution) -> None:
        """Raise ValueError if there is no such generator, or it lacks the distribution."""
        raise ValueError(f'backend="cupy" fills arrays on an NVIDIA GPU; got one of {self.library}')


_BYTES = np.empty(16, np.uint8)  # gives geometries an address
_ADDRESS = _BYTES.ctypes.data


def geometry(
    shape: Sequence[int],
    strides: Sequence[int],
    dtype: np.dtype[Any],
    read_only: bool = False,
    address: int = _ADDRESS,
    unit: int = 1,
) -> NDArray[Any]:
    """Make an array of this shape, strides and dtype without memory: its elements must not be touched.

    The strides are in units of `unit` bytes.

    Examples
    --------
    >>> from pyinit.kernels.device_arrays import geometry
    >>> geometry((2**40, 3), (3 * 4, 4), np.dtype(np.float32)).nbytes == 2**40 * 12
    True
    """
    return array_at(address, shape, strides, dtype, not read_only, None, unit)
