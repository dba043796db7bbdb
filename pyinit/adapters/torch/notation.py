"""Convert tapes to plain values for JSON, and back.

Contents and calls are nodes of one list. A node refers to earlier nodes by their numbers.
"""

from __future__ import annotations

import ast
import base64
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pyinit import initializers
from pyinit.adapters.torch.operators import RANDOM, operator
from pyinit.adapters.torch.samplers import SAMPLERS, Sampler
from pyinit.adapters.torch.tape import Call, Contents, Draw, Edit, Fill, Geometry, Given, Own, Result, View, order
from pyinit.initializers.base import literal

__all__ = ["read", "write"]

NAMES = {torch.memory_format: "memory_format", torch.layout: "layout"}


def write(view: View) -> dict[str, Any]:
    """Return a tensor's tape as plain values."""
    writer = Writer()
    number = writer.contents(view.contents)
    return {"nodes": writer.nodes, "contents": number, "where": list(view.geometry)}


def read(name: str, values: Mapping[str, Any]) -> View:
    """Read the scheme or tape of a recipe's dict."""
    if "scheme" in values:
        shape, dtype = tuple(map(int, values["shape"])), dtype_of(values["dtype"])
        scheme = initializers.scheme(values["scheme"])
        where = Geometry.whole(shape)
        constant = isinstance(scheme, initializers.distributions.Constant)
        what = Fill(scheme.value) if constant else Draw(scheme, dtype == torch.float64, name)
        return View(Contents((Edit(where, what),), where.size, dtype), where)
    reader = Reader(values["tape"]["nodes"])
    contents = reader.before(values["tape"]["contents"], Contents)
    return View(contents, geometry(values["tape"]["where"], contents.size))


