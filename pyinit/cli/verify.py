"""`pyinit verify`."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pyinit import _core, checkpoint, plots
from pyinit.checkpoint import Moved
from pyinit.cli.arguments import EXIT_CODES, add_command, add_json, check_writable, integer, picture, refusing
from pyinit.cli.checkpoint import add_source, model_of
from pyinit.files.formats import DTYPES
from pyinit.models.comparison import Verified
from pyinit.terminal import cell, lines

__all__ = ["add"]

EXAMPLES = """
    pyinit verify OUT
        a checkpoint that pyinit wrote, against the seed and schemes in its files
    pyinit verify CHECKPOINT --seed 0 --plan plan.toml
    pyinit verify CHECKPOINT --seed 0 --config config.json
    pyinit verify weights.npy --seed 7 --scheme xavier_normal
    pyinit verify CHECKPOINT --against EARLIER
        which tensors changed, and by how much: did all layers train?
    pyinit verify CHECKPOINT --against EARLIER --plot moved.png
        the same as a picture, a row for each layer
"""

UNEQUAL = 3
MOST = 16  # lines shown for all kinds of verdicts together, but at least two for each


def add(commands: Any) -> None:
    """Add `pyinit verify`."""
    parser = add_command(
        commands,
        "verify",
        "compare a checkpoint with its initial weights, or with another checkpoint",
        EXAMPLES,
        EXIT_CODES.replace("  130", f"  {UNEQUAL}    done; not all tensors are equal\n  130"),
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a folder of .safetensors files, a single one, a .npy file, or a PyTorch DCP folder",
    )
    parser.add_argument("--seed", type=integer(0, 2**64), help="(default: read from the files)")
    add_source(parser)
    parser.add_argument(
        "--dtype", choices=DTYPES, help="dtype of the model that --config describes (default: the configuration's)"
    )
    parser.add_argument("--scheme", help="scheme of a file with one tensor, such as xavier_normal")
    parser.add_argument("--child", metavar="NAME", help="name of the child stream, for a file with one tensor")
    parser.add_argument("--generator", choices=_core.GENERATORS, help="(default: read from the files, or philox)")
    parser.add_argument("--against", metavar="OTHER", help="another checkpoint to compare with; needs no seed")
    parser.add_argument(
        "--trust-pickle", action="store_true", help="read DCP's metadata, a pickle, which can run any code"
    )
    parser.add_argument("--all", action="store_true", help="show every tensor")
    parser.add_argument(
        "--plot", type=picture, metavar="FILE", help="draw how much each layer changed: .png, .svg or .pdf"
    )
    add_json(parser)
    parser.set_defaults(command=run, refuse=parser.error)


def run(arguments: argparse.Namespace) -> None:
    """Compare, show and draw the result, and exit with 3 if not all tensors are equal."""
    rows: Sequence[Any]
    if arguments.plot:
        plots.require_matplotlib()
        check_writable(arguments.plot)
    with refusing(arguments):
        if arguments.against:
            check_alone(arguments)
            rows = checkpoint.against(
                arguments.path, arguments.against, trust_pickle=arguments.trust_pickle, progress=True
            )
        else:
            rows = checkpoint.verify(
                arguments.path,
                source_of(arguments),
                arguments.seed,
                generator=arguments.generator,
                child=arguments.child,
                trust_pickle=arguments.trust_pickle,
                progress=True,
            )
    equal = all(row.equal for row in rows)
    if arguments.json:
        print(json.dumps({"path": arguments.path, "equal": equal, "tensors": [plain(row) for row in rows]}, indent=1))
    elif arguments.all:
        print(rows)
    else:
        print("\n".join(summary(rows)))
    if arguments.plot and rows:
        draw(arguments, rows)
    if not equal:
        raise SystemExit(UNEQUAL)


def draw(arguments: argparse.Namespace, rows: Sequence[Any]) -> None:
    """Draw how much each tensor changed."""
    path = Path(arguments.path).name
    if arguments.against:
        values = {row.name: 0.0 if row.equal else row.relative for row in rows}
        title = f"What moved: {path} against {Path(arguments.against).name}"
        xlabel = "mean |difference| / mean |value there|" + "; ∞: all 0 there" * (math.inf in values.values())
    else:
        values = {row.name: 0.0 if row.equal else row.largest for row in rows}
        title, xlabel = f"What moved: {path} against its initial values", "largest |difference|"
    plots.save(plots.changes(values, xlabel=xlabel, title=title), arguments.plot)
    if not arguments.json:
        print(f"Written: {arguments.plot}.")


def check_alone(arguments: argparse.Namespace) -> None:
    """Raise ValueError if --against is combined with an option that it does not go with."""
    for name in ("seed", "config", "plan", "scheme", "child", "generator"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} does not go with --against, which compares two checkpoints")


def source_of(arguments: argparse.Namespace) -> Any:
    """Return the weights' source that the options name, or None."""
    given = [name for name in ("config", "plan", "scheme") if getattr(arguments, name)]
    if len(given) > 1:
        raise ValueError(f"--{given[0]} and --{given[1]} are two sources: give one")
    for name in ("arch", "dtype"):
        if getattr(arguments, name) not in (None, "auto") and not arguments.config:
            raise ValueError(f"--{name} needs --config")
    if arguments.config:
        return model_of(arguments.config, arguments.arch, arguments.dtype)
    return arguments.plan or arguments.scheme


