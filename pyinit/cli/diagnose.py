"""`pyinit diagnose`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pyinit import initializers, plots, report
from pyinit.atomic import replacement
from pyinit.cli.arguments import add_command, add_json, check_writable, integer, picture
from pyinit.diagnostics import Diagnosis, activations, diagnose, gradients, meanings
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
pyinit diagnose --model resnet:small --input 64,3,32,32
    the PyTorch model that small() in resnet.py returns
pyinit diagnose --model nets/gpt.py:GPT --input 8,128 --tokens 50257
    a model in any file, with token ids as input
"""

DEFAULTS = {"layers": 10, "width": 500, "scheme": "small,big,xavier", "activation": "tanh", "batch": 1000}
"""The options that describe the network; none of them goes with --model."""

FILE = "__model__"
"""The module name of an imported model file."""


def add(commands: Any) -> None:
    """Add `pyinit diagnose`."""
    parser = add_command(
        commands,
        "diagnose",
        "see what a scheme does to the activations and gradients of a deep network",
        EXAMPLES,
    )
    parser.add_argument("--layers", type=integer(1), metavar="N", help=f"number of layers {default('layers')}")
    parser.add_argument(
        "--width",
        type=integer(1),
        metavar="N",
        help=f"number of inputs, and of units in every layer {default('width')}",
    )
    parser.add_argument(
        "--scheme",
        type=schemes,
        metavar="SCHEME[,SCHEME...]",
        help=f"names from pyinit.initializers, with arguments where needed {default('scheme')}",
    )
    parser.add_argument(
        "--activation",
        type=activation,
        metavar="NAME",
        help=f"activation of every layer: {', '.join(ACTIVATIONS)} {default('activation')}",
    )
    parser.add_argument(
        "--batch",
        type=integer(2),
        metavar="N",
        help=f"number of input rows, standard normal {default('batch')}",
    )
    parser.add_argument(
        "--model",
        type=place,
        metavar="FILE.py:NAME",
        help="a PyTorch model instead: a function or class to call without arguments, in a file or a module "
        "(MODULE:NAME)",
    )
    parser.add_argument(
        "--input",
        type=shape,
        metavar="N,N...",
        help="shape of the model's input, batch first; its values are standard normal",
    )
    parser.add_argument(
        "--tokens", type=integer(1, 2**53), metavar="N", help="use integers in [0, N) as the input instead"
    )
    parser.add_argument("--seed", type=integer(0, 2**64), default=0, help="in [0, 2**64) (default: %(default)s)")
    parser.add_argument("--save", type=picture, metavar="FILE", help="write a picture: .png, .svg or .pdf")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    add_json(parser)
    parser.set_defaults(command=partial(run, parser))


def default(option: str) -> str:
    """Describe an option's default, for the help."""
    return f"(default: {DEFAULTS[option]})"


def place(text: str) -> tuple[str, str]:
    """Read a model's place: a file or a module, and a name in it.

    Examples
    --------
    >>> place("nets/gpt.py:GPT"), place("nets.gpt:GPT.small")
    (('nets/gpt.py', 'GPT'), ('nets.gpt', 'GPT.small'))
    """
    where, _, name = text.rpartition(":")
    parts = name.split(".") if where.endswith(".py") else (*where.split("."), *name.split("."))
    if not all(part.isidentifier() for part in parts):
        raise argparse.ArgumentTypeError(
            f"must be FILE.py:NAME or MODULE:NAME, as in nets/gpt.py:build or package.module:build; got {text!r}"
        )
    return where, name


def shape(text: str) -> tuple[int, ...]:
    """Read a shape."""
    first, *others = text.split(",")
    return integer(2)(first), *map(integer(1), others)


