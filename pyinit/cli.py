"""The command `pyinit`, and what it prints with: rich on a terminal, plain text anywhere else."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyinit import __version__, bench, demo

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["main"]

WIDTH = 80


class Plain:
    """Text without colours or a progress bar: for a pipe, a file, or where rich is not installed."""

    def section(self, title: str, text: str) -> None:
        print(f"\n\n{title}\n{'-' * len(title)}", end="")
        self.text(text)

    def text(self, text: str) -> None:
        print("\n" + textwrap.fill(text, WIDTH, break_on_hyphens=False), flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        right = numeric(rows)
        print()
        for row in (columns, *rows):
            cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
            print("  ".join(cells).rstrip(), flush=True)

    def progress(self, total: int) -> nullcontext[Callable[[str], object]]:
        return nullcontext(lambda name: None)


class Rich:
    """The same with colours, and with a progress bar while something is timed."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def section(self, title: str, text: str) -> None:
        from rich.text import Text

        self.console.print("\n", Text(title, style="bold cyan"), sep="", end="")
        self.text(text)

    def text(self, text: str) -> None:
        self.console.print("\n" + text, markup=False, highlight=False, width=min(WIDTH, self.console.width))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for name, right in zip(columns, numeric(rows), strict=True):
            table.add_column(Text(name), justify="right" if right else "left")
        for row in rows:
            table.add_row(*map(Text, row), style="bold green" if row[0].startswith("pyinit") else None)
        self.console.print("", table, sep="\n")

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], object]]:
        from rich.progress import Progress

        # Drawn by hand between the steps: a thread that redraws would run beside what is timed.
        with Progress(console=self.console, auto_refresh=False, transient=True) as bar:
            task = bar.add_task("", total=total)

            def tell(name: str) -> None:
                bar.update(task, advance=1, description=name, refresh=True)

            yield tell


def numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Tell which columns hold numbers: those whose every entry is empty or begins and ends like one."""
    return [
        all(not c or (c[0].isdigit() and c[-1] in "0123456789x%") for c in column) for column in zip(*rows, strict=True)
    ]


def output() -> Plain | Rich:
    """Choose how to print: rich needs a terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return Plain()
    try:
        from rich.console import Console
    except ImportError:
        return Plain()
    return Rich(Console())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if None.

    Returns
    -------
    int
        The exit code: 0; 1 where a file cannot be written; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        After --help or --version; with code 2 for arguments that are not understood.
    """
    parser = argparse.ArgumentParser(prog="pyinit", description="Random initial weights, written straight into memory.")
    parser.add_argument("--version", action="version", version=f"pyinit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (add_demo, add_bench):
        add(commands)
    arguments = parser.parse_args(argv)
    if "command" not in arguments:
        parser.print_help()
        return 0
    try:
        arguments.command(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `pyinit demo | head`: what is still in the buffer has nowhere to go when Python flushes it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, MemoryError) as error:
        print(f"pyinit: {error}", file=sys.stderr)
        return 1
    return 0


def add_demo(commands: Any) -> None:
    """Add `pyinit demo`."""
    parser = commands.add_parser("demo", help="initialise networks small and large, and see what it does to them")
    parser.add_argument("--seed", type=integer(0, 2**64), default=1, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a network a hundred times smaller")
    parser.set_defaults(command=lambda a: demo.run(output(), a.seed, a.quick))


def add_bench(commands: Any) -> None:
    """Add `pyinit bench`."""
    parser = commands.add_parser("bench", help="time every fill on this machine")
    add_bench_options(parser)
    parser.set_defaults(command=run_bench)


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    """Add what `pyinit bench` and the scripts in benchmarks/ have in common."""
    parser.add_argument(
        "--elements", type=integer(2), default=55_010_000, help="float32 in the buffer (default: %(default)s)"
    )
    parser.add_argument(
        "--repetitions", type=integer(1), default=9, help="at most, of each case (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write every repetition's time there, as JSON")


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a reader of integers of at least `low`, and below `high` if there is one."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer; got {text!r}") from None
        if value < low or (high is not None and value >= high):
            raise argparse.ArgumentTypeError(
                f"must be at least {low}{f' and below {high}' if high else ''}; got {text}"
            )
        return value

    return read


def run_bench(arguments: argparse.Namespace) -> None:
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


def check_writable(file: Path | None) -> None:
    """Fail now, if a file cannot be written, rather than after the measurement."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()


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
