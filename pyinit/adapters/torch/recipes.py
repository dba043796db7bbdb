"""Recipes say how to make each parameter of a model. They can be printed, compared, pickled and saved as JSON.

A recipe is the tape of a parameter, with names for its draws. Most are a single scheme of `pyinit.initializers`; a few
also edit the samples (a padding row of zeros) or compute values from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pyinit.adapters.torch.notation import read, write
from pyinit.adapters.torch.tape import Contents, Draw, Fill, Geometry, Given, View, call_of, order, parts_of
from pyinit.adapters.torch.words import describe
from pyinit.initializers import Scheme, constant
from pyinit.terminal import Table

__all__ = ["Recipe", "Recipes"]

FORMAT = "pyinit recipes 1"

# The exceptions that invalid text can raise while it is read, besides torch's RuntimeError.
WRONG = (ArithmeticError, AttributeError, LookupError, MemoryError, SyntaxError, TypeError, ValueError)


class Planned(NamedTuple):
    """A row of `Recipes.plan`."""

    name: str
    scheme: str
    shape: tuple[int, ...]


class Recipe:
    """How to make a tensor.

    Attributes
    ----------
    name : str
        The tensor's name; the first one if it is tied.
    view : View
        The contents of the tensor's storage, and the tensor's geometry in it.
    shape : tuple of int
    dtype : torch.dtype
    """

    def __init__(self, name: str, view: View) -> None:
        self.name = name
        self.view = view
        self.shape = view.geometry.shape
        self.dtype = view.contents.dtype

    @property
    def scheme(self) -> Scheme | None:
        """The scheme that makes the tensor from the stream of its name; None if one scheme is not enough."""
        edits, where = self.view.contents.edits, self.view.geometry
        if len(edits) != 1 or not edits[0].where.is_like(where):
            return None
        what = edits[0].what
        if isinstance(what, Fill) and not isinstance(what.value, complex):
            return constant(what.value)
        if not isinstance(what, Draw) or what.key != self.name or not isinstance(what.sampler, Scheme):
            return None
        same = what.double == (self.dtype == torch.float64)
        return what.sampler if same and self.dtype.is_floating_point else None

    @property
    def problem(self) -> str | None:
        """Why the tensor cannot be made; None if it can."""
        if unwritten(self.view.contents, self.view.geometry):
            return "nothing was written to it"
        contents = order(self.view.contents)
        if not all(each.edits for each in contents):
            return "it was computed from uninitialised memory"
        sources = [edit.what for each in contents for edit in each.edits]
        given = [each for what in sources for each in parts_of(call_of(what) or what, Given)]
        if any(each.tensor is None for each in given):
            return "its values were computed or loaded, and not kept"
        return None

    def __str__(self) -> str:
        return describe(self.view.contents, self.view.geometry, self.name)

    def __repr__(self) -> str:
        return f"Recipe({self.name!r}, {self}, {self.shape})"

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Recipe) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it may hold tensors

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        scheme = self.scheme
        if scheme is not None and self.view.geometry == Geometry.whole(self.shape):
            return {"shape": list(self.shape), "dtype": str(self.dtype).removeprefix("torch."), "scheme": repr(scheme)}
        return {"shape": list(self.shape), "tape": write(self.view)}

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe from the result of `to_dict`."""
        return cls(name, read(name, values))


class Recipes(Mapping[str, Recipe]):
    """A mapping of names to recipes, which say how to make each parameter of a model.

    A tied parameter has the same recipe under each of its names.

    Parameters
    ----------
    recipes : mapping of str to Recipe
    prefixes : mapping of Module to str, optional
        The prefix of each model's tensor names, if a block built several models.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> with pt.deferred() as recipes:
    ...     model = torch.nn.Embedding(10, 4, padding_idx=0)
    >>> print(recipes)
    name    scheme               shape
    weight  Normal(), [0] = 0.0  (10, 4)
    >>> pt.Recipes.from_json(recipes.to_json()) == recipes
    True
    """

    def __init__(self, recipes: Mapping[str, Recipe] | None = None, prefixes: Any = None) -> None:
        self.recipes = dict(recipes or {})
        self.prefixes = {} if prefixes is None else prefixes

    def of(self, model: torch.nn.Module) -> Recipes:
        """Return the recipes of one of several models that a block built, without the prefix of their names.

        Parameters
        ----------
        model : Module
            If the block did not build it, all recipes are returned.
        """
        prefixes = set(self.prefixes.values())
        if len(prefixes) < 2:
            return self
        mine = self.prefixes.get(model, "")
        others = tuple(prefix for prefix in prefixes - {mine, ""})
        names = [name for name in self if name.startswith(mine) and (mine or not name.startswith(others))]
        return Recipes({name[len(mine) :]: self[name] for name in names})

    def __getitem__(self, name: str) -> Recipe:
        return self.recipes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.recipes)

    def __len__(self) -> int:
        return len(self.recipes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipes):
            return NotImplemented
        return self.recipes.keys() == other.recipes.keys() and all(self[name] == other[name] for name in self)

    __hash__ = None  # type: ignore[assignment]

    def plan(self) -> Table[Planned]:
        """Return a table of names, schemes and shapes.

        Returns
        -------
        list of (name, scheme, shape)
            One row for each name. Prints as a table. For recipes that are a single scheme, ``{name: scheme}`` is a plan
            for `pyinit.initialize`.
        """
        rows = (
            Planned(name, str(r) if r.name == name else f"same as {r.name}", r.shape)
            for name, r in self.recipes.items()
        )
        return Table(Planned, rows)

    def __str__(self) -> str:
        return str(self.plan())

    def __repr__(self) -> str:
        return f"<Recipes of {len(self)} parameters>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipes.from_json, (self.to_json(),)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the recipes as JSON text, and write it to `path` if given."""
        values = {name: r.name if r.name != name else r.to_dict() for name, r in self.recipes.items()}
        text = json.dumps({"format": FORMAT, "recipes": values}, indent=1)
        if path is not None:
            Path(path).write_text(text)
        return text

    @classmethod
    def from_json(cls, text: str | Path) -> Recipes:
        """Read recipes from JSON text, or from a Path to a file. Raise ValueError if they are invalid."""
        try:
            found = json.loads(text.read_text() if isinstance(text, Path) else text)
            if found["format"] != FORMAT:
                raise ValueError(f"its format is {found['format']!r}")
            made = {name: Recipe.from_dict(name, v) for name, v in found["recipes"].items() if not isinstance(v, str)}
            return cls({name: made[v if isinstance(v, str) else name] for name, v in found["recipes"].items()})
        except (*WRONG, RuntimeError) as error:
            raise ValueError(f"this is not {FORMAT!r}: {error!r}") from error


def unwritten(contents: Contents, where: Geometry) -> bool:
    """Whether some of a view may be unwritten: no edit covers it, and those inside it do not add up to its size."""
    full = {e.where for e in contents.edits if e.overwrites}
    if any(w.covers(where) or w.is_like(where) for w in full):
        return False
    return not where.is_dense or sum(w.size for w in full if where.covers(w)) < where.size