class Writer:
    """Writes contents and calls to a list of nodes, each once."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.numbers: dict[int, int] = {}

    def add(self, thing: Any, node: Any) -> int:
        """Append a node to the list and return its number."""
        self.nodes.append(node)
        self.numbers[id(thing)] = len(self.nodes) - 1
        return self.numbers[id(thing)]

    def contents(self, contents: Contents) -> int:
        """Write contents, after all contents that they need, and return their number."""
        if id(contents) not in self.numbers:
            for inner in order(contents):
                if id(inner) not in self.numbers:
                    edits = [[list(where), self.what(what), overwrites] for where, what, overwrites in inner.edits]
                    self.add(inner, {"size": inner.size, "dtype": name_of(inner.dtype), "edits": edits})
        return self.numbers[id(contents)]

    def call(self, call: Call) -> int:
        """Write a call and return its number."""
        if id(call) in self.numbers:
            return self.numbers[id(call)]
        node = {
            "function": str(call.function),
            "arguments": [self.argument(a) for a in call.arguments],
            "keywords": {name: self.argument(a) for name, a in call.keywords.items()},
        }
        return self.add(call, node)

    def what(self, what: Any) -> dict[str, Any]:
        """Return plain values for the source of an edit."""
        if isinstance(what, Draw):
            return {"draw": repr(what.sampler), "double": what.double, "key": what.key}
        if isinstance(what, Fill):
            return {"fill": literal(what.value)}
        if isinstance(what, Given):
            return given_values(what)
        if isinstance(what, Result):
            return {"result": self.call(what.call), "index": what.index}
        return {"call": self.call(what)}

    def argument(self, value: Any) -> Any:
        """Return plain values for an argument of a call."""
        if isinstance(value, Own):
            return {"own": list(value.geometry)}
        if isinstance(value, View):
            return {"view": self.contents(value.contents), "where": list(value.geometry)}
        if isinstance(value, Given):
            return given_values(value)
        if isinstance(value, torch.dtype):
            return {"dtype": name_of(value)}
        if type(value) in NAMES:
            return {NAMES[type(value)]: str(value).removeprefix("torch.")}
        if isinstance(value, (float, complex)):
            return {"number": literal(value)}
        if type(value) in (list, tuple):
            return [self.argument(item) for item in value]
        if value is None or isinstance(value, (bool, int, str)):
            return value
        raise ValueError(f"a recipe cannot hold an argument of type {type(value).__name__}")


class Reader:
    """Reads contents and calls from a list of nodes, in order."""

    def __init__(self, nodes: list[Any]) -> None:
        self.made: list[Any] = []
        for node in nodes:
            self.made.append(self.contents(node) if "edits" in node else self.call(node))

    def contents(self, node: Mapping[str, Any]) -> Contents:
        """Read contents."""
        size = int(node["size"])
        edits = tuple(Edit(geometry(where, size), self.what(what), bool(over)) for where, what, over in node["edits"])
        return Contents(edits, size, dtype_of(node["dtype"]))

    def call(self, node: Mapping[str, Any]) -> Call:
        """Read a call."""
        arguments = tuple(self.argument(a) for a in node["arguments"])
        keywords = {str(name): self.argument(a) for name, a in node["keywords"].items()}
        return Call(function_of(node["function"]), arguments, keywords)

    def before(self, number: int, kind: type) -> Any:
        """Return an earlier node by its number."""
        found = self.made[number] if 0 <= number < len(self.made) else None
        if not isinstance(found, kind):
            raise ValueError(f"no earlier {kind.__name__} has number {number}")
        return found

    def what(self, values: Mapping[str, Any]) -> Any:
        """Read the source of an edit."""
        if "draw" in values:
            return Draw(sampler_of(values["draw"]), bool(values["double"]), str(values["key"]))
        if "fill" in values:
            return Fill(number(values["fill"]))
        if "given" in values:
            return given_of(values)
        if "result" in values:
            index = values["index"]
            return Result(self.before(values["result"], Call), None if index is None else int(index))
        return self.before(values["call"], Call)

    def argument(self, value: Any) -> Any:
        """Read an argument of a call."""
        if isinstance(value, list):
            return [self.argument(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "own" in value:
            return Own(geometry(value["own"]))
        if "view" in value:
            contents = self.before(value["view"], Contents)
            return View(contents, geometry(value["where"], contents.size))
        if "given" in value:
            return given_of(value)
        if "dtype" in value:
            return dtype_of(value["dtype"])
        if "number" in value:
            return number(value["number"])
        [[kind, name]] = value.items()
        found = getattr(torch, name)
        if NAMES.get(type(found)) != kind:
            raise ValueError(f"{name!r} is not a {kind}")
        return found


def given_values(given: Given) -> dict[str, Any]:
    """Return kept values as base64 text with their dtype and shape."""
    if given.tensor is None:
        return {"given": None}
    values = given.tensor.detach().cpu().contiguous()
    data = values.reshape(-1).view(torch.uint8).numpy().tobytes() if values.numel() else b""
    return {
        "given": base64.b64encode(data).decode(),
        "dtype": name_of(values.dtype),
        "shape": list(values.shape),
    }


def given_of(values: Mapping[str, Any]) -> Given:
    """Read kept values."""
    if values["given"] is None:
        return Given(None)
    data = np.frombuffer(base64.b64decode(values["given"]), np.uint8).copy()
    return Given(torch.from_numpy(data).view(dtype_of(values["dtype"])).reshape(values["shape"]))


def function_of(text: str) -> Any:
    """Find an ATen operator by its name."""
    namespace, packet, overload = text.split(".")
    if namespace != "aten" or "file" in packet:  # from_file would write to any file
        raise ValueError(f"{text!r} is not one of torch's operators on tensors")
    found = getattr(getattr(torch.ops.aten, packet), overload)
    of = operator(found)
    if of.reads_nothing or not of.is_recordable or RANDOM in found.tags:
        raise ValueError(f"{text!r} is not an operator that a recipe can have")
    return found


def sampler_of(text: str) -> Any:
    """Read a sampler: a scheme, or one of `SAMPLERS`."""
    name, _, rest = text.partition("(")
    if name not in SAMPLERS:
        return initializers.scheme(text)
    numbers = tuple(map(number, rest[:-1].split(",")))
    inspect.signature(SAMPLERS[name]).bind(None, None, *numbers)
    return Sampler(name, numbers)


def number(text: str) -> Any:
    """Read a number."""
    found = ast.literal_eval(text.strip())
    if not isinstance(found, (bool, int, float, complex)):
        raise ValueError(f"{text!r} is not a number")
    return found


def geometry(values: Any, size: int | None = None) -> Geometry:
    """Read a geometry; if a storage's size is given, check that it is inside."""
    shape, stride, offset = values
    found = Geometry(tuple(map(int, shape)), tuple(map(int, stride)), int(offset))
    if len(found.shape) != len(found.stride) or min((*found.shape, *found.stride, found.offset)) < 0:
        raise ValueError(f"{values} is not the geometry of a tensor")
    if size is not None and found.size and found.span.stop > size:
        raise ValueError(f"{values} is not inside a storage of {size} elements")
    return found


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a dtype."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """Return the dtype of a name."""
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name!r} is not a dtype")
    return found
