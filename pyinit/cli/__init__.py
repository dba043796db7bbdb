"""The command `pyinit`: one file a subcommand, each with `add`, which says its arguments and what it runs."""

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
    """Make the parser of the command line, whose defaults hold the `command` to run.

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
        help="print the shell's completion of this program (needs shtab)",
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
        The exit code: 0; 1 where it cannot be done, for want of a whole file, of memory or of a package; 130 after
        Ctrl-C.

    Raises
    ------
    SystemExit
        After --help or --version; with code 2 for arguments that are not understood.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run(argv)
    except KeyboardInterrupt:
        print("pyinit: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `pyinit demo | head`: whoever read has seen enough
        return 0
    except (DamagedError, ImportError, MemoryError, OSError) as error:
        print(f"pyinit: {printable(sentence(error), 1000)}", file=sys.stderr)
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            settle(stream)


def run(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments name, and see to it that what it printed has been taken."""
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
    """Say what could not be done, without the number that an operating system has for it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split("\n")) or "out of memory"


def settle(stream: TextIO | None) -> None:
    """Flush a standard stream; what a closed pipe or a full disk does not take must not fail again at the exit."""
    if not stream:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
