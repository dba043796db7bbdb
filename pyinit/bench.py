"""Timing fills: cases, repetitions interleaved over them, and what machine they ran on.

Times are shown beside those of ``memset``, the C library's function that sets bytes to one value, over the same
memory on as many threads. A ratio near 1 says that the samples cost little more than the writing of them.
"""

from __future__ import annotations

import ctypes
import json
import math
import platform
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import __version__, _core, isa
from pyinit.arrays import BFLOAT16
from pyinit.streams import Stream

__all__ = [
    "Case",
    "Timing",
    "fill_cases",
    "gaussian",
    "machine",
    "measure",
    "memset",
    "numpy_normal",
    "processors",
    "pyinit_cases",
    "report",
    "results",
    "thread_counts",
    "together",
]

GENERATORS = ("philox", "ars5")
# What is timed of each generator: the samples and their dtype, the fill and its arguments.
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
SMALL = {8: 2000, 1000: 1000, 100_000: 20}  # elements: calls in a repetition
SEED = 42
# What memset writes. Not 0: some processors (AMD's Zen 4, for one) write lines of zeros at twice the speed of others,
# which samples never are.
BYTE = 0x55


@dataclass(frozen=True)
class Case:
    """Something to be timed; `samples` and `bytes` are what one call of `run` writes."""

    name: str
    run: Callable[[], object]
    samples: int
    bytes: int
    threads: int = 1
    calls: int = 1  # in one repetition: many where a call is shorter than the clock is sharp
    full: int | None = None  # samples of the whole job, where it would take too long and `run` does a part of it
    tier: str | None = None  # the instruction set, where pyinit runs
    primed: bool = False  # called once more, untimed, ahead of each repetition
    writes: tuple[str, ...] = ("memset", "streaming stores")  # cases that do nothing but write the same memory


@dataclass(frozen=True)
class Timing:
    """What was measured of a case: the seconds of one call, for each repetition."""

    case: Case
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the repetitions, in seconds."""
        return statistics.median(self.seconds)

    @property
    def full(self) -> float:
        """The seconds of the whole job: the median, extrapolated where the case is a part of it."""
        return self.median * (self.case.full or self.case.samples) / self.case.samples

    def over(self, name: str, timings: Sequence[Timing]) -> float | None:
        """This time as a multiple of that of the case `name` on as many threads; None if there is no such case."""
        for other in timings:
            if other.case.name == name and other.case.threads == self.case.threads:
                return self.full / other.full
        return None

    def over_fastest_write(self, timings: Sequence[Timing]) -> float | None:
        """This time as a multiple of the fastest of the case's `writes`; None if there are none."""
        return max((ratio for name in self.case.writes if (ratio := self.over(name, timings))), default=None)


def clock(case: Case) -> float:
    """Time one call of a case on the host's clock, in seconds."""
    run, calls = case.run, range(case.calls)
    start = time.perf_counter_ns()
    for _ in calls:
        run()
    return (time.perf_counter_ns() - start) / case.calls / 1e9


def measure(
    cases: Sequence[Case],
    repetitions: int = 9,
    budget: float = 3.0,
    progress: Callable[[str], object] | None = None,
    timer: Callable[[Case], float] = clock,
) -> list[Timing]:
    """Time cases in turn, round after round, so that a drift of the machine's speed meets all of them alike.

    Parameters
    ----------
    cases : sequence of Case
        Each is called once beforehand, untimed: memory that is touched for the first time costs more.
    repetitions : int, at least 1
    budget : float
        In seconds. A case that has used so much is not repeated again; it has been timed once at least.
    progress : callable, optional
        Called with a case's name, ``len(cases) * (1 + repetitions)`` times in all.
    timer : callable
        Gives the seconds of one call of a case.

    Returns
    -------
    list of Timing
        In the order of the cases.

    Examples
    --------
    >>> [timing] = measure([Case("nothing", lambda: None, samples=1, bytes=0)], repetitions=5)
    >>> len(timing.seconds)
    5
    """
    tell = progress or (lambda name: None)
    seconds: list[list[float]] = [[] for _ in cases]
    for case in cases:
        tell(case.name)
        case.run()
    for _ in range(repetitions):
        for case, times in zip(cases, seconds, strict=True):
            tell(case.name)
            if sum(times) * case.calls < budget:
                if case.primed:
                    case.run()
                times.append(timer(case))
    return [Timing(case, tuple(times)) for case, times in zip(cases, seconds, strict=True)]


def memset(arrays: Sequence[NDArray[Any]], threads: int) -> Callable[[], None]:
    """Make a function that sets all bytes of some arrays to `BYTE`, each thread an equal part of each array.

    Parameters
    ----------
    arrays : sequence of numpy.ndarray
        C-contiguous and writable.
    threads : int, at least 1

    Returns
    -------
    callable

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
    """Make a function that calls some functions at once, each on a thread of its own, and waits for all of them."""
    mine, *others = parts
    # The pool outlives a call, so that the start of its threads is not timed.
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
    """Draw one normal sample as the article's `rand-gaussian` does: two uniforms, and one half of Box-Muller."""
    # 1 - random() lies in (0, 1], where the logarithm is finite.
    return math.sqrt(-2.0 * math.log(1.0 - random.random())) * math.sin(2.0 * math.pi * random.random())


