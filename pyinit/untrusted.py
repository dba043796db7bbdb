"""Files from others: opened without blocking, read up to a limit, refused with one sentence."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

from pyinit import _core

__all__ = ["DamagedError", "contents", "json_of", "opened", "shown", "text_of", "wrong"]


class DamagedError(ValueError):
    """A file is damaged, or is not of the type that its name says."""


def wrong(path: str | os.PathLike[str], what: str) -> DamagedError:
    """Make the error for a damaged file; it names the file and the fault."""
    name = str(path)
    return DamagedError(f"{name if name.isprintable() else repr(name)}: {what}")


def shown(value: object, most: int = 100) -> str:
    """Represent an untrusted value: in one line, without control characters, not too long.

    Examples
    --------
    >>> shown("a\\nb"), shown("a" * 1000, 10)
    ("'a\\\\nb'", "'aaaaaa...")
    """
    text = _core.text_of(value[: most + 1] if isinstance(value, str) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file to read. Anything else is refused; a pipe without a writer would block forever.

    Raises
    ------
    DamagedError
        If the path is a pipe, a device or a socket.
    OSError
        If it cannot be read; the error names it.
    """
    try:
        with open(path, "rb", opener=at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise wrong(path, "it is no regular file")
            yield file
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def at_once(path: str, flags: int) -> int:
    """Open a file without blocking, even a pipe without a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def contents(path: str | os.PathLike[str], most: int) -> bytes:
    """Read a file of at most `most` bytes; raise DamagedError if it is larger, and the errors of `opened`."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise wrong(path, f"it has more than {most:,} bytes")
    return data


def text_of(data: bytes, path: str | os.PathLike[str], what: str = "it") -> str:
    """Decode UTF-8, or raise DamagedError."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise wrong(path, f"{what} is not UTF-8") from None


def json_of(data: bytes, path: str | os.PathLike[str]) -> Any:
    """Read JSON, or raise DamagedError. An object must not have a name twice, and a number must be finite.

    Examples
    --------
    >>> json_of(b'{"a": 1, "a": 2}', "plan.json")
    Traceback (most recent call last):
    pyinit.untrusted.DamagedError: plan.json: it is not valid JSON: 'a' appears twice
    """
    try:
        return json.loads(text_of(data, path), object_pairs_hook=unique, parse_constant=not_finite)
    except RecursionError:
        raise wrong(path, "it is nested too deeply") from None
    except DamagedError:
        raise
    except ValueError as error:
        raise wrong(path, f"it is not valid JSON: {error}") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict, or raise ValueError if a name appears twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names: set[str] = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{shown(twice)} appears twice")
    return found


def not_finite(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser accepts."""
    raise ValueError(f"{text} is not a number in JSON")
