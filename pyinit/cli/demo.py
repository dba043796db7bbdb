"""`pyinit demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pyinit import demo, demo_training
from pyinit.cli.arguments import check_writable, integer
from pyinit.terminal import output

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add `pyinit demo`."""
    parser = commands.add_parser("demo", help="initialise networks small and large, and see what it does to them")
    parser.add_argument("--seed", type=integer(0, 2**64), default=1, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a network a hundred times smaller; fewer epochs")
    parser.add_argument(
        "--train", action="store_true", help="train a deep network on handwritten digits, from each initial weights"
    )
    parser.add_argument(
        "--save", type=picture, metavar="FILE", help="draw the learning curves there (with --train): .png, .svg or .pdf"
    )
    parser.set_defaults(command=lambda a: run(parser, a))


def picture(text: str) -> Path:
    """Read the name of a picture."""
    if Path(text).suffix not in (".png", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"must end in .png, .svg or .pdf; got {text!r}")
    return Path(text)


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Run the demonstration of the article, or that of training."""
    if arguments.save and not arguments.train:
        parser.error("--save needs --train")
    if arguments.train:
        check_writable(arguments.save)
        demo_training.run(output(), arguments.seed, arguments.quick, arguments.save)
    else:
        demo.run(output(), arguments.seed, arguments.quick)
