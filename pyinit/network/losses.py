"""Loss functions, each with its gradient with respect to the network's output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["LOSSES", "Loss", "loss_function"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Loss:
    """A loss of outputs ``a`` and targets ``y``, both of shape (batch, out), and its gradient by ``a``."""

    name: str
    value: Callable[[Array, Array], Any]
    gradient: Callable[[Array, Array], Array]


def _quadratic(a: Array, y: Array) -> Any:
    error = a - y
    return (error * error).sum() / (2 * len(a))


LOSSES = {
    loss.name: loss
    for loss in (
        # n is the number of rows, as in the gradient; Djuric's quadratic-cost! divides what it *reports* by
        # the number of elements, which is the same for one output.
        Loss("quadratic", _quadratic, lambda a, y: (a - y) / len(a)),
    )
}


def loss_function(name: str) -> Loss:
    """Look a loss up by its name.

    Parameters
    ----------
    name : {"quadratic"}
        ``"quadratic"`` is ``1/(2n) Σ |a - y|²`` over the n rows of the batch.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If there is none of that name.

    Source
    ------
    Djuric, "Deep Learning from Scratch to GPU, 12, A Simple Neural Network Training API", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> a, y = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 0.0], [3.0, 1.0]])
    >>> quadratic = loss_function("quadratic")
    >>> float(quadratic.value(a, y))
    5.0
    >>> quadratic.gradient(a, y)
    array([[0., 1.],
           [0., 2.]])
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}; got {name!r}")
    return LOSSES[name]
