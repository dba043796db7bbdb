"""Time fills, in rounds over all cases, and give the results for JSON.

Each time is also given as a ratio to ``memset``, the C library's function that sets bytes to one value, on the same
memory and number of threads. A ratio near 1 means that computing the samples costs little more than writing them.
"""

from __future__ import annotations

import ctypes
import math
import random
import statistics
import timeit
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core, isa, machine
from pyinit.arrays import dtype_of
from pyinit.streams import Stream

GENERATORS = tuple(_core.GENERATORS)
# The fills timed for each generator: the samples and their dtype, the method and its arguments.
FILLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("normal float32", "fill_normal", {}),
    ("normal float64", "fill_normal", {}),
    ("uniform float32", "fill_uniform", {}),
    ("uniform float64", "fill_uniform", {}),
    ("bits uint32", "fill_bits", {}),
    ("normal float16", "fill_normal", {}),
    ("normal bfloat16", "fill_normal", {}),
    ("normal_icdf float32", "fill_normal", {"method": "icdf"}),
    ("normal_icdf float64", "fill_normal", {"method": "icdf"}),
    ("truncated_normal float32", "fill_truncated_normal", {}),
    ("truncated_normal float64", "fill_truncated_normal", {}),
)
ON_EVERY_TIER = ("normal float32", "normal_icdf float32", "truncated_normal float32")
PYTHON_SAMPLE = 200_000
SMALL = {8: 2000, 1000: 1000, 100_000: 20}  # elements: calls per repetition
SEED = 42
# The byte that memset writes. Not 0: some processors, such as AMD's Zen 4, write zeros twice as fast as other bytes.
BYTE = 0x55


@dataclass(frozen=True)
class Case:
    """Something to time; `samples` and `bytes` count what one call of `run` writes."""

    name: str
    run: Callable[[], object]
    samples: int
    bytes: int
    threads: int = 1
    calls: int = 1  # per repetition: many if one call is too short for the clock
    full: int | None = None  # samples of the whole job, if `run` does only a part of it to save time
    tier: str | None = None  # the instruction set, if pyinit runs
    writes: tuple[str, ...] = ("memset", "streaming stores")  # names of cases that only write the same memory

    def time(self) -> float:
        """Time one call, in seconds."""
        return timeit.timeit(self.run, number=self.calls) / self.calls


@dataclass(frozen=True)
class Timing:
    """The measurements of a case: the seconds per call, for each repetition."""

    case: Case
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the repetitions, in seconds."""
        return statistics.median(self.seconds)

    @property
    def full(self) -> float:
        """The seconds of the whole job: the median, extrapolated if the case is only a part of it."""
        return self.median * (self.case.full or self.case.samples) / self.case.samples

    def over(self, name: str, timings: Sequence[Timing]) -> float | None:
        """This time as a multiple of the case `name` on the same number of threads; None if there is no such case."""
        for other in timings:
            if other.case.name == name and other.case.threads == self.case.threads:
                return self.full / other.full
        return None

    def over_fastest_write(self, timings: Sequence[Timing]) -> float | None:
        """This time as a multiple of the fastest of the case's `writes`; None if there is none."""
        return max((ratio for name in self.case.writes if (ratio := self.over(name, timings))), default=None)


def measure(
    cases: Sequence[Case], repetitions: int = 9, budget: float = 3.0, progress: Callable[[str], object] = lambda _: None
) -> list[Timing]:
    """Time cases in turn, round after round, so that a drift of the machine's speed affects all of them equally.

    Parameters
    ----------
    cases : sequence of Case
        Each is called once before, untimed: the first write to memory costs more.
    repetitions : int, at least 1
    budget : float
        In seconds. A case is not repeated any more once it has used this much; it is timed at least once.
    progress : callable
        Called with a case's name, ``len(cases) * (1 + repetitions)`` times in all.

    Returns
    -------
    list of Timing
        In the order of the cases.

    Examples
    --------
    >>> case = Case("nothing", lambda: None, samples=1, bytes=0)
    >>> [timing] = measure([case], repetitions=5)
    >>> len(timing.seconds)
    5
    """
    seconds: list[list[float]] = [[] for _ in cases]
    for case in cases:
        progress(case.name)
        case.run()
    for _ in range(repetitions):
        for case, times in zip(cases, seconds, strict=True):
            progress(case.name)
            if sum(times) * case.calls < budget:
                times.append(case.time())
    return [Timing(case, tuple(times)) for case, times in zip(cases, seconds, strict=True)]


def memset(arrays: Sequence[NDArray[Any]], threads: int) -> Callable[[], None]:
    """Make a function that sets all bytes of C-contiguous arrays to `BYTE`; threads share each array equally.

    Examples
    --------
    >>> a = np.zeros(1000, dtype=np.uint8)
    >>> memset([a], threads=3)()
    >>> bool((a == 0x55).all())
    True
    """
    split = [np.array_split(a.reshape(-1).view(np.uint8), threads) for a in arrays]
    # ctypes.memset runs without the GIL.
    return together([partial(_set, parts) for parts in zip(*split, strict=True)])


