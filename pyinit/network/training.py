"""Training: an optimiser's steps along the gradients of batches, and their history."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import terminal
from pyinit._core import text_of
from pyinit.network.backpropagation import backpropagate, examples
from pyinit.network.buffers import Buffers
from pyinit.network.checks import count
from pyinit.network.losses import Loss, loss_function
from pyinit.network.network import Network
from pyinit.network.optimizers import SGD, Optimizer
from pyinit.streams import Stream

__all__ = ["History", "train"]

Array = NDArray[Any]
Batches = Iterator[tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class History:
    """The results of a training, epoch by epoch: NumPy arrays of shape (epochs,) in the network's dtype.

    Attributes
    ----------
    loss : array
        The mean over the epoch's batches, each measured before its step.
    accuracy : array or None
        The share of right answers, measured in the same way; only for the cross-entropy. An answer is the largest of
        several outputs, or whether a single output is above one half.
    validation_loss, validation_accuracy : array or None
        The same for the validation examples, after the epoch's last step.
    """

    loss: Array
    accuracy: Array | None = None
    validation_loss: Array | None = None
    validation_accuracy: Array | None = None


def train(
    net: Network,
    x: Any,
    y: Any,
    loss: str = "quadratic",
    epochs: int = 1,
    learning_rate: float | None = None,
    *,
    batch_size: int | None = None,
    optimizer: Optimizer | None = None,
    validation: tuple[Any, Any] | None = None,
    seed: int | Stream | None = 0,
    progress: bool = False,
) -> History:
    """Train a network in place.

    If the training diverges, so that the loss is infinite or NaN, it stops with a RuntimeWarning; the rest of its
    history is NaN.

    Parameters
    ----------
    net : Network
    x : array_like of shape (batch, inputs)
        Only read.
    y : array_like of shape (batch, outputs)
        The targets; only read. For the cross-entropy also integer class labels of shape (batch,).
    loss : {"quadratic", "cross_entropy"}
        The cross-entropy needs a last layer of softmax or sigmoid.
    epochs : int, at least 0
        The number of passes over all rows.
    learning_rate : float, finite and at least 0
        For plain gradient descent, which subtracts ``learning_rate * gradient`` from each parameter; 0.05 if neither
        it nor `optimizer` is given.
    batch_size : int, at least 1, optional
        The rows of a step; the last step of an epoch may have fewer. All rows if None or larger than their number;
        otherwise the rows have a new random order in every epoch.
    optimizer : Optimizer, optional
        `SGD` or `Adam`, with its own learning rate.
    validation : (x, y), optional
        Examples to measure after every epoch, but not to learn from.
    seed : int, Stream or None
        Its child "order" determines the order of the rows.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If `x` or `y` does not hold real numbers, or `epochs` or `batch_size` is not an integer.
    ValueError
        If a shape is wrong, the loss is unknown or does not go with the last layer, a number is out of range, or a
        weight is NaN.

    Source
    ------
    `sgd` and `quadratic-cost!` in Djuric, "Deep Learning from Scratch to GPU, 12, A Simple Neural Network
    Training API", 2019.

    Examples
    --------
    >>> from pyinit.network import Dense
    >>> net = Network(1, [Dense(1, "identity")])
    >>> net.layers[0].weights[...] = 0.0
    >>> train(net, [[1.0]], [[1.0]], epochs=3, learning_rate=0.25).loss
    array([0.5    , 0.125  , 0.03125], dtype=float32)
    """
    chosen = loss_function(loss, net.layers[-1].activation)
    x, y = examples(net, x, y, chosen)
    held_out = None if validation is None else examples(net, *validation, chosen)
    epochs = count(epochs, 0, "epochs")
    size = len(x) if batch_size is None else min(count(batch_size, 1, "batch_size"), len(x))
    steps = Steps(net, chosen, choose(optimizer, learning_rate), size)
    order = (seed if isinstance(seed, Stream) else Stream(seed)).child("order")
    net.require_weights()
    measured: Array = np.full((4, epochs), np.nan, dtype=net.dtype)
    # An overflow gives one warning, not one from every later operation.
    with (
        terminal.progress(epochs * -(-len(x) // size), "training", progress) as advance,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        for epoch in range(epochs):
            batches = in_order(x, y, size) if size == len(x) else steps.shuffled(x, y, order)
            measured[:2, epoch] = steps.mean(steps.learn, batches, len(x), advance)
            if not np.isfinite(measured[0, epoch]):
                warnings.warn(
                    f"the training diverged: its loss is not finite in epoch {epoch}", RuntimeWarning, stacklevel=2
                )
                break
            if held_out:
                batches = in_order(*held_out, size)
                measured[2:, epoch] = steps.mean(steps.look, batches, len(held_out[0]))
    return history(measured, chosen.name == "cross_entropy", held_out is not None)


def choose(optimizer: Optimizer | None, learning_rate: float | None) -> Optimizer:
    """Return the optimiser, or plain gradient descent with the learning rate, or raise."""
    if optimizer is None:
        return SGD(0.05 if learning_rate is None else learning_rate)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an optimiser such as SGD(0.1) or Adam(); got {text_of(optimizer)}")
    if learning_rate is not None:
        raise ValueError(f"give learning_rate or optimizer, not both; got {learning_rate!r} and {optimizer!r}")
    return optimizer


def history(measured: Array, accuracies: bool, validation: bool) -> History:
    """Make a history from its four rows, without those that have no meaning."""
    loss, accuracy, validation_loss, validation_accuracy = measured
    return History(
        loss,
        accuracy if accuracies else None,
        validation_loss if validation else None,
        validation_accuracy if accuracies and validation else None,
    )


def in_order(x: Array, y: Array, size: int) -> Batches:
    """Yield the examples in batches of `size` rows, as views."""
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


class Steps:
    """The steps of one training, which reuse the same memory.

    Parameters
    ----------
    net : Network
    loss : Loss
    optimizer : Optimizer
    size : int
        The rows of the largest batch.
    """

    def __init__(self, net: Network, loss: Loss, optimizer: Optimizer, size: int) -> None:
        self.net, self.loss, self.optimizer, self.size = net, loss, optimizer, size
        self.number = 0
        self.buffers = [layer.buffers(size, net.xp) for layer in net.layers]
        self.states = [optimizer.state(parameter) for _, parameter in net.parameters()]

    @cached_property
    def batch(self) -> tuple[Array, Array]:
        """Memory for the rows of a batch, if they are not adjacent."""
        x, y = (self.net.xp.empty((self.size, n), dtype=self.net.dtype) for n in (self.net.inputs, self.net.outputs))
        return x, y

    def shuffled(self, x: Array, y: Array, order: Stream) -> Batches:
        """Yield the examples in batches, in a new order: that of the stream's next words, one for each row."""
        rows = self.net.xp.asarray(np.argsort(order.bits(len(x)), kind="stable"))
        for start in range(0, len(x), self.size):
            chosen = rows[start : start + self.size]
            yield self.take(x, chosen, self.batch[0]), self.take(y, chosen, self.batch[1])

    def take(self, whole: Array, rows: Array, out: Array) -> Array:
        """Copy some rows of an array to the first rows of another."""
        # NumPy's take copies `out` unless mode is "clip"; CuPy's has no modes, and needs none.
        mode: dict[str, Any] = {"mode": "clip"} if self.net.xp is np else {}
        return np.take(whole, rows, axis=0, out=out[: len(rows)], **mode)

    def learn(self, x: Array, y: Array) -> tuple[Any, Array]:
        """Make one step; return the loss and the outputs before it."""
        value, a, by_layer = backpropagate(self.net, x, y, self.loss, self.rows(len(x)))
        self.number += 1
        gradients = chain.from_iterable(by_layer)
        for (_, parameter), gradient, state in zip(self.net.parameters(), gradients, self.states, strict=True):
            self.optimizer.step(parameter, gradient, state, self.number)
        return value, a

    def look(self, x: Array, y: Array) -> tuple[Any, Array]:
        """Return the loss and the outputs, without a step."""
        buffers = self.rows(len(x))
        z, a = self.net.forward(x, buffers)[-1]
        return self.loss.forward(z, a, y, out=buffers[-1].gradient), a

    def rows(self, count: int) -> list[Buffers]:
        """Return the buffers for a batch of `count` rows."""
        return self.buffers if count == self.size else [buffers.rows(count) for buffers in self.buffers]

    def mean(
        self,
        do: Callable[[Array, Array], tuple[Any, Array]],
        batches: Batches,
        rows: int,
        advance: Callable[[int], object] = lambda n: None,
    ) -> tuple[float, float]:
        """Call `do` for every batch, with `rows` rows in all; return the mean loss and the share of right answers.

        It waits for a GPU only at the end.
        """
        loss = correct = 0
        for x, y in batches:
            value, a = do(x, y)
            # Not value * len(x) / rows, which may differ from `value` if there is only one batch.
            loss += value * (len(x) / rows)
            correct += answers_alike(a, y)
            advance(1)
        return float(loss), float(correct / rows)


def answers_alike(a: Array, y: Array) -> Any:
    """Count the rows with the same answer: the largest of several outputs, or whether a single one is above 1/2."""
    alike = (a > 0.5) == (y > 0.5) if a.shape[1] == 1 else np.argmax(a, axis=1) == np.argmax(y, axis=1)
    return np.sum(alike)
