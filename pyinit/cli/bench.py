"""`pyinit bench`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyinit import bench, machine, plots
from pyinit.cli.arguments import add_bench_options, add_command, add_json, check_writable, picture
from pyinit.terminal import Output, output, steps

__all__ = ["add"]

EXAMPLES = """
    pyinit bench
    pyinit bench --elements 1000000 --repetitions 3
    pyinit bench --json | jq '.fills[] | [.name, .threads, .ratio_to_memset]'
    pyinit bench --output here.json
    pyinit bench --plot throughput.png
"""


def add(commands: Any) -> None:
    """Add `pyinit bench`."""
    parser = add_command(commands, "bench", "time every fill on this machine", EXAMPLES)
    add_bench_options(parser)
    parser.add_argument(
        "--plot", type=picture, metavar="FILE", help="draw the throughput of the fills: .png, .svg or .pdf"
    )
    add_json(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Time all cases, show the results, and write the requested files."""
    if arguments.plot:
        plots.require_matplotlib()
    for file in (arguments.output, arguments.plot):
        check_writable(file)
    out = output()
    if not arguments.json:
        here = machine.describe()
        out.text(f"{here['cpu']}, processors: {here['processors']}, instruction set: {here['tier']}")
    fills = bench.fill_cases(np.ones(arguments.elements, dtype=np.float32))
    small = bench.small_cases()
    with steps((len(fills) + len(small)) * (1 + arguments.repetitions)) as tell:
        timed = bench.measure(fills, arguments.repetitions, progress=tell)
        timed_small = bench.measure(small, arguments.repetitions, progress=tell)
    results = bench.results(fills=timed, small=timed_small)
    report = json.dumps(results, indent=1)
    if arguments.plot:
        plots.save(plots.throughput(results), arguments.plot)
    if arguments.output:
        arguments.output.write_text(report + "\n")
    if arguments.json:
        print(report)
    else:
        show(out, arguments, timed, timed_small)


def show(
    out: Output, arguments: argparse.Namespace, fills: Sequence[bench.Timing], small: Sequence[bench.Timing]
) -> None:
    """Show the times as tables."""
    out.section(
        f"Fills of one buffer of {arguments.elements * 4:,} bytes",
        "Times are medians; million/s counts samples. memset is the C library's function that sets bytes to one value; "
        "the ratio to memset is the time divided by memset's on the same buffer and number of threads. "
        "Extrapolated: only part of the samples was timed, and the time was scaled up.",
    )
    out.table(("", "tier", "threads", "ms", "million/s", "to memset"), [fill_row(t, fills) for t in fills])
    out.section("Calls on small arrays", "Medians of normal float32 on one thread; below 1 is faster than NumPy.")
    out.table(("", "ns a call", "to NumPy"), [small_row(t, small) for t in small])
    if arguments.output:
        out.text(f"Every repetition's time is in {arguments.output}.")
    if arguments.plot:
        out.text(f"Written: {arguments.plot}.")


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
