"""The command `pyinit`: one file a subcommand, each with `add`, which says its arguments and what it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pyinit import __version__
from pyinit.cli import bench, demo

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if None.

    Returns
    -------
    int
        The exit code: 0; 1 where a file cannot be written or a package is missing; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        After --help or --version; with code 2 for arguments that are not understood.
    """
    parser = argparse.ArgumentParser(prog="pyinit", description="Random initial weights, written straight into memory.")
    parser.add_argument("--version", action="version", version=f"pyinit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (demo, bench):
        command.add(commands)
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
    except (ImportError, MemoryError, OSError) as error:
        print(f"pyinit: {error}", file=sys.stderr)
        return 1
    return 0
