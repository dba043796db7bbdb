"""Call a function on all processors, with a limit on the calls at a time."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core

__all__ = ["Scratch", "parallel"]

MOST = 32  # calls at a time: more would take memory and wait for the same disk

T = TypeVar("T")
R = TypeVar("R")


def parallel(function: Callable[[T], R], items: Iterable[T], num_threads: int | None = None) -> Iterator[R]:
    """Call a function with each item, and yield the results in the items' order.

    By default two calls per processor run at a time, so that some can wait for a disk, but not more than 32.

    Parameters
    ----------
    function : callable
        Called by several threads.
    items : iterable
        Read as they are needed.
    num_threads : int, optional
        The number of calls that run at a time.

    Examples
    --------
    >>> list(parallel(abs, [-3, 2]))
    [3, 2]
    """
    count = num_threads or min(2 * _core.default_threads(), MOST)
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(count) as workers:
        try:
            for item in items:
                if len(begun) == count:
                    yield begun.popleft().result()
                begun.append(workers.submit(function, item))
            while begun:
                yield begun.popleft().result()
        finally:
            workers.shutdown(cancel_futures=True)


class Scratch(threading.local):
    """`numpy.empty` in memory that each thread reuses: an array lives until its thread asks for the next one.

    Examples
    --------
    >>> empty = Scratch()
    >>> empty((2, 3), np.dtype("f4")).shape
    (2, 3)
    """

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        size = math.prod(shape) * dtype.itemsize
        if size > self.memory.size:
            self.memory = np.empty(size, np.uint8)
        return self.memory[:size].view(dtype).reshape(shape)
