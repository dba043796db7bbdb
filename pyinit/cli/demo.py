"""`pyinit demo`."""

from __future__ import annotations

from typing import Any

from pyinit import demo
from pyinit.cli.arguments import add_command, integer
from pyinit.terminal import output

__all__ = ["add"]

EXAMPLES = """
    pyinit demo
    pyinit demo --quick --seed 7
"""


def add(commands: Any) -> None:
    """Add `pyinit demo`."""
    parser = add_command(
        commands, "demo", "initialise networks small and large, and see what it does to them", EXAMPLES
    )
    parser.add_argument("--seed", type=integer(0, 2**64), default=1, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a network a hundred times smaller")
    parser.set_defaults(command=lambda a: demo.run(output(), a.seed, a.quick))
