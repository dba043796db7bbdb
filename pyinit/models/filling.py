"""Many parameters filled at once: checked together, then cut into pieces that all threads share."""

from __future__ import annotations

import inspect
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.arrays import mark_modified
from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.windows import Window
from pyinit.streams import Stream
from pyinit.terminal import progress as progress_bar

__all__ = ["Parameter", "fill"]

Advance = Callable[[int], object]

PIECES = 8  # of the whole for each thread, at least, so that all end at about the same time
SMALLEST, LARGEST = 1 << 20, 1 << 26  # elements of a piece; half the largest still goes past the caches
SMALL = 1 << 15  # elements that are filled before another thread has got hold of the GIL


class Parameter(NamedTuple):
    """A parameter and what fills it.

    Parameters
    ----------
    name : str
        Its stream is the root's ``child(name)``.
    out : array
        As a scheme takes it.
    scheme : scheme, str, dict or callable
        What `pyinit.initializers.scheme` takes; a function, of an array and a stream, is called for a shard with the
        keywords global_shape and offset as well.
    global_shape, offset : sequence of int, optional
        Of a shard: the shape of the tensor that `out` is a window of, and where in it `out` begins.
    """

    name: str
    out: Any
    scheme: Any
    global_shape: Sequence[int] | None = None
    offset: Sequence[int] | None = None


