"""backend="host": the host makes the samples of one piece while another is on its way to the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.kernels.jobs import Write
from pyinit.kernels.views import View

PIECE_BYTES = 1 << 24  # long enough for a copy at full speed, short enough that little waits at either end


class Slot(ABC):
    """Host memory that a device copies from.

    Attributes
    ----------
    memory : numpy.ndarray
        uint8, of `PIECE_BYTES` or less, pinned.
    """

    memory: NDArray[np.uint8]

    @abstractmethod
    def send(self, samples: NDArray[Any], to: Any) -> None:
        """Begin to copy `samples`, which lie in `memory` in C order, to a view of their shape."""

    @abstractmethod
    def wait(self) -> None:
        """Return when `memory` may be written again."""


def fill(
    view: View,
    write: Write,
    begin: _core.StreamState,
    arguments: tuple[Any, ...],
    slots: Sequence[Slot],
) -> None:
    """Write an array on a device from the host, piece by piece; returns when the last piece has left the host.

    Parameters
    ----------
    view : View
        Checked, as are the arguments.
    write : Write
    begin : StreamState
        At the first of the words that the fill has claimed.
    arguments : tuple
        Of `write`.
    slots : sequence of Slot
        Two or more: one is filled while the others are copied from.
    """
    *parameters, global_shape, offset, num_threads = arguments
    whole, origin = view.shape, (0,) * view.ndim
    if global_shape is not None:
        whole, origin = _core.checked_window(view.geometry, global_shape, offset)
    elements = min(len(slot.memory) for slot in slots) // view.dtype.itemsize
    try:
        for region, slot in zip(pieces(view.shape, elements), cycle(slots)):
            slot.wait()
            piece = view[region]
            samples = slot.memory[: piece.size * view.dtype.itemsize].view(view.dtype).reshape(piece.shape)
            state = _core.StreamState(begin.generator, begin.seed, begin.id)
            state.position = begin.position
            where = tuple(o + s.start for o, s in zip(origin, region))
            write(state, samples, *parameters, whole, where, num_threads)
            slot.send(samples, piece)
    finally:  # on Ctrl-C too: the device must not read what is used anew
        for slot in slots:
            slot.wait()


def pieces(shape: tuple[int, ...], elements: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array into parts of at most so many elements, in C order: of an array without gaps, each has none.

    Examples
    --------
    >>> list(pyinit.kernels.pipeline.pieces((2, 5), elements=3))[:2]
    [(slice(0, 1, None), slice(0, 3, None)), (slice(0, 1, None), slice(3, 5, None))]
    """
    lengths, room = [1] * len(shape), elements
    for i in reversed(range(len(shape))):
        lengths[i] = min(shape[i], max(room, 1))
        room //= max(shape[i], 1)
    counts = [-(-n // length) if n else 0 for n, length in zip(shape, lengths)]
    for index in np.ndindex(*counts):
        yield tuple(slice(i * n, min((i + 1) * n, end)) for i, n, end in zip(index, lengths, shape))
