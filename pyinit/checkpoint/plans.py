"""Plans and shapes in files: JSON, TOML or YAML."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyinit.initializers.configuration import read_mapping
from pyinit.untrusted import contents, json_of, shown, text_of, wrong

__all__ = ["SUFFIXES", "load", "planned", "shapes"]

MOST = {".json": 1 << 24, ".toml": 1 << 20, ".yaml": 1 << 20, ".yml": 1 << 20}
"""Largest files in bytes; YAML takes a thousand times its size in memory."""

SUFFIXES = tuple(MOST)
DEEPEST = 8
MOST_DOTS = 100  # in a line of TOML: reading a dotted name costs the square of its length


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a mapping from a .json, .toml, .yaml or .yml file.

    Raises
    ------
    ValueError
        If its name has another suffix; DamagedError if it does not hold a mapping with str keys.
    ImportError
        If PyYAML is missing for YAML, or Python is older than 3.11 for TOML.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in {', '.join(SUFFIXES)}")
    data = contents(path, MOST[suffix])
    if suffix == ".json":
        found = json_of(data, path)
    else:
        found = (toml if suffix == ".toml" else yaml)(text_of(data, path), path)
    if not isinstance(found, dict):
        raise wrong(path, "it must hold a mapping with names for keys")
    check(found, path, len(data))
    return found


def toml(text: str, path: Path) -> Any:
    """Read TOML, or raise DamagedError."""
    try:
        tomllib = importlib.import_module("tomllib")
    except ModuleNotFoundError:
        raise ImportError("to read TOML pyinit needs Python 3.11 or newer; JSON works with all versions") from None
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise wrong(path, f"a line has more than {MOST_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise wrong(path, "it is nested too deeply") from None
    except ValueError as error:
        raise wrong(path, f"it is not valid TOML: {first_line(error)}") from None


def yaml(text: str, path: Path) -> Any:
    """Read YAML, or raise DamagedError."""
    try:
        import yaml
    except ImportError:
        raise ImportError(
            "to read YAML pyinit needs PyYAML: pip install pyyaml, or pip install 'pyinit-weights[files]'"
        ) from None
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise wrong(path, "it is nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError) as error:
        raise wrong(path, f"it is not valid YAML: {first_line(error)}") from None  # `!!bool x` is a KeyError


def first_line(error: Exception) -> str:
    """Return a parser's message in one line."""
    return shown(" ".join(str(error).split()), 200)[1:-1]


def check(found: Any, path: Path, most: int) -> None:
    """Raise DamagedError unless all values are plain, and there are no more of them than bytes in the file.

    YAML can repeat a value by its name: a few lines can make a list of 10**9 values.
    """
    for count, (value, depth) in enumerate(values(found)):
        if count > most or depth > DEEPEST:
            raise wrong(path, "it is nested too deeply" if depth > DEEPEST else "it repeats its values too often")
        if isinstance(value, dict):
            if not all(isinstance(name, str) and is_text(name) for name in value):
                raise wrong(path, "it must hold mappings with names for keys")
        elif isinstance(value, str) and not is_text(value):
            raise wrong(path, f"it holds half of a surrogate pair: {shown(value)}")
        elif isinstance(value, int) and abs(value) >= 2**64:
            raise wrong(path, "it holds an integer that has more than 64 bits")
        elif value is not None and not isinstance(value, (str, float, int, list)):
            raise wrong(path, f"it holds a {type(value).__name__}, which a plan cannot have")


def values(found: Any, depth: int = 0) -> Iterator[tuple[Any, int]]:
    """Yield a value and all values in it, each with its depth."""
    yield found, depth
    if depth <= DEEPEST and isinstance(found, (dict, list)):
        for inner in found.values() if isinstance(found, dict) else found:
            yield from values(inner, depth + 1)


def is_text(text: str) -> bool:
    """Whether a text can be encoded; half of a surrogate pair, which JSON can hold, cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def planned(entries: Mapping[str, Any]) -> tuple[dict[str, tuple[int, ...]], dict[str, Any], dict[str, str]]:
    """Split a plan with shapes into shapes, schemes and dtypes.

    Parameters
    ----------
    entries : mapping of str to mapping
        Name to ``{"shape": [...], "scheme": ..., "dtype": ...}``; the dtype is optional.

    Raises
    ------
    TypeError, ValueError
        If an entry is invalid; the message names it.

    Examples
    --------
    >>> planned({"w": {"shape": [2, 3], "scheme": "zeros"}})
    ({'w': (2, 3)}, {'w': 'zeros'}, {})
    """
    schemes: dict[str, Any] = {}
    dtypes: dict[str, str] = {}
    sizes: dict[str, Any] = {}
    for name, given in entries.items():
        entry = read_mapping(name, given) if isinstance(given, Mapping) else {}
        if not {"shape", "scheme"} <= set(entry) <= {"shape", "scheme", "dtype"}:
            hint = "; with patterns, give shapes separately (--shapes)" if isinstance(given, str) else ""
            raise ValueError(f"{shown(name)} must have shape and scheme, and may have dtype; got {shown(given)}{hint}")
        sizes[name], schemes[name] = entry["shape"], entry["scheme"]
        if "dtype" in entry:
            dtypes[name] = entry["dtype"]
    return shapes(sizes), schemes, dtypes


def shapes(entries: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Read a mapping of names to shapes, or raise ValueError that names the invalid one."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in entries.items():
        sizes = (shape,) if type(shape) is int else shape
        if isinstance(sizes, (list, tuple)):  # read once; a subclass's iterator may never end
            sizes = tuple(itertools.islice(sizes, len(sizes)))
        if not isinstance(sizes, tuple) or not all(type(n) is int and n >= 0 for n in sizes):
            raise ValueError(f"the shape of {shown(name)} must be non-negative integers; got {shown(shape)}")
        found[name] = sizes
    return found
