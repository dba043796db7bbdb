"""Schemes from a short string or a dict, as configuration files hold them."""

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

# One thread at a time: in CPython 3.11 two that parse at once can meet a SystemError ("recursion depth mismatch"), and
# before 3.14 they share the filters of warnings. A signal handler may parse too, and a fork waits until no thread does:
# the child would find the lock held, and the filters changed, for ever.
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
# The factories and, so that what a scheme prints can be read, the classes.
NAMES: dict[str, Callable[..., Scheme]] = {name: getattr(module, name) for module in MODULES for name in module.__all__}
NAMES |= {alias: NAMES[name] for alias, name in ALIASES.items()}


@overload
def scheme(specification: str | Mapping[str, Any]) -> Scheme: ...
@overload
def scheme(specification: Given) -> Given: ...
def scheme(specification: Any) -> Any:
    """Make a scheme of a string, a dict, or a scheme itself.

    Parameters
    ----------
    specification : str, mapping or scheme
        The name of a function of `pyinit.initializers`, or "xavier", "glorot", "kaiming", "he" or "lecun" for the
        normal one of its family; alone, or with arguments as in a call: numbers, strings, True, False and None in
        Python's notation. What a scheme prints is such a string. A mapping has the name as "name", and the arguments
        beside it. A scheme is anything to be called with an array and a stream.

    Returns
    -------
    scheme
        What was given, if it was one.

    Raises
    ------
    TypeError
        If it is none of these, a function or class that makes schemes instead of a scheme, or the arguments do not
        fit.
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
    """Read a mapping once, so that what its class answers later changes nothing.

    Raises
    ------
    ValueError
        If it gives more keys than it says that it has, which may never end.

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
            warnings.simplefilter("error")  # such as a "\\d" or a 1if: no literal that anybody means
            node = ast.parse(source, mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
            if None not in keywords and len(keywords) == len(node.keywords):  # no **{...}, and no name twice
                return node.func.id, [ast.literal_eval(argument) for argument in node.args], keywords
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass  # whatever the text is, it is none that can be read
    raise ValueError(
        f"a scheme's text must be its name, alone or called with plain values, like 'normal(std=0.02)'; got {text!r}"
    )


def made(name: Any, arguments: list[Any], keywords: dict[Any, Any], specification: Any) -> Scheme:
    """Call what makes the schemes of a name, or raise what says which specification was wrong."""
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
    """Raise ValueError for a name that is not known, with those that are like it."""
    if name not in known:
        near = [repr(match) for match in difflib.get_close_matches(name.lower(), known)]
        last = " or ".join(near[-2:])
        hint = f"; did you mean {', '.join([*near[:-2], last])}?" if near else f"; there are {', '.join(known)}"
        raise ValueError(f"no scheme is called {name!r}{hint}")