def schemes(text: str) -> dict[str, Any]:
    """Read schemes separated by commas, as a dict from each text to its scheme."""
    found = {}
    for part in split(text):
        try:
            found[part] = initializers.scheme(part)
            found[part](np.empty((2, 2), np.float32), Stream(0))
        except (KeyError, SyntaxError, TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{part!r} is not a scheme for the weights of a layer: {error}") from None
    return found


def split(text: str) -> list[str]:
    """Split at the commas outside all brackets.

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


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Diagnose every scheme, or a model, show the results, and write the requested files."""
    check(parser, arguments)
    files = [file for file in (arguments.save, arguments.html) if file]
    if files:
        plots.require_matplotlib()
    for file in files:
        check_writable(file)
    diagnoses: dict[str, Diagnosis] = {}
    if arguments.model:
        name = ":".join(arguments.model)
        diagnoses[name] = of_model(parser, arguments)
        settings = {name: getattr(arguments, name) for name in ("input", "tokens", "seed")}
        found = {"model": name, **settings, **numbers(diagnoses[name])}
        text = describe_model(arguments.input, arguments.tokens)
    else:
        settings = {name: getattr(arguments, name) for name in ("layers", "width", "activation", "batch", "seed")}
        with progress(len(arguments.scheme), "diagnosing") as advance:
            for name, scheme in arguments.scheme.items():
                diagnoses[name] = diagnose(scheme=scheme, **settings)
                advance(1)
        found = {**settings, "schemes": {name: numbers(d) for name, d in diagnoses.items()}}
        text = describe(settings)
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        show(diagnoses, text)
    if arguments.save:
        plots.save(plots.overview(diagnoses), arguments.save)
    if arguments.html:
        page = report.html(diagnoses, "What initial weights do to a deep network", text)
        with replacement(arguments.html) as file:
            file.write(page.encode())
    if files and not arguments.json:
        output().text(f"Written: {', '.join(map(str, files))}.")


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together, and fill in the defaults of the others."""
    of_networks = [name for name in DEFAULTS if getattr(arguments, name) is not None]
    of_models = [name for name in ("input", "tokens") if getattr(arguments, name) is not None]
    if arguments.model:
        if of_networks:
            parser.error(f"--{of_networks[0]} does not go with --model, which describes the whole network")
        if arguments.input is None:
            parser.error("--model needs --input, the shape of a batch: --input 64,3,32,32")
    elif of_models:
        parser.error(f"--{of_models[0]} needs --model")
    for name, value in DEFAULTS.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, schemes(str(value)) if name == "scheme" else value)


def of_model(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Diagnosis:
    """Make a model and diagnose it; an exception in its code becomes a message of one line."""
    from pyinit.adapters.torch.layers import build

    stream = Stream(arguments.seed)
    x: Any = stream.child("x").normal(arguments.input)
    if arguments.tokens:
        x = (stream.child("x").uniform(arguments.input, "float64") * arguments.tokens).astype(np.int64)
    where, name = arguments.model
    try:
        with progress(3, "diagnosing") as advance, imported(where) as make:
            for part in name.split("."):
                make = getattr(make, part)
            model = build(make, arguments.seed)
            advance(1)
            forward = activations(model, x)
            advance(1)
            backward = gradients(model, x, stream.child("gradient"))
            advance(1)
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        parser.exit(1, f"pyinit: {where}:{name}: {type(error).__name__}: {first}\n")
    shape = " x ".join(map(str, arguments.input))
    return Diagnosis(forward, backward, network=f"{where}:{name}, input {shape}, seed {stream.seed}")


@contextmanager
def imported(where: str) -> Iterator[Any]:
    """Import a file, or a module in the current folder; until the end it can import its neighbours."""
    is_file = where.endswith(".py")
    folder = os.path.abspath(os.path.dirname(where)) if is_file else os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield import_file(where) if is_file else importlib.import_module(where)
    finally:
        sys.path.remove(folder)
        sys.modules.pop(FILE, None)


def import_file(path: str) -> ModuleType:
    """Import a file under a module name of its own, so that a file named like a package cannot clash."""
    spec = importlib.util.spec_from_file_location(FILE, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[FILE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe_model(shape: tuple[int, ...], tokens: int | None) -> str:
    """Describe the experiment on a model."""
    values = f"integers in [0, {tokens})" if tokens else "standard normal values"
    return (
        f"A batch of {' x '.join(map(str, shape))} {values} goes forward, and a standard normal gradient goes back "
        "from the output. A layer is a module with weights, with the activation right behind it. A dead unit is a "
        "channel or a feature that is 0 everywhere."
    )


def describe(settings: dict[str, Any]) -> str:
    """Describe the experiment on a network."""
    layers, width = settings["layers"], settings["width"]
    return (
        f"{layers} layer{'s' * (layers > 1)} of {width} {settings['activation']} unit{'s' * (width > 1)}, with {width} "
        f"input{'s' * (width > 1)}; {settings['batch']} rows of standard normal input go forward, and a standard "
        "normal gradient goes back from the output. Biases are 0."
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
    """Give a diagnosis as JSON: lists with one entry for each layer; null if a value is undefined or not finite."""
    parts = (("activations", diagnosis.activations), ("gradients", diagnosis.gradients))
    found = {
        key: {**{name: plain(value) for name, value in vars(part).items()}, "verdict": part.verdict}
        for key, part in parts
    }
    return {"verdict": diagnosis.verdict, "page_std": list(diagnosis.page), **found}


def plain(values: Any) -> Any:
    """Turn an array or a tuple into lists, with None for NaN."""
    if isinstance(values, np.ndarray | tuple):
        return [plain(value) for value in values]
    return values if isinstance(values, str) else None if np.isnan(values) else values.item()
