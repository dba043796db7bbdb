"""Lists of rows that print as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from pyinit.terminal import lines

__all__ = ["Table"]

Row = TypeVar("Row", bound=NamedTuple)


class Table(list[Row], Generic[Row]):
    """A list of rows of one type that prints as a table.

    Parameters
    ----------
    kind : type
        The NamedTuple class of the rows. Its fields are the columns.
    rows : iterable
    """

    def __init__(self, kind: type[Row], rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)
        self.columns = [name.replace("_", " ") for name in kind._fields]

    def __str__(self) -> str:
        return "\n".join(lines(self.columns, [[text(cell) for cell in row] for row in self]))

    __repr__ = __str__


def text(cell: object) -> str:
    """Format a cell: nothing for None, three digits for a float."""
    if cell is None:
        return ""
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
