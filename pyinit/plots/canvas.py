"""Figures and files; only this file imports matplotlib."""

from __future__ import annotations

import base64
import io
import os
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyinit.atomic import replacement

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
    from matplotlib.figure import SubFigure as SubFigure

WIDTH = 6.0
"""A figure's width in inches: the text is readable even on a phone's screen, a third as wide as a desktop's."""
INK = "#262626"
ENDS = "#D55E00"
"""The colour for the ends of an activation's range."""

# Okabe and Ito, "Color Universal Design", 2008, without the yellow, which is too light on white, and the black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")

# Metadata that keeps dates and versions out of the file, by format.
UNDATED: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(UNDATED)

STYLE = {
    "font.size": 11,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "pyinit",  # otherwise each run gives its clip paths new names
}


def require_matplotlib() -> None:
    """Raise ImportError, which says how to install matplotlib, if it is missing."""
    try:
        import matplotlib.style  # noqa: F401
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None


# All threads share matplotlib's settings: two that change them at once would restore each other's.
LOCK = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Draw in this package's style, whatever the user's settings, and restore them.

    Raises
    ------
    ImportError
        Without matplotlib; it says how to install it.
    """
    require_matplotlib()
    import matplotlib.style

    with LOCK, matplotlib.style.context(["default", STYLE]):
        yield


def figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure with a size in inches, and a title."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    if title:
        made.suptitle(textwrap.fill(title, int(9 * width), max_lines=3, placeholder=" …"), parse_math=False)
    return made


def require(measured: Mapping[str, object]) -> None:
    """Raise ValueError if there is nothing to draw."""
    if not measured:
        raise ValueError("there must be something to draw; got an empty mapping")


def line(i: int) -> dict[str, Any]:
    """Return the style of line number i; the first 84 all differ."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKERS[i % len(MARKERS)],
        "linestyle": DASHES[i % len(DASHES)],
        "markersize": max(9.0 - 1.5 * i, 3.0),  # so that a later line with the same values hides no earlier one
    }


def shortened(name: str, room: int) -> str:
    """Shorten a layer's name to at most `room` letters; keep its end, which tells layers apart.

    Examples
    --------
    >>> shortened("encoder.layers.11.linear1", 16), shortened("fc1", 16)
    ('…yers.11.linear1', 'fc1')
    """
    return name if len(name) <= room else f"…{name[1 - room :]}"


def legend(drawing: Figure | SubFigure, axes: Axes) -> None:
    """Draw a legend below the axes, with names as plain text: a $ starts no formula."""
    room = int(10 * drawing.bbox.width / drawing.dpi)  # in letters of the legend's size, which are a tenth of an inch
    names = [textwrap.fill(str(line.get_label()), room - 10, max_lines=2, placeholder=" …") for line in axes.lines]
    longest = max(len(part) for name in names for part in name.splitlines() or [""])
    columns = max(min(room // (longest + 7), len(names), 4), 1)
    for text in drawing.legend(axes.lines, names, loc="outside lower center", ncols=columns).get_texts():
        text.set_parse_math(False)


@style()
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, completely or not at all.

    The same figure gives the same bytes: no date or version is written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Ends in .png (at 200 dots per inch), .svg or .pdf, which chooses the format.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> save(figure(4.0, 3.0), "curves.jpeg")
    Traceback (most recent call last):
    ValueError: a picture's name must end in .png, .svg or .pdf; got 'curves.jpeg'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"a picture's name must end in .png, .svg or .pdf; got {str(path)!r}")
    with replacement(path) as file:
        figure.savefig(file, format=suffix[1:], dpi=200, metadata=UNDATED[suffix])


@style()
def data_uri(figure: Figure) -> str:
    """Draw a figure as SVG in a data URI, for the ``src`` of an ``<img>``: the page needs no other file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    str
        Equal for equal figures.

    Examples
    --------
    >>> data_uri(figure(4.0, 3.0))[:26]
    'data:image/svg+xml;base64,'
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata=UNDATED[".svg"])
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
