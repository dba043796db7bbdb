"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyinit.plots.canvas import INK, WIDTH, figure, legend, line, require, style

if TYPE_CHECKING:
    from pyinit.plots.canvas import Figure

__all__ = ["learning_curves"]


@style()
def learning_curves(
    curves: Mapping[str, Sequence[float]],
    *,
    ylabel: str = "test accuracy",
    title: str = "Learning from different initial weights",
    chance: float | None = None,
) -> Figure:
    """Draw one line per scheme, over the epochs.

    Parameters
    ----------
    curves : mapping of str to sequence of float
        By name: a value after each epoch, from the first on. NaN leaves a gap.
    ylabel : str
        The label of the values, with their unit.
    title : str
    chance : float, optional
        The value of guessing, such as 0.1 for ten classes. A dotted line marks it.

    Returns
    -------
    matplotlib.figure.Figure
        Made without pyplot: no window, no state. `save` writes it.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no curves.

    Examples
    --------
    >>> figure = learning_curves({"xavier": [0.62, 0.91, 0.95], "zeros": [0.1, 0.1, 0.1]})
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['xavier', 'zeros']
    """
    require(curves)
    drawing = figure(WIDTH, 4.5, title)
    axes = drawing.subplots()
    for i, (name, values) in enumerate(curves.items()):
        # Twenty markers at most, shifted from line to line, so that equal lines are both visible.
        every = max(1, len(values) // 20)
        axes.plot(range(1, len(values) + 1), values, label=name, markevery=(i % every, every), **line(i))
    if chance is not None:
        axes.axhline(chance, label="chance", color=INK, linestyle=":", linewidth=1.2)
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.locator_params(axis="x", integer=True)
    legend(drawing, axes)
    return drawing
