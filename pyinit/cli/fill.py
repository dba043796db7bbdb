"""`pyinit fill`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinit import _core, files
from pyinit.cli.arguments import add_command, add_json, integer
from pyinit.files.formats import DTYPES

__all__ = ["add"]

EXAMPLES = """
    pyinit fill --shape 5000,10000 --scheme xavier_normal --seed 7 weights.npy
    pyinit fill --shape 4096,4096 --scheme "normal(std=0.02)" --seed 7 --dtype bfloat16 weights.safetensors
    pyinit fill --shape 512,784 --scheme lecun_normal --seed 0 --child fc1.weight --force --json fc1.npy
"""


def add(commands: Any) -> None:
    """Add `pyinit fill`."""
    parser = add_command(commands, "fill", "write initial weights to a file, larger than memory if need be", EXAMPLES)
    parser.add_argument("file", metavar="FILE", help="ends in .npy or .safetensors; appears when it is whole")
    parser.add_argument("--shape", type=shape, required=True, metavar="N,N,...", help="as in 5000,10000: out, in")
    parser.add_argument("--scheme", required=True, help='as in xavier_normal or "normal(std=0.02)"')
    parser.add_argument("--seed", type=integer(0, 2**64), help="in [0, 2**64) (default: random; printed)")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="those that NumPy lacks for .safetensors only (default: %(default)s)",
    )
    parser.add_argument("--generator", choices=_core.GENERATORS, default="philox", help="(default: %(default)s)")
    parser.add_argument("--child", metavar="NAME", help="fill from the stream's child of that name")
    parser.add_argument("--name", default="weights", help="the tensor's, in .safetensors (default: %(default)s)")
    parser.add_argument(
        "--threads", type=integer(1), metavar="N", help="at most (default: PYINIT_NUM_THREADS, or one a processor)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_json(parser)
    parser.set_defaults(command=run, refuse=parser.error)


def run(arguments: argparse.Namespace) -> None:
    """Fill the file, and tell what is in it."""
    try:
        with unwinding():
            filled = files.fill(
                arguments.file,
                arguments.shape,
                arguments.scheme,
                arguments.seed,
                dtype=arguments.dtype,
                generator=arguments.generator,
                child=arguments.child,
                name=arguments.name,
                overwrite=arguments.force,
                num_threads=arguments.threads,
                progress=True,
            )
    except (TypeError, ValueError) as error:
        arguments.refuse(str(error))  # exits with code 2
        raise
    if arguments.json:
        print(json.dumps(dataclasses.asdict(filled), indent=1))
        return
    child = f", child {filled.child!r}" if filled.child is not None else ""
    print(
        f"{filled.path}: {' x '.join(map(str, filled.shape))} {filled.dtype}, {filled.scheme}, seed {filled.seed}, "
        f"{filled.generator}{child}; {filled.bytes:,} bytes."
    )


def shape(text: str) -> tuple[int, ...]:
    """Read a shape, as in 5000,10000."""
    try:
        sizes = tuple(map(int, text.split(",")))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"must be numbers of at least 1 with commas between them; got {text!r}")
    return sizes


@contextmanager
def unwinding() -> Iterator[None]:
    """Leave by an exception on SIGTERM and SIGHUP, with the shell's exit code for them, so that files are removed."""

    def leave(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # the first is enough
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP; nohup ignores it, and so do we then
    numbers = [number for name in names if (number := getattr(signal, name, None))]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
