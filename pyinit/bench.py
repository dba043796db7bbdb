"""Timing fills: cases, repetitions interleaved over them, and what machine they ran on.

Times are shown beside those of ``memset``, the C library's function that sets bytes to one value, over the same
memory on as many threads. A ratio near 1 says that the samples cost little more than the writing of them.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
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
from pyinit.streams import Stream

__all__ = ["Case", "Timing", "fill_cases", "gaussian", "machine", "measure", "memset", "processors", "report"]

GENERATORS = ("philox", "ars5")
PYTHON_SAMPLE = 200_000
SMALL = {8: 2000, 1000: 1000, 100_000: 20}  # elements: calls in a repetition
SEED = 42


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


def measure(
    cases: Sequence[Case], repetitions: int = 9, budget: float = 3.0, progress: Callable[[str], object] | None = None
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
                times.append(_time(case))
    return [Timing(case, tuple(times)) for case, times in zip(cases, seconds, strict=True)]


def _time(case: Case) -> float:
    run, calls = case.run, range(case.calls)
    start = time.perf_counter_ns()
    for _ in calls:
        run()
    return (time.perf_counter_ns() - start) / case.calls / 1e9


def memset(arrays: Sequence[NDArray[Any]], threads: int) -> Callable[[], None]:
    """Make a function that sets all bytes of some arrays to 0, each thread an equal part of each array.

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
    >>> a = np.ones(1000, dtype=np.float32)
    >>> memset([a], threads=3)()
    >>> bool(a.any())
    False
    """
    split = [np.array_split(a.reshape(-1).view(np.uint8), threads) for a in arrays]
    mine, *others = zip(*split, strict=True)
    # The pool outlives a call, so that the start of its threads is not timed. ctypes.memset runs without the GIL.
    pool = ThreadPoolExecutor(max(1, len(others)))

    def run() -> None:
        pending = [pool.submit(_zero, parts) for parts in others]
        _zero(mine)
        for part in pending:
            part.result()

    return run


def _zero(parts: Sequence[NDArray[np.uint8]]) -> None:
    for part in parts:
        ctypes.memset(part.ctypes.data, 0, part.nbytes)


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


def fill_cases(elements: int) -> list[Case]:
    """List what is timed on one buffer: pyinit's fills on one and on all threads, its other tiers, and its peers.

    Parameters
    ----------
    elements : int, at least 2
        Of the buffer, in float32; float64 are half as many, in the same memory. Let it be larger than the caches:
        in a small one a case's time depends on what the case before it left there.
    """
    single = np.ones(elements, dtype=np.float32)
    double, words = single[: elements // 2 * 2].view(np.float64), single.view(np.uint32)

    def case(name: str, run: Callable[[], object], out: NDArray[Any], **more: Any) -> Case:
        return Case(name, run, out.size, out.nbytes, **more)

    cases, active = [], isa.active()
    for n in dict.fromkeys((1, processors())):
        cases.append(case("memset", memset([single], n), single, threads=n))
        for generator in GENERATORS:
            stream = Stream(SEED, generator)
            cases += [
                case(f"{generator} {what}", partial(fill, out, num_threads=n), out, threads=n, tier=active)
                for what, fill, out in (
                    ("normal float32", stream.fill_normal, single),
                    ("normal float64", stream.fill_normal, double),
                    ("uniform float32", stream.fill_uniform, single),
                    ("bits uint32", stream.fill_bits, words),
                )
            ]
    slower = {f"{generator} normal float32" for generator in GENERATORS}
    for tier in isa.available():
        if tier != active:
            cases += [
                replace(c, run=partial(_run_on, tier, c.run), tier=tier)
                for c in cases
                if c.threads == 1 and c.tier == active and c.name in slower
            ]
    for bits in (np.random.PCG64, np.random.SFC64):
        cases.append(case(f"NumPy {bits.__name__} normal float32", _numpy(bits, single), single))
    return [*cases, python_case(single, full=elements)]


def small_cases() -> list[Case]:
    """List calls on small arrays of normal float32 on one thread, where the cost of the call itself shows."""
    cases = []
    for size, calls in SMALL.items():
        out = np.ones(size, dtype=np.float32)
        runs: dict[str, Callable[[], object]] = {
            f"pyinit {g}": partial(Stream(SEED, g).fill_normal, out, num_threads=1) for g in GENERATORS
        }
        runs["NumPy PCG64"] = _numpy(np.random.PCG64, out)
        cases += [Case(f"{name}, {size:,} elements", run, size, out.nbytes, calls=calls) for name, run in runs.items()]
    return cases


def _run_on(tier: str, run: Callable[[], object]) -> None:
    with isa.use(tier):
        run()


def _numpy(bits: type[np.random.BitGenerator], out: NDArray[Any]) -> Callable[[], object]:
    return partial(np.random.Generator(bits(SEED)).standard_normal, out=out, dtype=np.float32)


def processors() -> int:
    """The processors that this process may use, which is the number of threads that a fill takes by default."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def report(**groups: Sequence[Timing]) -> str:
    """Write groups of timings as JSON: the machine, and of each case every repetition's time in seconds.

    ``ratio_to_memset`` is a number in a group that has a memset on as many threads. A case that is a part of a
    longer job says so in ``extrapolated``.
    """
    entries = {name: [_entry(timing, group) for timing in group] for name, group in groups.items()}
    return json.dumps({"machine": machine(), **entries}, indent=1)


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
        "ratio_to_memset": timing.over("memset", group),
        "extrapolated": {"samples": case.full, "seconds": timing.full} if case.full else None,
    }
