"""`pyinit checkpoint write`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from pyinit import _core, checkpoint
from pyinit.atomic import check_parent
from pyinit.checkpoint import plans
from pyinit.cli.arguments import add_command, add_json, add_threads, integer, refusing, unwinding
from pyinit.files.formats import DTYPES
from pyinit.streams import Stream

__all__ = ["add", "add_source", "model_of", "size", "write"]

EXAMPLES = """
    pyinit checkpoint write --config config.json --seed 0 --dtype bfloat16 OUT
    pyinit checkpoint write --plan plan.toml --shapes shapes.json --seed 0 OUT
    pyinit checkpoint write --like CHECKPOINT --seed 0 OUT
"""

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def add(commands: Any) -> None:
    """Add `pyinit checkpoint`."""
    parser = add_command(commands, "checkpoint", "write checkpoints of initial weights", EXAMPLES)
    parser.set_defaults(command=lambda arguments: parser.print_help())
    inner = parser.add_subparsers(title="commands", metavar="COMMAND")
    writer = add_command(
        inner, "write", "write a checkpoint of initial weights, which may be larger than memory", EXAMPLES
    )
    writer.add_argument("folder", metavar="OUT", help="a folder or a .safetensors file; appears only when complete")
    add_source(writer)
    writer.add_argument(
        "--shapes",
        metavar="FILE",
        help="a shape for each name; without it or --like, --plan has a shape and a scheme for each name",
    )
    writer.add_argument("--like", metavar="CHECKPOINT", help="take names, shapes and dtypes from a folder or a file")
    writer.add_argument("--seed", type=integer(0, 2**64), help="in [0, 2**64) (default: random; printed)")
    writer.add_argument("--dtype", choices=DTYPES, help="dtype of every float tensor (default: as in the source)")
    writer.add_argument("--generator", choices=_core.GENERATORS, default="philox", help="(default: %(default)s)")
    writer.add_argument(
        "--shard-size",
        type=size,
        default=5 * 10**9,
        metavar="SIZE",
        help="largest size of a file, such as 500MB (default: 5GB)",
    )
    writer.add_argument(
        "--names",
        choices=("disk", "memory"),
        default="disk",
        help="tensor names for a Hugging Face model: as in its checkpoints, or as in memory (default: %(default)s)",
    )
    add_threads(writer)
    writer.add_argument("--force", action="store_true", help="replace an existing folder or file")
    add_json(writer)
    writer.set_defaults(command=run, refuse=writer.error)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the source of the weights."""
    parser.add_argument("--config", metavar="FILE", help="the config.json of a Hugging Face model; needs transformers")
    parser.add_argument(
        "--arch", default="auto", metavar="CLASS", help="the model's class (default: the configuration's)"
    )
    parser.add_argument(
        "--plan", metavar="FILE", help=f"a scheme for each pattern of names ({', '.join(plans.SUFFIXES)})"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the checkpoint, and print a summary."""
    with refusing(arguments):
        check_parent(Path(arguments.folder))  # before PyTorch is imported
        source, plan = source_of(arguments)
        write(arguments, arguments.folder, source, plan, shard_bytes=arguments.shard_size, names=arguments.names)


def write(arguments: argparse.Namespace, path: str, source: Any, plan: Any, **options: Any) -> None:
    """Write a checkpoint with the options that `pyinit checkpoint write` and `pyinit fill` share."""
    with unwinding():
        if arguments.seed is None:
            arguments.seed = Stream(None).seed
            print(f"seed {arguments.seed}", file=sys.stderr, flush=True)  # a stopped call can go on with it
        written = checkpoint.write(
            source,
            path,
            arguments.seed,
            plan=plan,
            dtype=arguments.dtype,
            generator=arguments.generator,
            overwrite=arguments.force,
            num_threads=arguments.threads,
            progress=True,
            **options,
        )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(written), indent=1))
        return
    kept = f", {written.kept} of them from an earlier call" if written.kept else ""
    files = f"{written.files} file{'s' * (written.files > 1)}{kept}"
    print(
        f"{written.path}: {written.tensors:,} tensors in {files}, {written.bytes:,} bytes; seed {written.seed}, "
        f"{written.generator}."
    )


def source_of(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Return the source and the plan that the options name; raise ValueError if they do not go together."""
    given = [name for name in ("config", "like", "shapes") if getattr(arguments, name)]
    if len(given) > 1:
        raise ValueError(f"--{given[0]} and --{given[1]} are two sources: give one")
    if arguments.arch != "auto" and not arguments.config:
        raise ValueError("--arch needs --config")
    if arguments.config:
        if arguments.plan:
            raise ValueError("--plan does not go with --config: the model initialises itself")
        return model_of(arguments.config, arguments.arch, arguments.dtype), None
    if arguments.like:
        return arguments.like, arguments.plan
    if not arguments.plan:
        raise ValueError("nothing to write: give --config, --plan or --like")
    if arguments.shapes:
        return plans.load(arguments.shapes), arguments.plan
    return plans.load(arguments.plan), None


def model_of(config: str, arch: str, dtype: str | None) -> Any:
    """Build a Hugging Face model without allocating its weights."""
    from pyinit.adapters.torch.hugging_face import from_config

    return from_config(config, arch, dtype)


def size(text: str) -> int:
    """Read a size in bytes, as in 500MB."""
    digits = text.rstrip("BGKM")
    try:
        return int(float(digits) * UNITS[text[len(digits) :]]) if digits != text else integer(1)(text)
    except (KeyError, OverflowError, ValueError):
        raise argparse.ArgumentTypeError(f"must be a size, as in 500MB or 5GB; got {text!r}") from None
