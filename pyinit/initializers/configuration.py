"""Schemes from a short string or a dict, for configuration files."""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import os
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, overload

from pyinit._core import text_of
from pyinit.initializers import depth_and_width, distributions, haar, kaiming, lecun, scaling, structured, xavier
from pyinit.initializers.base import Scheme

__all__ = ["MODULES", "NAMES", "check_name", "read_mapping", "scheme"]

Given = TypeVar("Given", bound=Callable[..., Any])

# One thread parses at a time: in CPython 3.11 two at once can raise a SystemError ("recursion depth mismatch"), and
# before 3.14 threads share the warning filters. The lock is reentrant because a signal handler may parse too. A fork
# waits until no thread parses: otherwise the child would inherit a held lock and changed filters.
PARSING = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=PARSING.acquire, after_in_parent=PARSING.release, after_in_child=PARSING.release)

ALIASES = {
    "xavier": "xavier_normal",
    "glorot": "glorot_normal",
    "kaiming": "kaiming_normal",
    "he": "he_normal",
    "lecun": "lecun_normal",
}
MODULES = (distributions, scaling, xavier, kaiming, lecun, depth_and_width, structured, haar)
# The factories, and the classes, so that a scheme's printed form can be read.
NAMES: dict[str, Callable[..., Scheme]] = {name: getattr(module, name) for module in MODULES for name in module.__all__}
NAMES |= {alias: NAMES[name] for alias, name in ALIASES.items()}


@overload
def scheme(specification: str | Mapping[str, Any]) -> Scheme: ...
@overload
def scheme(specification: Given) -> Given: ...
def scheme(specification: Any) -> Any:
    """Make a scheme from a string or a dict; return a scheme unchanged.

    Parameters
    ----------
    specification : str, mapping or scheme
        A string is the name of a function of `pyinit.initializers`, or "xavier", "glorot", "kaiming", "he" or "lecun"
        for the family's normal scheme. It may have arguments as in a call: numbers, strings, True, False and None in
        Python's notation. A scheme prints as such a string. A mapping has the name as "name", and the arguments beside
        it. A scheme is anything that can be called with an array and a stream.

    Returns
    -------
    scheme

    Raises
    ------
    TypeError
        If `specification` is none of these, if it is a function or class that makes schemes, or if the arguments do
        not fit.
    ValueError
        If there is no such name, the text cannot be read, or an argument has a wrong value.

    Examples
    --------
    >>> scheme("normal(std=0.02)"), scheme({"name": "xavier"})
    (Normal(std=0.02), VarianceScaling(scale=1.0, mode='fan_avg'))
    >>> scheme("kaiming_unifrom")
    Traceback (most recent call last):
    ValueError: no scheme is called 'kaiming_unifrom'; did you mean 'kaiming_uniform', 'kaiming_normal' or 'kaiming'?
    """
    if isinstance(specification, str):
        return made(*parsed(specification), specification)
    if isinstance(specification, Mapping):
        keywords = read_mapping("a scheme", specification)
        if "name" not in keywords:
            raise ValueError(f"a scheme's mapping needs its name as 'name'; got {text_of(specification)}")
        return made(keywords.pop("name"), [], keywords, specification)
    if isinstance(specification, Scheme):
        return specification
    what = getattr(specification, "__name__", text_of(specification))
    if not callable(specification):
        raise TypeError(
            f"a scheme must be a string, a mapping, or one of pyinit.initializers; got {text_of(specification)}"
        )
    try:
        if specification in NAMES.values():
            raise TypeError
        inspect.signature(specification).bind("out", "stream")
    except TypeError:
        raise TypeError(
            f"a scheme must be callable with an array and a stream; got {what}: did you mean {what}()?"
        ) from None
    return specification


def read_mapping(what: str, mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    """Copy a mapping into a dict, so that its class cannot give other answers later.

    Raises
    ------
    ValueError
        If it yields more keys than its length; it could be endless.

    Examples
    --------
    >>> read_mapping("plan", {"*": "zeros"})
    {'*': 'zeros'}
    """
    if type(mapping) is dict:
        return mapping.copy()
    size = len(mapping)
    keys = list(itertools.islice(mapping, size + 1))
    if len(keys) > size:
        raise ValueError(f"{what} must have as many keys as its len says; got more than {size}")
    return {key: mapping[key] for key in keys}


def parsed(text: str) -> tuple[str, list[Any], dict[Any, Any]]:
    """Read a name, alone or called with literals, without evaluating anything; or raise ValueError."""
    try:
        source = text.strip()
        with PARSING, warnings.catch_warnings():
            warnings.simplefilter("error")  # for "\\d" or 1if, which are mistakes
            node = ast.parse(source, mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
            if None not in keywords and len(keywords) == len(node.keywords):  # no **{...}, and no name twice
                return node.func.id, [ast.literal_eval(argument) for argument in node.args], keywords
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass  # the text cannot be read; the error below says so
    raise ValueError(
        f"a scheme's text must be its name, alone or called with plain values, like 'normal(std=0.02)'; got {text!r}"
    )


def made(name: Any, arguments: list[Any], keywords: dict[Any, Any], specification: Any) -> Scheme:
    """Call the factory of that name; raise an error that quotes the specification if it is wrong."""
    if not isinstance(name, str):
        raise TypeError(f"a scheme's name must be a str; got {text_of(name)}")
    check_name(name, NAMES)
    for key in keywords:
        if isinstance(key, str) and not key.isidentifier():
            raise TypeError(f"{text_of(specification)} makes no scheme: {key!r} is not the name of an argument")
    try:
        return NAMES[name](*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{text_of(specification)} makes no scheme: {error}") from None


def check_name(name: str, known: Collection[str]) -> None:
    """Raise ValueError for an unknown name; the message lists similar ones."""
    if name not in known:
        near = [repr(match) for match in difflib.get_close_matches(name.lower(), known)]
        last = " or ".join(near[-2:])
        hint = f"; did you mean {', '.join([*near[:-2], last])}?" if near else f"; there are {', '.join(known)}"
        raise ValueError(f"no scheme is called {name!r}{hint}")
