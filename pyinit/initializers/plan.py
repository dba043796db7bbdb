"""A whole model's parameters by a plan: names to arrays, patterns to schemes."""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.arrays import written
from pyinit.initializers.base import Scheme
from pyinit.initializers.blocks import Block
from pyinit.initializers.configuration import scheme
from pyinit.streams import Stream
from pyinit.terminal import progress as progress_bar

__all__ = ["initialize"]

Params = TypeVar("Params", bound=Mapping[str, Any])
Shards = Mapping[str, tuple[Sequence[int], Sequence[int]]]
Advance = Callable[[int], object]

PIECES = 8  # of the whole for each thread, at least, so that all end at about the same time
SMALLEST, LARGEST = 1 << 20, 1 << 26  # elements of a piece; half the largest still goes past the caches
SMALL = 1 << 15  # elements that are filled before another thread has got hold of the GIL


class Job(NamedTuple):
    """A parameter that has been checked, or a piece of it, and what fills it."""

    name: str
    out: Any
    block: Block
    scheme: Any

    def run(self, root: Stream, num_threads: int | None) -> int:
        """Fill it; returns the number of elements."""
        stream = root.child(self.name)
        if isinstance(self.scheme, Scheme):
            self.scheme.fill(self.block, stream, num_threads)
            written(self.out)
        else:  # a function of the user's own
            self.scheme(self.out, stream, **self.block.window)
        return self.block.part.size

    def pieces(self, size: int) -> list[Job]:
        """Cut it so that no piece has more than `size` elements."""
        if self.block.part.size <= size:
            return [self]
        return [piece for half in self.block.halves() for piece in self._replace(block=half).pieces(size)]


