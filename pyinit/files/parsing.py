"""The JSON of .safetensors headers, read entry by entry, so that it takes memory only for what is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import decoder
from pathlib import Path
from typing import Any

from pyinit.untrusted import shown, text_of, unique, wrong

__all__ = ["entries", "flat"]

WHITESPACE = re.compile(r"[ \t\n\r]*")
MOST_ENTRY = 4096  # characters of one tensor's description
MOST_METADATA = 100_000  # entries


def entries(data: bytes, path: Path) -> Iterator[tuple[str, Any]]:
    """Read a header: an object of objects, all of them short except the metadata.

    Yields
    ------
    name : str
    entry : Any
        The parsed JSON, not checked yet; a dict of str to str for ``__metadata__``; None if it is not valid JSON.

    Raises
    ------
    DamagedError
        If the JSON around the entries is not valid.
    """
    text = text_of(data, path, "its header")
    if not text.startswith("{"):
        raise wrong(path, "its header is not a JSON object")
    place = after_space(text, 1)
    entry: Any
    while text[place : place + 1] != "}":
        name, place = key(text, place, path)
        if name == "__metadata__" and text.startswith("null", place):  # safetensors reads it as no metadata
            entry, place = {}, place + len("null")
        elif name == "__metadata__":
            entry, place = strings(text, place, path, MOST_METADATA)
        else:
            end = text.find("}", place, place + MOST_ENTRY) + 1
            if not end:
                raise wrong(path, f"the entry {shown(name)} is not a short JSON object")
            try:
                entry = json.loads(text[place:end], object_pairs_hook=unique)
            except (RecursionError, ValueError):
                entry = None
            place = end
        yield name, entry
        place = separator(text, place, path)
    if text[place + 1 :].strip(" \n\r\t"):
        raise wrong(path, "its header has more text after the JSON")


def flat(text: str, path: Path) -> dict[str, str]:
    """Read a text that is one JSON object of strings; raise DamagedError if it is not.

    Examples
    --------
    >>> flat('{"w": "normal"}', Path("model.safetensors"))
    {'w': 'normal'}
    """
    found, place = strings(text, after_space(text, 0), path, len(text))
    if place < len(text):
        raise wrong(path, "its metadata has more text after a JSON object")
    return found


def strings(text: str, place: int, path: Path, most: int) -> tuple[dict[str, str], int]:
    """Read an object of at most `most` strings, and the space after it."""
    if text[place : place + 1] != "{":
        raise wrong(path, "its metadata is not a JSON object of strings")
    found: dict[str, str] = {}
    place = after_space(text, place + 1)
    while text[place : place + 1] != "}":
        name, place = key(text, place, path)
        found[name], place = string(text, place, path)
        if len(found) > most:
            raise wrong(path, f"its metadata has more than {most:,} entries")
        place = separator(text, place, path)
    return found, after_space(text, place + 1)


def key(text: str, place: int, path: Path) -> tuple[str, int]:
    """Read a name and the colon after it; return the start of the value."""
    name, place = string(text, place, path)
    if text[place : place + 1] != ":":
        raise wrong(path, f"its JSON is not valid after {shown(name)}")
    return name, after_space(text, place + 1)


def string(text: str, place: int, path: Path) -> tuple[str, int]:
    """Read a string and the space after it."""
    try:
        if text[place : place + 1] != '"':
            raise ValueError
        found, place = decoder.scanstring(text, place + 1, True)  # type: ignore[attr-defined]
        found.encode()  # fails for half of a surrogate pair
    except ValueError:
        raise wrong(path, f"its JSON has no valid string at character {place}") from None
    return found, after_space(text, place)


def separator(text: str, place: int, path: Path) -> int:
    """Read the comma between two entries; return the start of the next entry, or of the closing brace."""
    place = after_space(text, place)
    mark = text[place : place + 1]
    if mark == ",":
        after = after_space(text, place + 1)
        if text[after : after + 1] == '"':
            return after
    if mark != "}":
        raise wrong(path, f"its JSON is not valid at character {place}")
    return place


def after_space(text: str, place: int) -> int:
    """Return the position of the next character that is not a space."""
    found = WHITESPACE.match(text, place)
    return found.end() if found else place
