"""backend="host": the host fills one buffer while a device copies another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.device_arrays import Copy, DeviceArray

# Nothing overlaps with the first fill and the last copy, and each piece takes half a millisecond to start the threads
# and to wait. On 16 threads and an H200 a fill of 1 GiB took 37, 30 and 28 ms in pieces of 32, 64 and 128 MiB.
PIECES = 8
LEAST_PIECE_BYTES = 1 << 26
PIECE_BYTES = 1 << 27
BUFFERS = 2


@dataclass
class StagingBuffer:
    """Host memory that a device copies from, and the last copy, which may still read it."""

    memory: NDArray[np.uint8]
    copied: Copy | None = None

    def wait(self) -> None:
        """Return when the memory may be written again."""
        if self.copied is not None:
            self.copied.wait()


def buffers(array: DeviceArray) -> list[StagingBuffer]:
    """Give the buffers that the pieces of an array use in turn."""
    total = array.size * array.dtype.itemsize
    size = min(total, PIECE_BYTES, max(-(-total // PIECES), LEAST_PIECE_BYTES))
    return [StagingBuffer(array.staging_buffer(size)) for _ in range(min(BUFFERS, -(-total // size)))]


@contextmanager
def waited_for(buffers: Sequence[StagingBuffer]) -> Iterator[None]:
    """Wait for all copies at the end, even after an error or Ctrl-C: the device must not read reused memory."""
    try:
        yield
    finally:
        for buffer in buffers:
            buffer.wait()


def fill(
    array: DeviceArray,
    begin: _core.StreamState,
    distribution: _core.Distribution,
    window: tuple[tuple[int, ...], tuple[int, ...]] | None,
    num_threads: Any,
    buffers: Sequence[StagingBuffer],
) -> None:
    """Write an array on a device from the host, piece by piece; return when the last piece is copied.

    Each piece is copied as soon as it is full, while the host fills the next.

    Parameters
    ----------
    array, distribution, window, num_threads
        Checked.
    begin : StreamState
        Its position is the first word of the fill's claim.
    buffers : sequence of StagingBuffer
        Each as large as a piece.
    """
    whole, origin = window or (array.shape, (0,) * array.ndim)
    itemsize = array.dtype.itemsize
    size = min(len(buffer.memory) for buffer in buffers)
    with waited_for(buffers):
        for region, buffer in zip(pieces(array.shape, size // itemsize), cycle(buffers)):
            buffer.wait()
            piece = array[region]
            samples = buffer.memory[: piece.size * itemsize].view(array.dtype).reshape(piece.shape)
            begin.copy().write(samples, distribution, whole, moved(origin, region), num_threads)
            buffer.copied = piece.copy(samples.view(f"u{itemsize}"))


def moved(origin: tuple[int, ...], region: tuple[slice, ...]) -> tuple[int, ...]:
    """Return the start of a region that is relative to an origin.

    Examples
    --------
    >>> pyinit.kernels.staging.moved((5, 0), (slice(1, 2), slice(3, 9)))
    (6, 3)
    """
    return tuple(o + s.start for o, s in zip(origin, region))


def pieces(shape: tuple[int, ...], elements: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array into parts of at most `elements` elements, in C order; parts of a contiguous array are contiguous.

    Examples
    --------
    >>> list(pyinit.kernels.staging.pieces((2, 5), elements=3))[:2]
    [(slice(0, 1, None), slice(0, 3, None)), (slice(0, 1, None), slice(3, 5, None))]
    """
    lengths, room = [1] * len(shape), elements
    for i in reversed(range(len(shape))):
        lengths[i] = min(shape[i], max(room, 1))
        room //= max(shape[i], 1)
    counts = [-(-n // length) if n else 0 for n, length in zip(shape, lengths)]
    for index in np.ndindex(*counts):
        yield tuple(slice(i * n, min((i + 1) * n, end)) for i, n, end in zip(index, lengths, shape))
