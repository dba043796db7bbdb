"""`pyinit diagnose`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pyinit import initializers, plots, report
from pyinit.atomic import replacement
from pyinit.cli.arguments import add_command, add_json, check_writable, integer, picture
from pyinit.diagnostics import Diagnosis, diagnose, meanings
from pyinit.network import Dense
from pyinit.network.activations import ACTIVATIONS
from pyinit.streams import Stream
from pyinit.terminal import output, progress

__all__ = ["add"]

EXAMPLES = """
pyinit diagnose
    ten tanh layers of 500 units, from small, big and Xavier weights
pyinit diagnose --activation relu --scheme "xavier,normal(std=0.063)"
    two schemes of your own, with another activation
pyinit diagnose --save layers.png --html report.html
    the same as pictures, and as a page for a browser
pyinit diagnose --scheme xavier --json
    numbers for a program to read
"""


def add(commands: Any) -> None:
    """Add `pyinit diagnose`."""
    parser = add_command(
        commands,
        "diagnose",
        "see what a scheme does to the activations and gradients of a deep network",
        EXAMPLES,
    )
    parser.add_argument("--layers", type=integer(1), default=10, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument(
        "--width",
        type=integer(1),
        default=500,
        metavar="N",
        help="inputs, and units in every layer (default: %(default)s)",
    )
    parser.add_argument(
        "--scheme",
        type=schemes,
        default="small,big,xavier",
        metavar="SCHEME[,SCHEME...]",
        help="names from pyinit.initializers, with arguments where needed (default: %(default)s)",
    )
    parser.add_argument(
        "--activation",
        type=activation,
        default="tanh",
        metavar="NAME",
        help=f"of every layer: {', '.join(ACTIVATIONS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--batch",
        type=integer(2),
        default=1000,
        metavar="N",
        help="rows of standard normal input (default: %(default)s)",
    )
    parser.add_argument("--seed", type=integer(0, 2**64), default=0, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--save", type=picture, metavar="FILE", help="write a picture: .png, .svg or .pdf")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    add_json(parser)
    parser.set_defaults(command=run)


def schemes(text: str) -> dict[str, Any]:
    """Read schemes separated by commas, as a mapping of each one's text to it."""
    found = {}
    for part in split(text):
        try:
            found[part] = initializers.scheme(part)
            found[part](np.empty((2, 2), np.float32), Stream(0))
        except (KeyError, SyntaxError, TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{part!r} is not a scheme for the weights of a layer: {error}") from None
    return found


def split(text: str) -> list[str]:
    """Split at the commas that stand outside of all brackets.

    Examples
    --------
    >>> split("normal(mean=0, std=0.1), xavier")
    ['normal(mean=0, std=0.1)', 'xavier']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def activation(text: str) -> str:
    """Read the name of an activation."""
    try:
        return Dense(1, text).activation
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> None:
    """Diagnose every scheme, show what was found, and write what is asked for."""
    files = [file for file in (arguments.save, arguments.html) if file]
    if files:
        plots.require_matplotlib()
    for file in files:
        check_writable(file)
    settings = {name: getattr(arguments, name) for name in ("layers", "width", "activation", "batch", "seed")}
    diagnoses = {}
    with progress(len(arguments.scheme), "diagnosing", show=sys.stdout.isatty()) as advance:
        for name, scheme in arguments.scheme.items():
            diagnoses[name] = diagnose(scheme=scheme, **settings)
            advance(1)
    if arguments.json:
        print(json.dumps({**settings, "schemes": {name: numbers(d) for name, d in diagnoses.items()}}, indent=2))
    else:
        show(diagnoses, describe(settings))
    if arguments.save:
        plots.save(plots.overview(diagnoses), arguments.save)
    if arguments.html:
        page = report.html(diagnoses, "What initial weights do to a deep network", describe(settings))
        with replacement(arguments.html) as file:
            file.write(page.encode())
    if files and not arguments.json:
        output().text(f"Written: {', '.join(map(str, files))}.")


def describe(settings: dict[str, Any]) -> str:
    """Say what was done."""
    layers, width = settings["layers"], settings["width"]
    return (
        f"{layers} layer{'s' * (layers > 1)} of {width} {settings['activation']} unit{'s' * (width > 1)} and as many "
        f"inputs; {settings['batch']} rows of standard normal input go forward, and a standard normal gradient goes "
        "back from the output. Biases are 0."
    )


def show(diagnoses: dict[str, Diagnosis], text: str) -> None:
    """Show a table and a verdict for each scheme."""
    out = output()
    out.text(text)
    for name, diagnosis in diagnoses.items():
        out.section(name, diagnosis.verdict)
        out.table(*diagnosis.table())
    sentences = [f"{column.capitalize()}: {meaning}." for column, meaning in meanings(diagnoses.values()).items()]
    out.section("The columns", " ".join(sentences))


def numbers(diagnosis: Diagnosis) -> dict[str, Any]:
    """Give a diagnosis as JSON has it: lists with one entry a layer, and null for what is undefined or not finite."""
    parts = (("activations", diagnosis.activations), ("gradients", diagnosis.gradients))
    found = {
        key: {**{name: plain(value) for name, value in vars(part).items()}, "verdict": part.verdict}
        for key, part in parts
    }
    return {"verdict": diagnosis.verdict, "page_std": list(diagnosis.page), **found}


def plain(values: Any) -> Any:
    """Make lists of an array or a tuple, with None for NaN."""
    if isinstance(values, np.ndarray | tuple):
        return [plain(value) for value in values]
    return values if isinstance(values, str) else None if np.isnan(values) else values.item()
