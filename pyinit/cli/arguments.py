"""How arguments are read, and what commands and the scripts in benchmarks/ have in common."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyinit.plots import FORMATS

__all__ = ["EXIT_CODES", "add_bench_options", "add_command", "add_json", "check_writable", "integer", "picture"]

EXIT_CODES = """\
exit codes:
  0    done
  1    cannot be done: a file, a package, memory or room is missing
  2    arguments that are not understood
  130  stopped by Ctrl-C"""


def add_command(commands: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples and the exit codes.

    Parameters
    ----------
    commands : the result of `argparse.ArgumentParser.add_subparsers`
    name : str
    summary : str
        One line on what the command does.
    examples : str
        Lines that can be typed as they stand.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{textwrap.indent(textwrap.dedent(examples).strip(), '  ')}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json` to a command that has something to tell to a program."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


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


def picture(text: str) -> Path:
    """Read the name of a picture's file."""
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"must end in {', '.join(FORMATS)}; got {text!r}")
    return path


def check_writable(file: Path | None) -> None:
    """Fail now, if a file cannot be written, rather than after the measurement."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = not file.exists()
        file.open("a").close()
        if new:
            file.unlink()