def together(parts: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """Make a function that calls functions at the same time, each on its own thread, and waits for all of them."""
    mine, *others = parts
    # The pool outlives a call, so that starting its threads is not timed.
    pool = ThreadPoolExecutor(max(1, len(others)))

    def run() -> None:
        pending = [pool.submit(part) for part in others]
        mine()
        for part in pending:
            part.result()

    return run


def _set(parts: Sequence[NDArray[np.uint8]]) -> None:
    for part in parts:
        ctypes.memset(part.ctypes.data, BYTE, part.nbytes)


def gaussian() -> float:
    """Draw one normal sample as the article's `rand-gaussian` does: one half of Box-Muller."""
    # 1 - random() is in (0, 1], where the logarithm is finite.
    return math.sqrt(-2.0 * math.log(1.0 - random.random())) * math.sin(2.0 * math.pi * random.random())


def python_case(out: NDArray[Any], full: int) -> Case:
    """The article's scalar Box-Muller in plain Python: a part of `full` samples, written to the front of `out`."""
    random.seed(SEED)
    front = out.reshape(-1)[:PYTHON_SAMPLE]

    def run() -> None:
        front[:] = [gaussian() for _ in range(front.size)]

    return Case("plain Python", run, front.size, front.nbytes, full=full)


def fill_cases(out: NDArray[np.float32]) -> list[Case]:
    """List the cases of `pyinit bench` on one buffer: `pyinit_cases`, NumPy and plain Python."""
    peers = [
        Case(f"NumPy {bits.__name__} normal float32", numpy_normal(bits(SEED), out), out.size, out.nbytes)
        for bits in (np.random.PCG64, np.random.SFC64)
    ]
    return [*pyinit_cases(out), *peers, python_case(out, full=out.size)]


def pyinit_cases(out: NDArray[np.float32]) -> list[Case]:
    """List memset and pyinit's fills, on one and on all threads, and some on its other tiers.

    Parameters
    ----------
    out : numpy.ndarray of float32
        Contiguous, at least 2 elements. It should be larger than the caches: otherwise a case's time depends on what
        the case before it left there. Other dtypes use the same memory, with as many samples as fit.
    """
    cases, active = [], isa.active()
    for n in thread_counts():
        cases.append(Case("memset", memset([out], n), out.size, out.nbytes, threads=n))
        for generator in GENERATORS:
            stream = Stream(SEED, generator)
            for what, fill, arguments in FILLS:
                memory = _view(out, what.split()[-1])
                run = partial(getattr(stream, fill), memory, num_threads=n, **arguments)
                cases.append(Case(f"{generator} {what}", run, memory.size, memory.nbytes, threads=n, tier=active))
    return cases + [
        replace(case, run=isa.use(tier)(case.run), tier=tier)
        for tier in isa.available()
        if tier != active
        for case in cases
        if case.threads == 1 and case.name.partition(" ")[2] in ON_EVERY_TIER
    ]


def _view(out: NDArray[np.float32], name: str) -> NDArray[Any]:
    """The memory of `out` as another dtype: the same number of samples, or as many as fit."""
    dtype = dtype_of(name)
    samples = min(out.size, out.nbytes // dtype.itemsize)
    return out.view(np.uint8)[: samples * dtype.itemsize].view(dtype)


def small_cases() -> list[Case]:
    """List fills of small arrays with normal float32 samples on one thread; they show the cost of the call itself."""
    cases = []
    for size, calls in SMALL.items():
        out = np.ones(size, dtype=np.float32)
        runs: dict[str, Callable[[], object]] = {
            f"pyinit {g}": partial(Stream(SEED, g).fill_normal, out, num_threads=1) for g in GENERATORS
        }
        runs["NumPy PCG64"] = numpy_normal(np.random.PCG64(SEED), out)
        cases += [Case(f"{name}, {size:,} elements", run, size, out.nbytes, calls=calls) for name, run in runs.items()]
    return cases


def numpy_normal(bits: np.random.BitGenerator, out: NDArray[np.float32]) -> Callable[[], object]:
    """Make a function that fills an array with NumPy's normal samples, from a bit generator of NumPy or of a peer."""
    return partial(np.random.Generator(bits).standard_normal, out=out, dtype=np.float32)


def thread_counts() -> tuple[int, ...]:
    """The numbers of threads to time: one, and a fill's default."""
    return tuple(dict.fromkeys((1, _core.default_threads())))


def results(**groups: Sequence[Timing]) -> dict[str, Any]:
    """Gather the machine and groups of timings for JSON: the seconds of every repetition, and numbers from them.

    A ratio to memset or to the fastest pure write is None if the group has no such case on the same number of threads.
    """
    return {
        "machine": machine.describe(),
        **{name: [_entry(timing, group) for timing in group] for name, group in groups.items()},
    }


def _entry(timing: Timing, group: Sequence[Timing]) -> dict[str, Any]:
    case = timing.case
    return {
        "name": case.name,
        "tier": case.tier,
        "threads": case.threads,
        "samples": case.samples,
        "bytes": case.bytes,
        "calls_per_repetition": case.calls,
        "repetitions": len(timing.seconds),
        "seconds": timing.seconds,
        "median_seconds": timing.median,
        "million_samples_per_second": case.samples / timing.median / 1e6,
        "ratio_to_memset": timing.over(case.writes[0], group),
        "ratio_to_fastest_write": timing.over_fastest_write(group),
        "extrapolated": {"samples": case.full, "seconds": timing.full} if case.full else None,
    }