def initialize(
    params: Params,
    seed: int | Stream | None,
    plan: Mapping[str, Any],
    *,
    generator: str = "philox",
    shards: Shards | None = None,
    num_threads: int | None = None,
    progress: bool = False,
) -> Params:
    """Fill a model's parameters in place, each by the first pattern that its name matches.

    Parameters
    ----------
    params : mapping of str to array
        Each as a scheme takes it, on the host or on a GPU. A parameter's values depend on the seed, its name, its
        whole shape and its dtype alone; not on where it is, on the other parameters, on their order or on the number
        of threads. The host does not wait for the GPUs, but where it computes the values itself.
    seed : int, Stream or None
        Of the root stream, on whose ``child(name)`` each parameter is; None: the operating system chooses. Or that
        stream.
    plan : mapping of str to scheme
        Patterns of names, tried from the first to the last, to schemes or what `initializers.scheme` makes them of:
        ``*`` stands for any text, dots as well, ``?`` for a character, ``[ab]`` for one of these, ``[[]`` for a
        bracket; case counts.
    generator : {"philox", "ars5"}
        Of the root stream where `seed` is none.
    shards : mapping of str to (global_shape, offset), optional
        Of those parameters that are blocks of tensors which others hold too.
    num_threads : int, optional
        As for `pyinit.Stream.fill_normal`.
    progress : bool
        True: show how much is done, where that is a terminal and rich is installed.

    Returns
    -------
    mapping
        `params`.

    Raises
    ------
    TypeError
        If a parameter is no array that can be filled, or an argument of another type.
    ValueError
        If names match no pattern, or patterns take no name: all of them are listed. A last "*" alone may be left with
        nothing. If two parameters share memory, or one does not suit its scheme. Whatever is raised for the
        arguments, no parameter has been touched.
    ImportError, RuntimeError, MemoryError
        If the package, the driver or the memory is missing that arrays on a GPU need; no array of the host has been
        touched.
    KeyboardInterrupt
        On Ctrl-C: some parameters have been filled.

    Examples
    --------
    >>> params = {"fc.weight": np.empty((2, 3), np.float32), "fc.bias": np.empty(2, np.float32)}
    >>> pyinit.initialize(params, seed=0, plan={"*.bias": "zeros", "*": "xavier_uniform"}) is params
    True
    >>> params["fc.bias"]
    array([0., 0.], dtype=float32)
    """
    root = seed if isinstance(seed, Stream) else Stream(seed, generator)
    root.child("").bits(0, num_threads=num_threads)  # raises what is wrong with the number of threads
    jobs = checked(params, plan, {} if shards is None else shards)
    here = [job for job in jobs if isinstance(job.block.part, np.ndarray)]
    there = [job for job in jobs if not isinstance(job.block.part, np.ndarray)]
    threads, elements = num_threads or _core.default_threads(), sum(job.block.part.size for job in here)
    size = min(max(elements // (PIECES * threads), SMALLEST), LARGEST)
    with progress_bar(sum(job.block.part.size for job in jobs), "initialising", progress) as advance:
        for job in there:  # which starts a kernel: the devices work while the host does
            advance(job.run(root, num_threads))
        small, large = [], []
        for job in here:
            if not isinstance(job.scheme, Scheme) or (job.block.part.size > size and not job.scheme.divisible):
                advance(job.run(root, num_threads))  # a function of the user's is not asked for on many threads
            elif job.block.part.size < SMALL:
                small.append(job)
            else:
                large += job.pieces(size)
        large.sort(key=lambda job: -job.block.part.size)  # so that all threads end at about the same time
        run_all(small, large, root, min(threads, 1 + elements // SMALLEST), advance)
    return params


def run_all(small: list[Job], large: list[Job], root: Stream, threads: int, advance: Advance) -> None:
    """Run jobs, each on one thread: the small ones on this one, the large ones on all, whose fills release the GIL."""
    queues = deque(small), deque(large)

    def work(queue: deque[Job]) -> None:
        done = 0
        try:
            while job := taken(queue):
                done += job.run(root, 1)
                if done >= SMALLEST:
                    advance(done)
                    done = 0
        except BaseException:  # an error or Ctrl-C: the others stop behind the piece that they are at
            for left in queues:
                left.clear()
            raise
        advance(done)

    others = []
    with ThreadPoolExecutor(max(1, threads - 1)) as pool:
        with suppress(RuntimeError):  # where no more threads can be started, those that there are do it all
            for _ in range(min(threads - 1, len(large))):
                others.append(pool.submit(work, queues[1]))
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


def checked(params: Any, plan: Any, shards: Any) -> list[Job]:
    """Make the jobs, or raise; nothing is written."""
    for name, value in (("params", params), ("plan", plan), ("shards", shards)):
        if not isinstance(value, Mapping):
            hint = "; of a PyTorch model, dict(model.named_parameters())" if name == "params" else ""
            raise TypeError(f"{name} must be a mapping; got {type(value).__name__}{hint}")
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name} must have str for keys; got {key!r}")
    strangers = [name for name in shards if name not in params]
    if strangers:
        raise ValueError(f"shards must be of params; got {listed(strangers)}")
    jobs, known = [], {}
    for name, (out, rule) in matched(params, plan).items():
        try:
            name.encode()  # as its stream will
            block = Block.of(out, *window(shards[name]) if name in shards else ())
            _core.check_memory(block.geometry)
            key = id(rule), block.shape, block.part.dtype
            if key not in known:  # most of many parameters are of a few kinds
                known[key] = rule.at(block.shape) if isinstance(rule, Scheme) else rule
                if isinstance(rule, Scheme):
                    known[key].check(block.part.dtype, block.shape)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name!r}: {error}") from None
        jobs.append(Job(name, out, block, known[key]))
    check_apart(jobs)
    return jobs


def matched(params: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give each name its array and its scheme, or raise ValueError that lists the names and patterns left over."""
    rules = []
    for pattern, specification in plan.items():
        try:
            rules.append((pattern, re.compile(fnmatch.translate(pattern)).match, scheme(specification)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"plan[{pattern!r}]: {error}") from None
    found, taken, matching = {}, set(), set()
    for name, out in params.items():
        for pattern, match, rule in rules:
            if match(name):
                found[name] = out, rule
                taken.add(pattern)
                break
    idle = [(pattern, match) for pattern, match, _ in rules if pattern not in taken and pattern != "*"]
    matching = {pattern for pattern, match in idle if any(map(match, params))}
    complaints = {
        "no pattern matches": [name for name in params if name not in found],
        "no name matches": [pattern for pattern, _ in idle if pattern not in matching],
        "earlier patterns take every name of": [pattern for pattern, _ in idle if pattern in matching],
    }
    if any(complaints.values()):
        said = "; ".join(f"{what} {listed(names)}" for what, names in complaints.items() if names)
        raise ValueError(f"plan and params must fit: {said}")
    return found


def listed(names: Sequence[str]) -> str:
    """Give all names in one line."""
    return ", ".join(map(repr, names))


def window(shard: Any) -> tuple[Any, Any]:
    """Give the two parts of what `shards` holds, or raise TypeError."""
    if not isinstance(shard, Sequence) or isinstance(shard, str) or len(shard) != 2:
        raise TypeError(f"a shard must be (global_shape, offset); got {shard!r}")
    return shard[0], shard[1]


def check_apart(jobs: list[Job]) -> None:
    """Raise ValueError if two parameters share memory."""
    memories = defaultdict[Hashable, list[tuple[str, NDArray[Any]]]](list)
    for job in jobs:
        part = job.block.part
        if part.size == 0:
            continue
        if isinstance(part, np.ndarray):
            memories[None].append((job.name, part))
        else:
            memories[part.memory].append((job.name, part.located()))
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