def python_case(out: NDArray[Any], full: int) -> Case:
    """The article's scalar Box-Muller in plain Python: a sample of `full` normals, written to the front of `out`."""
    random.seed(SEED)
    front = out.reshape(-1)[:PYTHON_SAMPLE]

    def run() -> None:
        front[:] = [gaussian() for _ in range(front.size)]

    return Case("plain Python", run, front.size, front.nbytes, full=full)


def fill_cases(out: NDArray[np.float32]) -> list[Case]:
    """List what is timed on one buffer: `pyinit_cases`, NumPy and plain Python.

    Parameters
    ----------
    out : numpy.ndarray of float32
        Contiguous, at least 2 elements. Let it be larger than the caches: in a small one a case's time depends on
        what the case before it left there.
    """
    peers = [
        Case(f"NumPy {bits.__name__} normal float32", numpy_normal(bits(SEED), out), out.size, out.nbytes)
        for bits in (np.random.PCG64, np.random.SFC64)
    ]
    return [*pyinit_cases(out), *peers, python_case(out, full=out.size)]


def pyinit_cases(out: NDArray[np.float32]) -> list[Case]:
    """List memset and pyinit's fills, on one and on all threads, and those of its other tiers.

    Parameters
    ----------
    out : numpy.ndarray of float32
        As for `fill_cases`. Samples of other dtypes go to the same memory, so many as fit.
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
    slower = {f"{generator} {what}" for generator in GENERATORS for what in ON_EVERY_TIER}
    return cases + [
        replace(case, run=partial(_run_on, tier, case.run), tier=tier)
        for tier in isa.available()
        if tier != active
        for case in cases
        if case.threads == 1 and case.name in slower
    ]


def _view(out: NDArray[np.float32], name: str) -> NDArray[Any]:
    """The memory of `out` as another type: as many samples, or as many as fit."""
    dtype = BFLOAT16 if name == "bfloat16" else np.dtype(name)
    samples = min(out.size, out.nbytes // dtype.itemsize)
    return out.view(np.uint8)[: samples * dtype.itemsize].view(dtype)


def small_cases() -> list[Case]:
    """List calls on small arrays of normal float32 on one thread, where the cost of the call itself shows."""
    cases = []
    for size, calls in SMALL.items():
        out = np.ones(size, dtype=np.float32)
        runs: dict[str, Callable[[], object]] = {
            f"pyinit {g}": partial(Stream(SEED, g).fill_normal, out, num_threads=1) for g in GENERATORS
        }
        runs["NumPy PCG64"] = numpy_normal(np.random.PCG64(SEED), out)
        cases += [Case(f"{name}, {size:,} elements", run, size, out.nbytes, calls=calls) for name, run in runs.items()]
    return cases


def _run_on(tier: str, run: Callable[[], object]) -> None:
    with isa.use(tier):
        run()


def numpy_normal(bits: np.random.BitGenerator, out: NDArray[np.float32]) -> Callable[[], object]:
    """Make a function that fills an array with NumPy's normal samples, out of one of its bit generators or a peer's."""
    return partial(np.random.Generator(bits).standard_normal, out=out, dtype=np.float32)


def thread_counts() -> tuple[int, ...]:
    """On how many threads things are timed: one, and all."""
    return tuple(dict.fromkeys((1, processors())))


def processors() -> int:
    """The processors that this process may use, which is the number of threads that a fill takes by default."""
    return _core.processors()


def machine() -> dict[str, Any]:
    """Describe what a time depends on: processor, compiler, tier, versions."""
    return {
        "cpu": _cpu(),
        "processors": processors(),
        "platform": platform.platform(),
        "compiler": _compiler(),
        "tier": isa.active(),
        "tiers": list(isa.available()),
        "versions": {"pyinit": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return model.group(1) if model else platform.processor() or platform.machine()


def _compiler() -> str:
    # On ELF systems a compiler signs what it makes; elsewhere Python's own is the best guess.
    signed = re.search(rb"GCC: \(.*?\) [\d.]+|clang version [\d.]+", Path(_core.__file__).read_bytes())
    return signed.group().decode() if signed else f"{platform.python_compiler()} (Python's)"


def results(**groups: Sequence[Timing]) -> dict[str, Any]:
    """Gather groups of timings with the machine: of each case every repetition's time in seconds, and what follows.

    The ratios, to memset and to the fastest of the pure writes, are numbers in a group that has such cases for the
    same memory on as many threads. A case that is a part of a longer job says so in ``extrapolated``.
    """
    return {
        "machine": machine(),
        **{name: [_entry(timing, group) for timing in group] for name, group in groups.items()},
    }


def report(**groups: Sequence[Timing]) -> str:
    """Write the `results` of groups of timings as JSON."""
    return json.dumps(results(**groups), indent=1)


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
