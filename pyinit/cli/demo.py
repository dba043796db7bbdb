"""`pyinit demo`."""

from __future__ import annotations

import argparse
from typing import Any

from pyinit.cli.arguments import add_command, check_writable, integer, picture
from pyinit.demo import article, training
from pyinit.terminal import output

__all__ = ["add"]

EXAMPLES = """
    pyinit demo
    pyinit demo --quick --seed 7
    pyinit demo --train --save curves.png
"""


def add(commands: Any) -> None:
    """Add `pyinit demo`."""
    parser = add_command(
        commands, "demo", "initialise small and large networks, and see what the weights do to them", EXAMPLES
    )
    parser.add_argument("--seed", type=integer(0, 2**64), default=1, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a network a hundred times smaller, and fewer epochs")
    parser.add_argument(
        "--train",
        action="store_true",
        help="train a deep network on handwritten digits, from several kinds of initial weights",
    )
    parser.add_argument(
        "--save", type=picture, metavar="FILE", help="draw the learning curves (with --train): .png, .svg or .pdf"
    )
    parser.set_defaults(command=lambda a: run(parser, a))


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Run the article's demonstration, or the training one."""
    if arguments.save and not arguments.train:
        parser.error("--save needs --train")
    if arguments.train:
        check_writable(arguments.save)
        training.run(output(), arguments.seed, arguments.quick, arguments.save)
    else:
        article.run(output(), arguments.seed, arguments.quick)
