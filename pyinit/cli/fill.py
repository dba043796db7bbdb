"""`pyinit fill`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from pyinit import _core, files
from pyinit.checkpoint import plans
from pyinit.cli.arguments import add_command, add_json, add_threads, integer, refusing, unwinding
from pyinit.cli.checkpoint import write
from pyinit.files.formats import DTYPES

__all__ = ["add"]

EXAMPLES = """
    pyinit fill --shape 5000,10000 --scheme xavier_normal --seed 7 weights.npy
    pyinit fill --shape 4096,4096 --scheme "normal(std=0.02)" --seed 7 --dtype bfloat16 weights.safetensors
    pyinit fill --shape 512,784 --scheme lecun_normal --seed 0 --child fc1.weight --force --json fc1.npy
    pyinit fill --shape 100000,100000 --scheme normal --seed 0 --part 3/16 noise.zarr
    pyinit fill --plan plan.toml --shapes shapes.json --seed 0 model.safetensors
"""

ONE = ("shape", "scheme", "child", "name", "part", "chunks", "shards")  # the options for a single tensor


def add(commands: Any) -> None:
    """Add `pyinit fill`."""
    parser = add_command(commands, "fill", "write initial weights to a file, which may be larger than memory", EXAMPLES)
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".npy, .npz, .safetensors or .zarr; with --plan a folder or .safetensors; appears only when complete",
    )
    parser.add_argument("--shape", type=shape, metavar="N,N,...", help="such as 5000,10000 (outputs, inputs)")
    parser.add_argument("--scheme", help='such as xavier_normal or "normal(std=0.02)"')
    parser.add_argument(
        "--plan", metavar="FILE", help=f"many tensors: a scheme for each pattern of names ({', '.join(plans.SUFFIXES)})"
    )
    parser.add_argument(
        "--shapes", metavar="FILE", help="a shape for each name; without it, --plan has a shape and a scheme for each"
    )
    parser.add_argument("--seed", type=integer(0, 2**64), help="in [0, 2**64) (default: random; printed)")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="bfloat16 and float8 need .safetensors (default: float32, or what the plan says)",
    )
    parser.add_argument("--generator", choices=_core.GENERATORS, default="philox", help="(default: %(default)s)")
    parser.add_argument("--child", metavar="NAME", help="use the stream's child of this name")
    parser.add_argument("--name", help="name of the tensor in .safetensors and .npz (default: weights)")
    parser.add_argument(
        "--chunks", type=shape, metavar="N,N,...", help="shape of a .zarr array's chunk, the unit of reading"
    )
    parser.add_argument("--shards", type=shape, metavar="N,N,...", help="shape of a .zarr array's shard, one file each")
    parser.add_argument("--part", type=part, metavar="I/N", help="write part I of N of a .zarr array, counted from 0")
    add_threads(parser)
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    add_json(parser)
    parser.set_defaults(command=run, refuse=parser.error)


def run(arguments: argparse.Namespace) -> None:
    """Fill the file, and print a summary."""
    with refusing(arguments):
        if arguments.plan:
            many(arguments)
        else:
            one(arguments)


def many(arguments: argparse.Namespace) -> None:
    """Fill many tensors."""
    if given := [name for name in ONE if getattr(arguments, name) is not None]:
        raise ValueError(f"--{given[0]} is for one tensor, --plan for many")
    if (suffix := Path(arguments.file).suffix) in files.SUFFIXES and suffix != ".safetensors":
        raise ValueError(f"many tensors go to a folder or a .safetensors file; got {arguments.file}")
    source, plan = (plans.load(arguments.shapes), arguments.plan) if arguments.shapes else (arguments.plan, None)
    write(arguments, arguments.file, source, plan)


def one(arguments: argparse.Namespace) -> None:
    """Fill one tensor."""
    for name in ("shape", "scheme"):
        if getattr(arguments, name) is None:
            raise ValueError(f"--{name} must be given, or --plan for many tensors")
    if arguments.shapes:
        raise ValueError("--shapes needs --plan")
    with unwinding():
        filled = files.fill(
            arguments.file,
            arguments.shape,
            arguments.scheme,
            arguments.seed,
            dtype=arguments.dtype or "float32",
            generator=arguments.generator,
            child=arguments.child,
            name="weights" if arguments.name is None else arguments.name,
            overwrite=arguments.force,
            num_threads=arguments.threads,
            progress=True,
            chunks=arguments.chunks,
            shards=arguments.shards,
            part=arguments.part,
        )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(filled), indent=1))
        return
    child = f", child {filled.child!r}" if filled.child is not None else ""
    print(
        f"{filled.path}: {' x '.join(map(str, filled.shape))} {filled.dtype}, {filled.scheme}, seed {filled.seed}, "
        f"{filled.generator}{child}; {filled.bytes:,} bytes."
    )


def part(text: str) -> tuple[int, int]:
    """Read a part's number and the number of parts, as in 3/16."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise argparse.ArgumentTypeError(f"must be I/N, as in 3/16, with I from 0 to N - 1; got {text!r}")
    return int(number), int(count)


def shape(text: str) -> tuple[int, ...]:
    """Read a shape, as in 5000,10000."""
    try:
        sizes = tuple(map(int, text.split(",")))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"must be positive integers separated by commas; got {text!r}")
    return sizes
