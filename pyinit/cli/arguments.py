"""Argument types, and the options that commands and the scripts in benchmarks/ share."""

from __future__ import annotations

import argparse
import signal
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyinit.atomic import check_parent
from pyinit.plots import FORMATS
from pyinit.terminal import printable
from pyinit.untrusted import DamagedError

__all__ = [
    "EXIT_CODES",
    "add_bench_options",
    "add_command",
    "add_json",
    "add_threads",
    "check_writable",
    "integer",
    "picture",
    "refusing",
    "unwinding",
]

EXIT_CODES = """\
exit codes:
  0    done
  1    failed: file damaged or missing, package missing, no memory or disk space
  2    wrong arguments
  130  stopped by Ctrl-C"""


def add_command(
    commands: Any, name: str, summary: str, examples: str, exit_codes: str = EXIT_CODES
) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples and the exit codes.

    Parameters
    ----------
    commands : the result of `argparse.ArgumentParser.add_subparsers`
    name : str
    summary : str
        One line on what the command does.
    examples : str
        Command lines to type as they are.
    exit_codes : str
        What each exit code means.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{textwrap.indent(textwrap.dedent(examples).strip(), '  ')}\n\n{exit_codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, for output that a program reads."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads` to a command that fills."""
    parser.add_argument(
        "--threads",
        type=integer(1),
        metavar="N",
        help="largest number of threads (default: PYINIT_NUM_THREADS, or one for each processor)",
    )


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `pyinit bench` and the scripts in benchmarks/ share."""
    parser.add_argument(
        "--elements", type=integer(2), default=55_010_000, help="number of float32 in the buffer (default: %(default)s)"
    )
    parser.add_argument(
        "--repetitions",
        type=integer(1),
        default=9,
        help="largest number of times to time a case (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the time of every repetition to a JSON file")


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make an argument type: integers of at least `low`, and below `high` if it is given."""

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
    """Raise OSError if a file cannot be written: now, rather than after the work."""
    if file:
        check_parent(file)
        new = not file.exists()
        file.open("a").close()
        if new:
            file.unlink()


@contextmanager
def refusing(arguments: argparse.Namespace) -> Iterator[None]:
    """Exit with code 2 if an argument is wrong; a damaged file is not a wrong argument."""
    try:
        yield
    except DamagedError:
        raise
    except (TypeError, ValueError) as error:
        arguments.refuse(printable(str(error), 10_000))
        raise


@contextmanager
def unwinding() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit with the shell's exit code, so that unfinished files are removed."""

    def leave(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # the first is enough
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP; under nohup it stays ignored
    numbers = [number for name in names if (number := getattr(signal, name, None))]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
