"""backend="host": the host makes the samples of one piece while another is on its way to the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.device_arrays import Copy, DeviceArray

PIECE_BYTES = 1 << 24  # long enough for a copy at full speed, short enough that little waits at either end


@dataclass
class StagingBuffer:
    """Host memory that a device copies from, and the copy that may still read it."""

    memory: NDArray[np.uint8]
    copied: Copy | None = None

    def wait(self) -> None:
        """Return when the memory may be written again."""
        if self.copied is not None:
            self.copied.wait()


def buffers(array: DeviceArray) -> list[StagingBuffer]:
    """Give two: one is filled while the other is copied from."""
    size = min(PIECE_BYTES, array.size * array.dtype.itemsize)
    return [StagingBuffer(array.staging_buffer(size)) for _ in range(2)]


def fill(
    array: DeviceArray,
    begin: _core.StreamState,
    distribution: _core.Distribution,
    window: tuple[tuple[int, ...], tuple[int, ...]] | None,
    num_threads: Any,
    buffers: Sequence[StagingBuffer],
) -> None:
    """Write an array on a device from the host, piece by piece; returns when the last piece has left the host.

    Parameters
    ----------
    array, distribution, window, num_threads
        Checked.
    begin : StreamState
        At the first of the words that the fill has claimed.
    buffers : sequence of StagingBuffer
        Two or more.
    """
    whole, origin = window or (array.shape, (0,) * array.ndim)
    itemsize = array.dtype.itemsize
    elements = min(len(buffer.memory) for buffer in buffers) // itemsize
    try:
        for region, buffer in zip(pieces(array.shape, elements), cycle(buffers)):
            buffer.wait()
            piece = array[region]
            samples = buffer.memory[: piece.size * itemsize].view(array.dtype).reshape(piece.shape)
            where = tuple(o + s.start for o, s in zip(origin, region))
            begin.copy().write(samples, distribution, whole, where, num_threads)
            buffer.copied = piece.copy(samples.view(f"u{itemsize}"))
    finally:  # on Ctrl-C too: the device must not read what is used anew
        for buffer in buffers:
            buffer.wait()


def pieces(shape: tuple[int, ...], elements: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array into parts of at most so many elements, in C order: of an array without gaps, each has none.

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
