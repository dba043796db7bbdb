"""The command `pyinit`: one file for each subcommand; its `add` adds the arguments and the function to run."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from pyinit import __version__
from pyinit.cli import bench, checkpoint, demo, diagnose, fill, info, schemes, verify
from pyinit.cli.arguments import EXIT_CODES
from pyinit.cli.completion import PrintCompletion
from pyinit.terminal import printable
from pyinit.untrusted import DamagedError

__all__ = ["main", "parser"]

COMMANDS = (demo, schemes, diagnose, fill, checkpoint, verify, bench, info)


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser; the parsed arguments hold the `command` to run.

    Returns
    -------
    argparse.ArgumentParser

    Examples
    --------
    >>> parser().parse_args(["demo", "--seed", "7"]).seed
    7
    """
    made = argparse.ArgumentParser(
        prog="pyinit",
        description="Random initial weights, written straight into memory.",
        epilog=f"examples:\n  pyinit demo\n  pyinit schemes\n  pyinit COMMAND --help\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"pyinit {__version__}")
    made.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=("bash", "zsh", "tcsh"),
        help="print this program's completion script for a shell (needs shtab)",
    )
    commands = made.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if None.

    Returns
    -------
    int
        The exit code: 0; 1 if the command failed (a damaged or missing file, no memory, a missing package); 130 after
        Ctrl-C.

    Raises
    ------
    SystemExit
        After --help or --version; with code 2 for wrong arguments.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run(argv)
    except KeyboardInterrupt:
        print("pyinit: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `pyinit demo | head`
        return 0
    except (DamagedError, ImportError, MemoryError, OSError) as error:
        print(f"pyinit: {printable(sentence(error), 1000)}", file=sys.stderr)
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            settle(stream)


def run(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments name, and flush its output, so that a write error shows here."""
    made = parser()
    arguments = made.parse_args(argv)
    if "command" in arguments:
        arguments.command(arguments)
    else:
        made.print_help()
    if sys.stdout:
        sys.stdout.flush()
    return 0


def sentence(error: Exception) -> str:
    """Describe an error in one line, without its errno."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split("\n")) or "out of memory"


def settle(stream: TextIO | None) -> None:
    """Flush a standard stream; after a closed pipe or a full disk, the flush at exit must not fail again."""
    if not stream:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
