"""Describe recipes, each in one line."""

from __future__ import annotations

from typing import Any

import torch

from pyinit.adapters.torch.tape import Call, Contents, Draw, Edit, Fill, Geometry, Given, Result, View, is_simple

__all__ = ["describe"]


def describe(contents: Contents, where: Geometry, name: str) -> str:
    """Describe in one line how contents are made."""
    return ", ".join(describe_edit(edit, contents, where, name) for edit in contents.edits) or "unwritten"


def describe_edit(edit: Edit, contents: Contents, where: Geometry, name: str) -> str:
    """Describe what an edit writes, and its region if it writes only a part."""
    what = describe_value(edit.what, contents, where, name)
    whole = edit.where.size == contents.size
    if isinstance(edit.what, Call):
        return what
    return what if whole and not isinstance(edit.what, Call) else f"{region(edit.where, where)} = {what}"


def describe_value(what: Any, contents: Contents, where: Geometry, name: str) -> str:
    """Describe the source of an edit, or an argument."""
    if isinstance(what, Draw):
        return repr(what.sampler) if what.key == name else f"{what.sampler!r} of {what.key!r}"
    if isinstance(what, Fill):
        return repr(float(what.value)) if isinstance(what.value, float) else repr(what.value)
    if isinstance(what, Given):
        return "values" if what.tensor is None else f"values of {tuple(what.tensor.shape)}"
    if isinstance(what, Result):
        return describe_value(what.call, contents, where, name)
    if isinstance(what, Call):
        shown = (*what.arguments, *what.keywords.values())
        inside = (describe_value(a, contents, where, name) for a in shown if not isinstance(a, torch.memory_format))
        return f"{what.function.overloadpacket.__name__}({', '.join(inside)})"
    if isinstance(what, View):
        held = describe(what.contents, what.geometry, name) if is_simple(what.contents) else ""
        return held if 0 < len(held) < 60 else "..."
    if hasattr(what, "geometry"):  # Own
        return "itself" if what.geometry.size == contents.size else region(what.geometry, where)
    if type(what) in (list, tuple):
        return f"[{', '.join(describe_value(a, contents, where, name) for a in what)}]"
    return str(what)


def region(part: Geometry, whole: Geometry) -> str:
    """Return a part of a tensor as an index such as "[0:4]"; "part" if slices cannot express it."""
    slices = whole.slices(part)
    if slices is None:
        return "part"
    shown = []
    for s, n in zip(slices, whole.shape):
        full = s == slice(0, n, 1)
        one = s.stop - s.start == 1 and n != 1
        step = f":{s.step}" if s.step != 1 else ""
        shown.append(":" if full else str(s.start) if one else f"{s.start}:{s.stop}{step}")
    while shown and shown[-1] == ":":
        shown.pop()
    return f"[{', '.join(shown) or ':'}]"
