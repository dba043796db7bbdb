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

import pyinit
from pyinit import _core

__all__ = ["Case", "Timing", "fill_cases", "gaussian", "machine", "measure", "memset", "processors", "report"]

GENERATORS = ("philox", "ars5")
PYTHON_SAMPLE = 200_000
SMALL = {8: 2000, 1000: 1000, 100_000: 20}  # elements: calls in a repetition
SEED = 42


@dataclass(frozen=True)
class Case:
    """Something to be timed.

    Parameters
    ----------
    name : str
    run : callable
        Does the work once.
    samples, bytes : int
        What one call of `run` writes.
    threads : int
        On how many threads.
    calls : int
        How often a repetition calls `run`: many where a call is shorter than the clock is sharp.
    full : int, optional
        The samples of the whole job, where `run` does only a part of it because the whole would take too long.
    tier : str, optional
        The instruction set that pyinit runs on; None for what does not use pyinit.
    """

    name: str
    run: Callable[[], object]
    samples: int
    bytes: int
    threads: int = 1
    calls: int = 1
    full: int | None = None
    tier: str | None = None


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
    cases: Sequence[Case],
    repetitions: int = 9,
    budget: float = 3.0,
    progress: Callable[[str], object] | None = None,
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
    parts = [np.array_split(a.reshape(-1).view(np.uint8), threads) for a in arrays]
    shares = [[(p[i].ctypes.data, p[i].nbytes) for p in parts] for i in range(threads)]
    # They outlive a call: their start is not part of the time. ctypes.memset runs without the GIL.
    pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def run() -> None:
        others = [pool.submit(_zero, share) for share in shares[1:]] if pool else []
        _zero(shares[0])
        for other in others:
            other.result()

    run.arrays = arrays  # type: ignore[attr-defined]  # the addresses hold only while they live
    return run


def _zero(share: Sequence[tuple[int, int]]) -> None:
    for address, size in share:
        ctypes.memset(address, 0, size)


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

    return Case("plain Python, Box-Muller", run, front.size, front.nbytes, full=full)


def fill_cases(elements: int) -> list[Case]:
    """List what is timed on one buffer: pyinit's fills on one and on all threads, its other tiers, and its peers.

    Parameters
    ----------
    elements : int, at least 2
        Of the buffer, in float32. Samples of float64 are half as many, in the same memory.

    Returns
    -------
    list of Case
    """
    single = np.ones(elements, dtype=np.float32)
    double, words = single[: elements // 2 * 2].view(np.float64), single.view(np.uint32)

    def case(name: str, run: Callable[[], object], out: NDArray[Any], **more: Any) -> Case:
        return Case(name, run, out.size, out.nbytes, **more)

    cases, active = [], pyinit.isa.active()
    for n in dict.fromkeys((1, processors())):
        cases.append(case("memset", memset([single], n), single, threads=n))
        for generator in GENERATORS:
            stream = pyinit.Stream(SEED, generator)
            cases += [
                case(f"pyinit {generator}, {what}", partial(fill, out, num_threads=n), out, threads=n, tier=active)
                for what, fill, out in (
                    ("normal float32", stream.fill_normal, single),
                    ("normal float64", stream.fill_normal, double),
                    ("uniform float32", stream.fill_uniform, single),
                    ("uniform float64", stream.fill_uniform, double),
                    ("bits uint32", stream.fill_bits, words),
                )
            ]
    for tier in pyinit.isa.available():
        if tier != active:
            cases += [
                _on_tier(tier, c)
                for c in cases
                if c.tier == active and c.threads == 1 and c.name.endswith("normal float32")
            ]
    cases += [
        case(f"NumPy {bits.__name__}, normal float32", _numpy(bits, single), single)
        for bits in (np.random.PCG64, np.random.SFC64)
    ]
    return [*cases, python_case(single, full=elements)]


def small_cases() -> list[Case]:
    """List calls on small arrays of normal float32 on one thread, where the cost of the call itself shows."""
    cases = []
    for size, calls in SMALL.items():
        out = np.ones(size, dtype=np.float32)
        runs: dict[str, Callable[[], object]] = {
            f"pyinit {g}": partial(pyinit.Stream(SEED, g).fill_normal, out, num_threads=1) for g in GENERATORS
        }
        runs["NumPy PCG64"] = _numpy(np.random.PCG64, out)
        cases += [
            Case(f"{name}, {size:,} normal float32", run, size, out.nbytes, calls=calls) for name, run in runs.items()
        ]
    return cases


def _numpy(bits: type[np.random.BitGenerator], out: NDArray[Any]) -> Callable[[], object]:
    return partial(np.random.Generator(bits(SEED)).standard_normal, out=out, dtype=np.float32)


def _on_tier(tier: str, case: Case) -> Case:
    def run() -> None:
        with pyinit.isa.use(tier):
            case.run()

    return replace(case, name=f"{case.name}, tier {tier}", run=run, tier=tier)


def processors() -> int:
    """The processors that this process may use, which is the number of threads that a fill takes by default."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Describe what a time depends on: processor, compiler, tier, versions.

    Examples
    --------
    >>> machine()["tier"] == pyinit.isa.active()
    True
    """
    return {
        "cpu": _cpu(),
        "processors": processors(),
        "platform": platform.platform(),
        "compiler": _compiler(),
        "tier": pyinit.isa.active(),
        "tiers": list(pyinit.isa.available()),
        "versions": {
            "pyinit": pyinit.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
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

    ``ratio_to_memset`` is there in a group with a memset on as many threads. A case that is a sample of a longer
    job says so in ``extrapolated``.
    """
    return json.dumps({"machine": machine(), **{k: [_entry(t, ts) for t in ts] for k, ts in groups.items()}}, indent=1)


def _entry(timing: Timing, timings: Sequence[Timing]) -> dict[str, Any]:
    case = timing.case
    entry = {
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
        "ratio_to_memset": timing.over("memset", timings),
    }
    if case.full:
        entry["extrapolated"] = {"samples": case.full, "seconds": timing.full}
    return entry
