"""Files of tensors as functions: any byte range is computed on demand."""

from __future__ import annotations

import bisect
import sys
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyinit.models.tensors import Tensor, in_memory

__all__ = ["Image"]


class Image:
    """A file as a function: its header, then tensors one after the other, little-endian and row-major.

    Parameters
    ----------
    head : bytes
        The header; its length is a multiple of 8.
    tensors : sequence of Tensor
        Larger element sizes first, so that all tensors are aligned.
    num_threads : int, optional
        The number of threads for one part.

    Attributes
    ----------
    size : int
        The size of the file in bytes.

    Examples
    --------
    >>> from pyinit import Stream
    >>> from pyinit.models.tensors import drawn
    >>> image = Image(b"the head", [drawn("w", (5,), np.dtype("f4"), "ones", Stream(0))])
    >>> out = np.empty(12, np.uint8)
    >>> image.fill(4, out)
    >>> out.tobytes()[:4], out[4:].view("<f4")
    (b'head', array([1., 1.], dtype=float32))
    """

    def __init__(self, head: bytes, tensors: Sequence[Tensor], num_threads: int | None = None) -> None:
        self.head = head
        self.tensors = tensors
        self.num_threads = num_threads
        self.begins: list[int] = []
        self.size = len(head)
        for tensor in tensors:
            self.begins.append(self.size)
            self.size += tensor.nbytes
        self.whole: tuple[Tensor, Tensor] | None = None
        self.lock = threading.Lock()

    def fill(self, begin: int, out: NDArray[np.uint8]) -> None:
        """Write the bytes from `begin` on.

        Parameters
        ----------
        begin : int
        out : ndarray of uint8
            Contiguous. It must not begin or end inside an element.
        """
        end = begin + len(out)
        if begin < len(self.head):
            part = np.frombuffer(self.head[begin:end], np.uint8)
            out[: len(part)] = part
        number = max(0, bisect.bisect_right(self.begins, begin) - 1)
        while number < len(self.tensors) and self.begins[number] < end:
            tensor, first = self.tensors[number], self.begins[number]
            low, high = max(begin, first), min(end, first + tensor.nbytes)
            if low < high:
                self.fill_part(tensor, (low - first) // tensor.dtype.itemsize, out[low - begin : high - begin])
            number += 1

    def fill_part(self, tensor: Tensor, start: int, out: NDArray[np.uint8]) -> None:
        """Write elements of one tensor."""
        elements = out.view(tensor.dtype)
        source = tensor if tensor.splittable else self.in_memory(tensor)
        source.fill(elements, start, self.num_threads)
        if sys.byteorder == "big":
            elements.view(f"u{elements.itemsize}").byteswap(inplace=True)

    def in_memory(self, tensor: Tensor) -> Tensor:
        """Make a tensor that can only be made as a whole; it is kept in memory until the next one."""
        with self.lock:
            if self.whole is None or self.whole[0] is not tensor:
                self.whole = None  # frees the previous tensor first
                self.whole = tensor, in_memory(tensor, self.num_threads)
            return self.whole[1]
