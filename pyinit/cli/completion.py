"""`pyinit --print-completion SHELL`; only this file imports shtab."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

__all__ = ["PrintCompletion"]

FILES = ("CHECKPOINT", "FILE", "OTHER", "OUT", "PATH")  # how the help shows arguments that name files


class PrintCompletion(argparse.Action):
    """Print a shell's completion of a parser, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        try:
            import shtab
        except ImportError:
            raise ImportError("--print-completion needs shtab: pip install shtab") from None
        for action in actions(parser):
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own mark
        print(shtab.complete(parser, values))
        parser.exit()


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
