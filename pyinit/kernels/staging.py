"""backend="host": the host computes the samples of one piece while another is copied to the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.device_arrays import Copy, DeviceArray
from pyinit.kernels.teams import Work, team

PART_BYTES = 1 << 22  # a thread fills one part at a time; a piece has one part for each thread
LEAST_PART_BYTES = 1 << 20  # handing out a smaller part would take as long as filling it
PIECE_BYTES = 1 << 26  # the largest piece: memory that a device copies from is slow to allocate
# The pieces of an array, unless they would be small: the first piece's fill and the last one's copy overlap nothing.
PIECES = 8
BUFFERS = 3  # one is being copied, one is being filled, and one is next, so that no thread waits for a piece's end


@dataclass
class StagingBuffer:
    """Host memory that a device copies from, and the last copy, which may still read it."""

    memory: NDArray[np.uint8]
    copied: Copy | None = None

    def wait(self) -> None:
        """Return when the memory may be written again."""
        if self.copied is not None:
            self.copied.wait()


def buffers(array: DeviceArray, num_threads: Any) -> list[StagingBuffer]:
    """Allocate the buffers that the pieces of an array take in turn."""
    total = array.size * array.dtype.itemsize
    most = min(PIECE_BYTES, threads_of(num_threads) * PART_BYTES)
    size = min(total, most, max(-(-total // PIECES), 4 * LEAST_PART_BYTES))
    return [StagingBuffer(array.staging_buffer(size)) for _ in range(min(BUFFERS, -(-total // size)))]


def threads_of(num_threads: Any) -> int:
    """Return the number of threads of a fill."""
    return _core.check_threads(num_threads) or _core.default_threads()


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

    The threads live as long as the fill and share every piece. Each piece is copied as soon as it is full, while they
    fill the next.

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
    threads = threads_of(num_threads)
    part_bytes = max(size // threads, LEAST_PART_BYTES)
    threads = min(threads, -(-array.size * itemsize // part_bytes), 2 * -(-size // part_bytes))  # two pieces at a time

    def write(part: NDArray[Any], where: tuple[int, ...]) -> None:
        begin.copy().write(part, distribution, whole, where, 1)

    def tasks(samples: NDArray[Any], where: tuple[int, ...]) -> Iterator[Callable[[], object]]:
        for region in pieces(samples.shape, part_bytes // itemsize):
            index: Any = (*region, ...)  # gives an array even without dimensions
            yield partial(write, samples[index], moved(where, region))

    def copy(piece: DeviceArray, samples: NDArray[Any], buffer: StagingBuffer, work: Work) -> None:
        work.wait()
        buffer.copied = piece.copy(samples.view(f"u{itemsize}"))

    with waited_for(buffers), team(threads) as helpers:
        ahead = 1 if helpers.size and len(buffers) > 1 else 0  # pieces to begin before the one before them is full
        begun: deque[Callable[[], None]] = deque()
        for region, buffer in zip(pieces(array.shape, size // itemsize), cycle(buffers)):
            buffer.wait()
            piece = array[region]
            samples = buffer.memory[: piece.size * itemsize].view(array.dtype).reshape(piece.shape)
            work = helpers.begin(tasks(samples, moved(origin, region)))
            begun.append(partial(copy, piece, samples, buffer, work))
            if len(begun) > ahead:
                begun.popleft()()
        for copy_last in begun:
            copy_last()


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
