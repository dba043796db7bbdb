"""`pyinit schemes`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import plots
from pyinit.cli.arguments import add_command, add_json, check_writable, picture
from pyinit.initializers import Scheme
from pyinit.initializers.configuration import MODULES, NAMES, check_name
from pyinit.streams import Stream
from pyinit.terminal import output

__all__ = ["Description", "add", "catalogue", "samples"]

EXAMPLES = """
    pyinit schemes
    pyinit schemes gpt2_residual kaiming_normal
    pyinit schemes --save schemes.png
    pyinit schemes --json | jq -r '.schemes[] | [.name, .std] | @tsv'
"""

MATRIX = (256, 128)  # outputs and inputs of the samples' matrix
KERNEL = (256, 128, 3)  # for schemes of convolutions alone
# Example arguments, for the schemes with required ones.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "constant": {"value": 0.5},
    "gpt2_residual": {"layers": 12},
    "sparse": {"sparsity": 0.9},
    "variance_scaling": {"scale": 2.0, "mode": "fan_in"},
}
SECTION = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)  # of a docstring


@dataclass(frozen=True)
class Description:
    """A scheme's names, docstring and sample values."""

    name: str
    aliases: list[str]
    call: str
    summary: str
    text: list[str]
    parameters: dict[str, str]
    source: str
    example: str
    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float


def add(commands: Any) -> None:
    """Add `pyinit schemes`."""
    parser = add_command(commands, "schemes", "list the schemes, explain them, and draw their values", EXAMPLES)
    parser.add_argument("name", nargs="*", type=scheme_name, help="explain only these schemes, in full")
    parser.add_argument(
        "--save", type=picture, metavar="FILE", help="draw a histogram of each scheme's values: .png, .svg or .pdf"
    )
    add_json(parser)
    parser.set_defaults(command=run)


def scheme_name(text: str) -> str:
    """Read a scheme's name or alias."""
    try:
        check_name(text, [name for name in NAMES if name.islower()])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return NAMES[text].__name__


def run(arguments: argparse.Namespace) -> None:
    """Show the schemes, and draw them if a file is named."""
    if arguments.save:
        plots.require_matplotlib()
    check_writable(arguments.save)
    values = {name: samples(name) for name in arguments.name or names()}
    found = [describe(name, drawn) for name, drawn in values.items()]
    if arguments.save:
        plots.save(
            plots.scheme_spreads(values, title=f"Values of {written(MATRIX)} weights from each scheme, seed 0"),
            arguments.save,
        )
    if arguments.json:
        print(json.dumps({"schemes": [dataclasses.asdict(description) for description in found]}, indent=1))
        return
    out = output()
    if arguments.name:
        for description in found:
            explain(description)
    else:
        out.text(
            f"std is the standard deviation of a matrix of {MATRIX[0]} outputs and {MATRIX[1]} inputs. "
            "`pyinit schemes NAME` explains a scheme; other commands take it as `--scheme`."
        )
        print()
        for d in found:
            also = f" Also {', '.join(d.aliases)}." if d.aliases else ""
            example = f" with {d.example}" if d.name in ARGUMENTS else ""
            out.entry(d.call, f"{d.summary}{also} std {d.std:.3g}{example}.")
    if arguments.save:
        out.text(f"Written: {arguments.save}.")


def explain(d: Description) -> None:
    """Show the full description of a scheme."""
    out = output()
    out.section(d.call, d.summary)
    for paragraph in d.text:
        out.text(paragraph)
    if d.parameters:
        print()
    for name, meaning in d.parameters.items():
        out.entry(name, meaning)
    if d.aliases:
        out.text(f"Also called {', '.join(d.aliases)}.")
    if d.source:
        out.text(f"Source: {d.source}")
    out.text(
        f"{written(d.shape)} weights from {d.example}, seed 0: mean {d.mean:.3g}, std {d.std:.3g}, "
        f"from {d.min:.3g} to {d.max:.3g}."
    )


def written(shape: tuple[int, ...]) -> str:
    """Write a shape."""
    return " x ".join(map(str, shape))


def names() -> list[str]:
    """Give the name of each scheme once, in the order of the modules."""
    functions = (getattr(module, name) for module in MODULES for name in module.__all__ if name.islower())
    return list(dict.fromkeys(function.__name__ for function in functions))


def catalogue() -> list[Description]:
    """Describe all schemes.

    Examples
    --------
    >>> next(d for d in catalogue() if d.name == "kaiming_normal").aliases
    ['he_normal', 'kaiming', 'he']
    """
    return [describe(name, samples(name)) for name in names()]


def samples(name: str) -> NDArray[np.float32]:
    """Fill a matrix with a named scheme from seed 0, or a kernel if the scheme is for convolutions alone.

    Examples
    --------
    >>> samples("kaiming_normal").shape, samples("dirac").shape
    ((256, 128), (256, 128, 3))
    """
    scheme, out = shown(name), np.empty(MATRIX, np.float32)
    try:
        scheme.check(out.dtype, out.shape)
    except ValueError:
        out = np.empty(KERNEL, np.float32)
    return scheme(out, Stream(0).child(name))


def shown(name: str) -> Scheme:
    """Make the example scheme of a name."""
    return NAMES[name](**ARGUMENTS.get(name, {}))


def describe(name: str, values: NDArray[np.float32]) -> Description:
    """Describe a scheme and its values."""
    function = NAMES[name]
    head, *parts = SECTION.split(inspect.getdoc(function) or "")
    sections = dict(zip(parts[::2], parts[1::2]))
    summary, *text = [plain(paragraph) for paragraph in head.strip().split("\n\n")]
    given = ", ".join(f"{key}={value!r}" for key, value in ARGUMENTS.get(name, {}).items())
    return Description(
        name=name,
        aliases=[other for other, made in NAMES.items() if made is function and other != name],
        call=f"{name}({', '.join(map(parameter, inspect.signature(function).parameters.values()))})",
        summary=summary,
        text=text,
        parameters=meanings(sections.get("Parameters", "")),
        source=plain(sections.get("Source", "")),
        example=f"{name}({given})",
        shape=values.shape,
        mean=float(values.mean(dtype=np.float64)),
        std=float(values.std(dtype=np.float64)),
        min=float(values.min()),
        max=float(values.max()),
    )


def parameter(given: inspect.Parameter) -> str:
    """Write a parameter without its type."""
    return str(given.replace(annotation=inspect.Parameter.empty))


def meanings(section: str) -> dict[str, str]:
    """Read a docstring's section of parameters: a dict from each name and type to its meaning."""
    entries = re.split(r"^(?=\S)", section.strip(), flags=re.MULTILINE)
    lines = [entry.partition("\n") for entry in entries if entry]
    return {plain(head): plain(rest) for head, _, rest in lines}


def plain(text: str) -> str:
    """Give a docstring's text as one line, without reStructuredText's marks."""
    return " ".join(text.replace("`", "").split())
