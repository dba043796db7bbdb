"""Output of commands, with rich on a terminal and plain text elsewhere, and progress bars."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output", "Plain", "Rich", "Table", "cell", "lines", "output", "printable", "progress", "steps"]

WIDTH = 80
LEAST = 40  # columns of text. A narrower terminal wraps the lines itself: rich would drop cells that do not fit.
GAP = 2  # between the columns of a table
INDENT = 4  # of a term's explanation


Row = TypeVar("Row", bound=NamedTuple)


class Output(Protocol):
    """The output of a command: a terminal, or plain text."""

    def section(self, title: str, text: str) -> None:
        """Begin a section with one paragraph that introduces it."""

    def text(self, text: str) -> None:
        """Show a paragraph."""

    def entry(self, term: str, text: str) -> None:
        """Show a term, and below it, indented, its explanation."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table, with words aligned left and numbers aligned right."""


class Plain:
    """Text without colours: for a pipe, a file, or if rich is not installed."""

    def section(self, title: str, text: str) -> None:
        print(f"\n\n{title}\n{'-' * len(title)}", end="")
        self.text(text)

    def text(self, text: str) -> None:
        print("\n" + filled(text), flush=True)

    def entry(self, term: str, text: str) -> None:
        indent = " " * INDENT
        print(filled(term, subsequent_indent=indent * 2))
        print(filled(text, initial_indent=indent, subsequent_indent=indent), flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        print("\n" + "\n".join(lines(columns, rows)), flush=True)


class Rich:
    """Text with colours, by rich."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def section(self, title: str, text: str) -> None:
        from rich.text import Text

        self.console.print("\n", Text(title, style="bold cyan"), sep="", end="")
        self.text(text)

    def text(self, text: str) -> None:
        self.console.print("\n" + text, markup=False, highlight=False, width=min(WIDTH, self.console.width))

    def entry(self, term: str, text: str) -> None:
        from rich.padding import Padding
        from rich.text import Text

        room = min(WIDTH, self.console.width)
        self.console.print(Text(term, style="bold"), width=room)
        self.console.print(Padding(Text(text), (0, 0, 0, INDENT)), width=room)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for name, right in zip(columns, numeric(rows), strict=True):
            table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row), style="bold green" if row[0].startswith("pyinit") else None)
        self.console.print("", table, sep="\n")


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table as lines of text, with words aligned left and numbers aligned right."""
    rows = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    right = numeric(rows) or [False] * len(columns)
    return [
        (" " * GAP).join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in (columns, *rows)
    ]


class Table(list[Row], Generic[Row]):
    """A list of rows of one type that prints as a table.

    Parameters
    ----------
    kind : type
        The NamedTuple class of the rows. Its fields are the columns.
    rows : iterable
    """

    def __init__(self, kind: type[Row], rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)
        self.columns = [name.replace("_", " ") for name in kind._fields]

    def __str__(self) -> str:
        return "\n".join(lines(self.columns, [[cell(value) for value in row] for row in self]))

    __repr__ = __str__


def cell(value: object) -> str:
    """Format a cell: empty for None, three digits for a float."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def printable(text: str, most: int = 300) -> str:
    """Make untrusted text safe for a terminal: one line, without control characters.

    Examples
    --------
    >>> print(printable("\\x1b[31mred"), printable("a" * 1000, 8))
    \\x1b[31mred aaaaa...
    """
    if len(text) > most:
        text = text[: most - 3] + "..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Tell which columns hold numbers: every entry is empty, or begins and ends like a number."""
    return [
        all(not c or (c.lstrip("-")[:1].isdigit() and c[-1] in "0123456789x%") for c in column)
        for column in zip(*rows, strict=True)
    ]


def width() -> int:
    """Return the width of plain text: the environment variable COLUMNS, or 80. Tables are as wide as their cells."""
    text = os.environ.get("COLUMNS", "")
    return max(int(text), LEAST) if re.fullmatch("[0-9]{1,4}", text) else WIDTH


def filled(text: str, **indents: Any) -> str:
    """Wrap plain text between words. A long word, such as a path, stays whole, so that it can be copied."""
    return textwrap.fill(text, width(), break_on_hyphens=False, break_long_words=False, **indents)


def output() -> Plain | Rich:
    """Choose rich on a terminal if it is installed, otherwise plain text."""
    if sys.stdout is None or not sys.stdout.isatty():
        return Plain()
    try:
        from rich.console import Console
    except ImportError:
        return Plain()
    console = Console()
    console.width = max(console.width, LEAST)
    return Rich(console)


class Advance(Protocol):
    """Reports progress, from any thread: the number of units just done, and the name of the next step."""

    def __call__(self, n: int, what: str | None = None, /) -> object: ...


@contextmanager
def progress(
    total: int, what: str, show: bool = True, *, unit: Literal["steps", "bytes"] = "steps", redraw: bool = True
) -> Iterator[Advance]:
    """Show a progress bar: the part that is done, the speed, and the time left.

    The bar goes to standard error if that is a terminal or a notebook and rich is installed. At the end it disappears.

    Parameters
    ----------
    total : int
        The sum of the numbers that the calls report.
    what : str
        The description of the work.
    show : bool
        False: show nothing.
    unit : {"steps", "bytes"}
        The unit of these numbers.
    redraw : bool
        Whether a thread redraws the bar all the time. False: only the calls redraw it, so that nothing else runs during
        timed work.

    Yields
    ------
    Advance

    Examples
    --------
    >>> with progress(3, "filling", show=False) as advance:
    ...     advance(3)
    """
    try:
        if not show:
            raise ImportError
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        yield lambda n, what=None: None
        return
    console = Console(stderr=True)
    # With FORCE_COLOR set rich takes a pipe for a terminal; a bar does not belong there.
    seen = console.is_jupyter or (sys.stderr is not None and sys.stderr.isatty() and console.is_terminal)
    count, speed = TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"), TextColumn("{task.fields[rate]}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        *((DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (count, speed)),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=redraw, disable=not seen) as bar:
        task = bar.add_task(escape(what), total=total, rate="")

        def advance(n: int, what: str | None = None) -> None:
            description = None if what is None else escape(what)
            bar.update(task, advance=n, description=description, rate=rate(bar.tasks[0].speed), refresh=not redraw)

        yield advance


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], object]]:
    """Show the progress of timed steps.

    Yields
    ------
    callable
        Call it with the name of each step, before the step begins.
    """
    with progress(total, "", redraw=False) as advance:
        yield lambda name: advance(1, name)


def rate(speed: float | None) -> str:
    """Write a speed in steps per second; an empty text while it is unknown.

    Examples
    --------
    >>> rate(None), rate(0.25), rate(1234.6)
    ('', '0.25 steps/s', '1,235 steps/s')
    """
    if speed is None:
        return ""
    return f"{speed:,.0f} steps/s" if speed >= 10 else f"{speed:.2g} steps/s"
