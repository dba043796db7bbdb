"""Loss functions: each is a small class with its value and its gradient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyinit._core import text_of
from pyinit.network.activations import Activation
from pyinit.network.buffers import Buffers
from pyinit.network.checks import rows
from pyinit.network.devices import as_array

__all__ = ["LOSSES", "Loss", "loss_function"]

Array = NDArray[Any]


class Loss:
    """A loss of the last layer's outputs `a` and the targets `y`: a mean over the rows of a batch.

    Parameters
    ----------
    activation : Activation
        The last layer's activation. The loss carries its gradient back through it too, because the two together may be
        simpler.
    """

    name: ClassVar[str]

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def targets(self, y: Any, outputs: int, dtype: Any, xp: Any) -> Array:
        """Convert targets to an array of shape (batch, outputs), or raise TypeError or ValueError."""
        return rows(y, outputs, "y", dtype, xp)

    def forward(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Any:
        """Compute the loss.

        Parameters
        ----------
        z, a : array of shape (batch, outputs)
            The last layer's pre-activations and outputs; only read.
        y : array of shape (batch, outputs)
            The targets; only read.
        out : array of shape (batch, outputs), optional
            Scratch space.

        Returns
        -------
        scalar
        """
        raise NotImplementedError

    def backward(self, z: Array, a: Array, y: Array, to: Buffers) -> Array:
        """Compute the gradient with respect to `z`, of shape (batch, outputs), in the last layer's buffers."""
        raise NotImplementedError


class Quadratic(Loss):
    """``1/(2n) Σ |a - y|²`` over the n rows of the batch.

    Source
    ------
    `quadratic-cost!` in Djuric, "Deep Learning from Scratch to GPU, 12, A Simple Neural Network Training API",
    2019. The cost that it *reports* is divided by the number of elements, which is the same for one output.
    """

    name = "quadratic"

    def forward(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Any:
        out = np.subtract(a, y, out=out)
        out *= out
        return out.sum() / (2 * len(a))

    def backward(self, z: Array, a: Array, y: Array, to: Buffers) -> Array:
        gradient = np.subtract(a, y, out=to.gradient)
        gradient /= len(a)
        return self.activation.backward(z, a, gradient, out=to.delta)


class CrossEntropy(Loss):
    """The common part of the cross-entropies of softmax and sigmoid: the gradient by `z` is ``(a - y) / n``.

    The activation's slope cancels, so a saturated, wrong output still learns.
    """

    name = "cross_entropy"

    def targets(self, y: Any, outputs: int, dtype: Any, xp: Any) -> Array:
        """Convert targets, or class labels of shape (batch,), to probabilities of shape (batch, outputs)."""
        y = as_array(y, "y", xp)
        labels = y.ndim == 1 and y.dtype.kind in "iub"
        targets = one_hot(xp.asarray(y), outputs, dtype, xp) if labels else rows(y, outputs, "y", dtype, xp)
        # In this form a NaN fails too.
        if not (np.all(targets >= 0) and np.all(targets <= 1)):
            raise ValueError("y must hold probabilities, in [0, 1], or be integer class labels of shape (batch,)")
        return targets

    def backward(self, z: Array, a: Array, y: Array, to: Buffers) -> Array:
        delta = np.subtract(a, y, out=to.delta)
        delta /= len(a)
        return delta


class SoftmaxCrossEntropy(CrossEntropy):
    """``-1/n Σ y ln a`` for a softmax as the last layer, whose rows are class probabilities.

    Source
    ------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """

    def targets(self, y: Any, outputs: int, dtype: Any, xp: Any) -> Array:
        targets = super().targets(y, outputs, dtype, xp)
        if np.any(np.abs(np.sum(targets, axis=1) - 1) > 1e-3):
            raise ValueError("each row of y must sum to 1, as the outputs of softmax do")
        return targets

    def forward(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Any:
        # ln a = z - max z - ln Σ exp(z - max z), where the sum is 1 / max a: finite where a itself is 0.
        out = np.subtract(z, np.max(z, axis=-1, keepdims=True), out=out)
        out += np.log(np.max(a, axis=-1, keepdims=True))
        out *= y
        return (0 - out.sum()) / len(a)  # 0, and not -0, if every answer is right


class SigmoidCrossEntropy(CrossEntropy):
    """``-1/n Σ (y ln a + (1 - y) ln(1 - a))`` for a last layer of sigmoids, each the probability of class 1."""

    def forward(self, z: Array, a: Array, y: Array, out: Array | None = None) -> Any:
        # It is ln(1 + exp -|z|) + max(z, 0) - y z, in which no term overflows and no two large ones cancel.
        out = np.abs(z, out=out)
        np.negative(out, out=out)
        total = np.logaddexp(0, out, out=out).sum()
        np.subtract(np.greater(z, 0, out=out), y, out=out)
        out *= z
        return (total + out.sum()) / len(a)


def one_hot(labels: Array, outputs: int, dtype: Any, xp: Any) -> Array:
    """Convert class labels to rows with a 1 at the label; for one output, to rows with the label, 0 or 1.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3, np.float32, np)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    classes = max(outputs, 2)
    if len(labels) and not (np.all(labels >= 0) and np.all(labels < classes)):
        raise ValueError(f"y must hold class labels in [0, {classes}); got {np.min(labels)} to {np.max(labels)}")
    names = xp.arange(outputs) if outputs > 1 else xp.full(1, True)
    found: Array = np.equal(labels[:, None], names).astype(dtype)
    return found


LOSSES: dict[str, dict[str, type[Loss]] | type[Loss]] = {
    "quadratic": Quadratic,
    "cross_entropy": {"softmax": SoftmaxCrossEntropy, "sigmoid": SigmoidCrossEntropy},
}


def loss_function(name: str, activation: Activation) -> Loss:
    """Make a loss by its name, for a last layer.

    Parameters
    ----------
    name : {"quadratic", "cross_entropy"}
        ``1/(2n) Σ |a - y|²``, or ``-1/n Σ y ln a``; for a sigmoid, the latter counts the other answer too.
    activation : Activation
        The last layer's activation. The cross-entropy needs softmax or sigmoid, whose outputs are probabilities.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If the name is unknown, or the loss does not go with the activation.

    Examples
    --------
    >>> from pyinit.network.activations import activation
    >>> quadratic = loss_function("quadratic", activation("identity"))
    >>> a, y = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 0.0], [3.0, 1.0]])
    >>> float(quadratic.forward(a, a, y))
    5.0
    >>> quadratic.backward(a, a, y, Buffers())
    array([[0., 1.],
           [0., 2.]])
    """
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}; got {text_of(name)}")
    kind = LOSSES[name]
    if isinstance(kind, dict):
        if activation.name not in kind:
            raise ValueError(
                f"{name} needs a last layer of {' or '.join(kind)}, whose outputs are probabilities;"
                f" got {activation.name}"
            )
        kind = kind[activation.name]
    return kind(activation)