def fill(
    parameters: Iterable[Parameter],
    seed: int | Stream | None,
    *,
    generator: str = "philox",
    num_threads: int | None = None,
    progress: bool = False,
) -> None:
    """Fill parameters in place.

    A parameter's values depend on the seed, its name, its whole shape and its dtype alone; not on where it is, on the
    other parameters, on their order or on the number of threads. The host does not wait for a GPU, unless it makes the
    values itself.

    Parameters
    ----------
    parameters : iterable of Parameter
    seed : int, Stream or None
        Of the root stream, or that stream; None: the operating system picks one.
    generator : {"philox", "ars5"}
        Of the root stream where `seed` is none.
    num_threads : int, optional
        As for `Stream.fill`.
    progress : bool
        True: show how much is done, where that is a terminal and rich is installed.

    Raises
    ------
    TypeError
        If a parameter is not a fillable array, or an argument of another type.
    ValueError
        If two parameters share memory, or a name or an id, or one does not suit its scheme. Whatever is raised for the
        arguments, no parameter has been touched.
    ImportError, RuntimeError, MemoryError
        If an array on a GPU needs a package, a driver or memory that is missing; no array of the host has been
        touched.
    KeyboardInterrupt
        On Ctrl-C: some parameters have been filled.

    Examples
    --------
    >>> from pyinit.initializers import kaiming_normal, zeros
    >>> weight, bias = np.empty((2, 3), np.float32), np.empty(2, np.float32)
    >>> fill([Parameter("fc.weight", weight, kaiming_normal()), Parameter("fc.bias", bias, zeros())], seed=0)
    >>> bias
    array([0., 0.], dtype=float32)
    """
    root = seed if isinstance(seed, Stream) else Stream(seed, generator)
    threads = _core.check_threads(num_threads) or _core.default_threads()
    jobs = checked(parameters, root)
    here = [job for job in jobs if isinstance(job.window.array, np.ndarray)]
    there = [job for job in jobs if not isinstance(job.window.array, np.ndarray)]
    elements = sum(job.size for job in here)
    size = min(max(elements // (PIECES * threads), SMALLEST), LARGEST)
    with progress_bar(elements + sum(job.size for job in there), "initialising", progress) as advance:
        for job in there:  # which starts a kernel: the devices work while the host does
            advance(job.run(num_threads))
        small, large = [], []
        for job in here:
            count = job.size
            if job.scheme is None or (count > size and not job.scheme.splittable):
                advance(job.run(num_threads))  # a function of the user's is not called on many threads at once
            elif count < SMALL:
                small.append(job)
            else:
                large += job.pieces(size)
        large.sort(key=lambda job: -job.size)  # so that all threads end at about the same time
        run_all(small, large, min(threads, 1 + elements // SMALLEST), advance)


class Job(NamedTuple):
    """A parameter that has been checked, or a piece of it, and what fills it."""

    name: str
    out: Any
    window: Window
    stream: Stream
    scheme: Scheme | None
    function: Any = None  # of the user's own, where there is no scheme

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.window.array.size

    def run(self, num_threads: int | None) -> int:
        """Fill it; returns the number of elements."""
        stream = self.stream.copy()  # the pieces of a parameter begin where it does
        if self.scheme is None:
            self.function(self.out, stream, **self.window.placement)
        else:
            self.scheme.fill(self.window, stream, num_threads)
            mark_modified(self.out)
        return self.size

    def pieces(self, size: int) -> list[Job]:
        """Cut it so that no piece has more than `size` elements."""
        if self.size <= size:
            return [self]
        return [piece for half in self.window.halves() for piece in self._replace(window=half).pieces(size)]


def checked(parameters: Iterable[Parameter], root: Stream) -> list[Job]:
    """Make the jobs, or raise; nothing is written."""
    jobs: list[Job] = []
    known: dict[Any, Any] = {}
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"parameters must be of pyinit.models.Parameter; got {type(parameter).__name__}")
        name, out, specification, global_shape, offset = parameter
        try:
            stream = root.child(name)
            window = Window.of(out, global_shape, offset)
            _core.check_memory(window.geometry)
            if type(specification).__hash__ is None:  # a dict, which may say something else the next time
                made, function = resolved(specification, window)
            else:
                key = id(specification), window.shape, window.array.dtype
                if key not in known:  # most of many parameters are of a few kinds
                    known[key] = resolved(specification, window), specification  # kept, so that its id is its own
                made, function = known[key][0]
            if made is None and global_shape is not None:
                check_takes_shards(function)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name!r}: {error}") from None
        jobs.append(Job(name, out, window, stream, made, function))
    check_ids(jobs)
    check_apart(jobs)
    return jobs


def resolved(specification: Any, window: Window) -> tuple[Scheme | None, Any]:
    """Give the scheme that a specification is for a window, or else a user's function; or raise what is wrong."""
    made = scheme(specification)
    if not isinstance(made, Scheme):
        return None, made
    found = made.resolve(window.shape)
    found.check(window.array.dtype, window.shape)
    return found, None


def check_takes_shards(function: Any) -> None:
    """Raise TypeError if a function of the user's cannot be told where in its tensor a shard is."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # which some functions of C lack
        return
    try:
        signature.bind(None, None, global_shape=None, offset=None)
    except TypeError:
        raise TypeError(f"a shard's scheme must take global_shape and offset as keywords; got {function!r}") from None


def check_ids(jobs: list[Job]) -> None:
    """Raise ValueError if two parameters have one stream."""
    first: dict[int, Job] = {}
    for job in jobs:
        other = first.setdefault(job.stream.id, job)
        if other is not job:
            raise ValueError(
                f"{other.name!r} and {job.name!r} must have streams of their own; both have id {job.stream.id:#x}"
            )


def check_apart(jobs: list[Job]) -> None:
    """Raise ValueError if two parameters share memory."""
    memories = defaultdict[Hashable, list[tuple[str, NDArray[Any]]]](list)
    for job in jobs:
        array = job.window.array
        if array.size == 0:
            continue
        if isinstance(array, np.ndarray):
            memories[None].append((job.name, array))
        else:
            memories[array.memory].append((job.name, array.located()))
    for parts in memories.values():
        spans = sorted((*_core.extent(array), i) for i, (_, array) in enumerate(parts))
        near: list[tuple[int, int]] = []  # the ends and numbers of those before whose bytes reach this far
        for low, high, i in spans:
            near = [(end, j) for end, j in near if end > low]
            for _, j in near:
                if np.shares_memory(parts[j][1], parts[i][1]):
                    raise ValueError(
                        f"{parts[j][0]!r} and {parts[i][0]!r} must not share memory: which of them would the weights "
                        "be of? If they are tied, give one of them"
                    )
            near.append((high, i))


def run_all(small: list[Job], large: list[Job], threads: int, advance: Advance) -> None:
    """Run jobs, each on one thread: the small ones on this one, the large ones on all, whose fills release the GIL."""
    queues = deque(small), deque(large)

    def work(queue: deque[Job]) -> None:
        done = 0
        try:
            while job := taken(queue):
                done += job.run(1)
                if done >= SMALLEST:
                    advance(done)
                    done = 0
        except BaseException:  # an error or Ctrl-C: the others stop behind the piece that they are at
            for left in queues:
                left.clear()
            raise
        advance(done)

    with ThreadPoolExecutor(max(1, threads - 1)) as pool:
        others: list[Future[None]] = []
        for _ in range(min(threads - 1, len(large))):
            try:
                others.append(pool.submit(work, queues[1]))
            except RuntimeError:  # no more threads can start: those that did do the work
                break
        for queue in queues:
            work(queue)
        for other in others:
            other.result()


def taken(queue: deque[Job]) -> Job | None:
    """Take the first job; None where there is none, or another thread was faster."""
    try:
        return queue.popleft()
    except IndexError:
        return None
