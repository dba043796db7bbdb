"""How arguments are read, and what commands and the scripts in benchmarks/ have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

__all__ = ["add_bench_options", "check_writable", "integer"]


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


def check_writable(file: Path | None) -> None:
    """Fail now, if a file cannot be written, rather than after the measurement."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = not file.exists()
        file.open("a").close()
        if new:
            file.unlink()
