"""`pyinit bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyinit import bench
from pyinit.cli.arguments import add_bench_options, check_writable
from pyinit.terminal import output

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add `pyinit bench`."""
    parser = commands.add_parser("bench", help="time every fill on this machine")
    add_bench_options(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Time all cases, show them, and write them to a file if one is named."""
    check_writable(arguments.output)
    out = output()
    machine = bench.machine()
    out.text(f"{machine['cpu']}, processors: {machine['processors']}, instruction set: {machine['tier']}")
    fills = bench.fill_cases(np.ones(arguments.elements, dtype=np.float32))
    small = bench.small_cases()
    with out.progress((len(fills) + len(small)) * (1 + arguments.repetitions)) as tell:
        timed = bench.measure(fills, arguments.repetitions, progress=tell)
        timed_small = bench.measure(small, arguments.repetitions, progress=tell)
    out.section(
        f"Fills of one buffer of {arguments.elements * 4:,} bytes",
        "Times are medians; million/s counts samples. memset is the C library's function that sets bytes to one value; "
        "the ratio to memset is the time divided by that of memset on the same buffer and as many threads. "
        "Extrapolated: a part of the samples was timed, and the time multiplied.",
    )
    out.table(("", "tier", "threads", "ms", "million/s", "to memset"), [fill_row(t, timed) for t in timed])
    out.section("Calls on small arrays", "Medians of normal float32 on one thread; below 1 is faster than NumPy.")
    out.table(("", "ns a call", "to NumPy"), [small_row(t, timed_small) for t in timed_small])
    if arguments.output:
        arguments.output.write_text(bench.report(fills=timed, small=timed_small) + "\n")
        out.text(f"Every repetition's time is in {arguments.output}.")


def fill_row(timing: bench.Timing, group: Sequence[bench.Timing]) -> tuple[str, ...]:
    """Format the time of a fill."""
    case, ratio = timing.case, timing.over("memset", group)
    return (
        f"{case.name}, extrapolated" if case.full else case.name,
        case.tier or "",
        str(case.threads),
        f"{timing.full * 1e3:,.2f}",
        f"{case.samples / timing.median / 1e6:,.1f}",
        f"{ratio:,.2f}" if ratio else "",
    )


def small_row(timing: bench.Timing, group: Sequence[bench.Timing]) -> tuple[str, ...]:
    """Format the time of a call on a small array."""
    size = timing.case.name.partition(", ")[2]
    ratio = timing.over(f"NumPy PCG64, {size}", group)
    return timing.case.name, f"{timing.median * 1e9:,.0f}", f"{ratio:,.2f}" if ratio else ""