def plain(row: Any) -> dict[str, Any]:
    """Return a row for JSON; a number that is not finite is null."""
    return {
        key: value if not isinstance(value, float) or abs(value) < float("inf") else None
        for key, value in row._asdict().items()
    }


def summary(rows: Sequence[Verified | Moved]) -> list[str]:
    """Summarise the result in one screen: how many tensors have each verdict, and numbers of some that differ."""
    if not rows:
        return ["There are no tensors."]
    count = sum(row.equal for row in rows)
    what = "the same values in both" if isinstance(rows[0], Moved) else "their initial values"
    rounded = sum(row.verdict.startswith("equal in ") for row in rows)
    found = [f"{count:,} of {len(rows):,} tensors have {what}{f', {rounded:,} of them rounded' * bool(rounded)}."]
    groups = grouped(row for row in rows if row.verdict != "equal")
    if {kind for kind, *_ in groups} <= {"same"}:
        return found
    kinds, seen, shown = Counter(kind for kind, *_ in groups), Counter[str](), []
    for kind, name, of in groups:
        seen[kind] += 1
        if seen[kind] <= max(2, MOST // len(kinds)):
            shown.append([span([row.verdict for row in of]), name, *map(span, list(zip(*of))[2:])])
    table = [column for column in zip(["verdict", "name", *type(rows[0])._fields[2:]], *shown) if any(column[1:])]
    columns, *cells = zip(*table)
    found += ["", *lines(columns, cells)]
    if len(shown) < len(groups):
        found.append(f"... and {len(groups) - len(shown):,} more lines; --all shows every tensor")
    return found


def span(values: Sequence[Any]) -> str:
    """Summarise a column for several tensors: the value that all share, or the smallest and the largest.

    Examples
    --------
    >>> span([0.001, 1e-06, 0.01]), span(["differs", "differs"]), span([(0, 1), (2, 0)])
    ('1e-06 to 0.01', 'differs', '...')
    """
    texts = dict.fromkeys(cell(value) for value in values)
    if len(texts) == 1:
        return next(iter(texts))
    if all(isinstance(value, float) for value in values):
        return f"{cell(min(values))} to {cell(max(values))}"
    return "..." if not isinstance(values[0], str) else f"{kind_of(values[0])} ..."


def kind_of(verdict: str) -> str:
    """Return the kind of a verdict, without numbers."""
    return re.split(r" by |:|\(", verdict)[0].strip()


def grouped(rows: Iterable[Verified | Moved]) -> list[tuple[str, str, list[Any]]]:
    """Group rows of one kind whose names differ in numbers only: (kind, name with the count, rows) for each group."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        groups.setdefault((kind_of(row.verdict), re.sub(r"\d+", "*", row.name)), []).append(row)
    return [(kind, of[0].name if len(of) == 1 else f"{name} ({len(of):,})", of) for (kind, name), of in groups.items()]
