"""New memory that pyinit fills and then hands over to JAX: one buffer for each distinct shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from pyinit import cuda
from pyinit._core import RECORDS
from pyinit.models import Parameter

__all__ = ["NewArray", "aligned"]

ALIGNMENT = 64  # bytes; XLA copies host memory that is less aligned

Box = tuple[tuple[int, int], ...]  # a shard's start and stop on each axis


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Allocate an array that JAX accepts without a copy.

    Examples
    --------
    >>> aligned((3, 5), np.dtype(np.float32)).ctypes.data % 64
    0
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


class OnGPU:
    """An array on a GPU with a dtype that NumPy lacks: integers of the same size, with the dtype's name."""

    def __init__(self, memory: Any, dtype: np.dtype[Any]) -> None:
        self.memory, self.dtype, self.shape = memory, dtype.name, memory.shape
        self.__cuda_array_interface__ = memory.__cuda_array_interface__


def is_filled_there(device: Any) -> bool:
    """Whether CuPy can allocate memory on a device; other devices get a copy of host memory."""
    if device.platform != "gpu":
        return False
    try:
        return bool(cuda.cupy().cuda.runtime.getDeviceCount())
    except (ImportError, RuntimeError):
        return False


def allocate(shape: tuple[int, ...], dtype: np.dtype[Any], device: Any) -> Any:
    """Allocate an array on a device, or on the host for None."""
    if device is None:
        return aligned(shape, dtype)
    cupy = cuda.cupy()
    with cupy.cuda.Device(device.local_hardware_id):
        if dtype.name in RECORDS:
            return OnGPU(cupy.empty(shape, f"u{dtype.itemsize}"), dtype)
        return cupy.empty(shape, dtype)


def handed_over(buffer: Any, device: Any) -> jax.Array:
    """Return a filled buffer as a JAX array on a device; None means the default device."""
    if isinstance(buffer, np.ndarray):
        return jax.device_put(buffer, device)
    if isinstance(buffer, OnGPU):
        return jax.dlpack.from_dlpack(buffer.memory).view(buffer.dtype)
    return jax.dlpack.from_dlpack(buffer)


def default_device() -> Any:
    """Return the device on which JAX puts new arrays."""
    chosen = jax.config.jax_default_device
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen


def placed(sharding: Any) -> Any:
    """Return a sharding over devices for a Sharding, or for a PartitionSpec on the current mesh."""
    if isinstance(sharding, jax.sharding.PartitionSpec):
        return jax.sharding.NamedSharding(jax.sharding.get_mesh(), sharding)
    if isinstance(getattr(sharding, "mesh", None), jax.sharding.AbstractMesh):
        return jax.sharding.NamedSharding(jax.sharding.get_mesh(), sharding.spec)
    return sharding


class NewArray:
    """Memory for a JAX array, to fill block by block and then hand over.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    sharding : Sharding or PartitionSpec, optional
        The array's sharding. This process allocates only the shards on its own devices; replicas share one buffer.
        None: the default device.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], sharding: Any = None) -> None:
        self.shape, self.sharding = shape, placed(sharding)
        self.places: list[tuple[Any, tuple[Any, Box]]] = []
        self.buffers: dict[tuple[Any, Box], Any] = {}
        if self.sharding is None:
            indices: Any = {default_device(): (slice(None),) * len(shape)}
        else:
            indices = self.sharding.addressable_devices_indices_map(shape)
        for device, index in indices.items():
            box = tuple(axis.indices(n)[:2] for axis, n in zip(index, shape))
            key = device if is_filled_there(device) else None, box
            self.places.append((device, key))
            if key not in self.buffers:
                self.buffers[key] = allocate(tuple(stop - start for start, stop in box), dtype, key[0])

    def parameters(
        self, name: str | None, scheme: Any, whole: tuple[int, ...] | None = None, offset: tuple[int, ...] | None = None
    ) -> Iterator[Parameter]:
        """Yield the parameters to fill. The array may itself be a block of a tensor: `whole` is its shape."""
        tensor = whole or self.shape
        for (_, box), buffer in self.buffers.items():
            start = tuple(begin + first for (begin, _), first in zip(box, offset or (0,) * len(box)))
            yield Parameter(name, buffer, scheme, tensor, start)

    def array(self) -> jax.Array:
        """Hand the buffers over to JAX; they must not be written afterwards."""
        if self.sharding is None:
            [buffer] = self.buffers.values()
            return handed_over(buffer, None)
        arrays = [handed_over(self.buffers[key], device) for device, key in self.places]
        return jax.make_array_from_single_device_arrays(self.shape, self.sharding, arrays)
