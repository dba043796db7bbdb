"""`pyinit demo --train`: a deep network on scikit-learn's digits, from several kinds of initial weights."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyinit import initializers, plots
from pyinit.network import SGD, Dense, Network, train
from pyinit.network.checks import Scheme
from pyinit.network.datasets import Dataset, load
from pyinit.terminal import Output

__all__ = ["run"]

LAYERS, WIDTH, EPOCHS = 10, 64, 20
QUICK_EPOCHS = 8
CHANCE = 0.1  # the accuracy of guessing: there are ten digits
BLOCKS = "▁▂▃▄▅▆▇█"
# The name of the weights, their scheme, and its activation.
STARTS = (
    ("zeros", initializers.zeros(), "tanh"),
    ("small, std 0.01", initializers.small(), "tanh"),
    ("big, std 1", initializers.big(), "tanh"),
    ("Xavier", initializers.xavier_normal(), "tanh"),
    ("Kaiming", initializers.kaiming_normal(), "relu"),
)

Curve = NDArray[np.floating]


def run(output: Output, seed: int = 1, quick: bool = False, save: Path | None = None) -> None:
    """Train the deep network from each start, and show its learning curves.

    Parameters
    ----------
    output : Output
    seed : int
        In [0, 2**64). It determines the split of the data, the weights and the order of the batches.
    quick : bool
        Fewer epochs.
    save : Path, optional
        The file for a picture of the curves; the suffix chooses the format.

    Raises
    ------
    ImportError
        If scikit-learn is missing; or, with `save`, matplotlib.
    """
    if save:
        plots.require_matplotlib()
    digits, epochs = load("digits", seed), QUICK_EPOCHS if quick else EPOCHS
    output.section(
        "A deep network learns to read or does not: its initial weights decide",
        f"{len(digits.x_train):,} handwritten digits of 8 x 8 pixels (scikit-learn's) to learn from, and "
        f"{len(digits.x_test)} that it never sees, to test it; {LAYERS} hidden layers of {WIDTH} units, {epochs} "
        f"epochs in batches of 32, gradient descent at rate 0.01 with momentum 0.9; the seed is {seed}.",
    )
    curves: dict[str, Curve] = {}
    for name, scheme, activation in STARTS:
        curves[f"{name} ({activation})"] = learn(digits, scheme, activation, epochs, seed)
    show(output, curves)
    if save:
        draw(curves, seed, save)
        output.text(f"The curves are drawn in {save}.")


def learn(digits: Dataset, scheme: Scheme, activation: str, epochs: int, seed: int) -> Curve:
    """Train one network, and give its test accuracy after each epoch."""
    net = Network(64, [Dense(WIDTH, activation)] * LAYERS + [Dense(10, "softmax")])
    net.initialize(seed, weights=scheme)
    with warnings.catch_warnings():
        # The curve shows that a network diverges.
        warnings.simplefilter("ignore", RuntimeWarning)
        history = train(
            net,
            digits.x_train,
            digits.y_train,
            loss="cross_entropy",
            epochs=epochs,
            batch_size=32,
            optimizer=SGD(0.01, momentum=0.9),
            validation=(digits.x_test, digits.y_test),
            seed=seed,
            progress=True,
        )
    assert history.validation_accuracy is not None
    return history.validation_accuracy


def show(output: Output, curves: dict[str, Curve]) -> None:
    """Show the curves as a table, with a small drawing of each."""
    levels = BLOCKS if draws_blocks() else "0123456789"
    rows = [(name, sparkline(curve, levels), f"{curve[-1]:.1%}", verdict(curve)) for name, curve in curves.items()]
    output.table(("weights (units)", "test accuracy by epoch", "at the end", "verdict"), rows)
    if levels != BLOCKS:
        output.text("By epoch: the tenths of the test accuracy, so that 0 is below 10% and 9 is 90% or more.")
    output.text(
        "Zeros keep all units of a layer alike, and with small weights the signal dies out on its way, so both give "
        "one class for every image. Big weights saturate nearly every tanh, and hardly any gradient is left. "
        "Xavier for tanh and Kaiming for relu keep the signal's spread from layer to layer, and the network learns."
    )


def draws_blocks() -> bool:
    """Whether a sparkline's blocks can be shown: not in a pipe, nor if the encoding lacks them."""
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return sys.stdout.isatty()


def sparkline(curve: Curve, levels: str) -> str:
    """Draw accuracies in [0, 1], one character each; NaN is a minus.

    Examples
    --------
    >>> sparkline(np.array([0.05, 0.5, 0.99, 1.0, np.nan]), "0123456789")
    '0599-'
    """
    return "".join(
        "-" if np.isnan(value) else levels[min(int(value * len(levels)), len(levels) - 1)] for value in curve
    )


def verdict(curve: Curve) -> str:
    """Describe the last accuracy; guessing would be right in one case of ten."""
    if np.isnan(curve[-1]):
        return "diverged"
    return "learned" if curve[-1] > 0.9 else "poor" if curve[-1] > 0.2 else "stuck"


def draw(curves: dict[str, Curve], seed: int, file: Path) -> None:
    """Draw the curves into a file."""
    title = f"{LAYERS} hidden layers of {WIDTH} units on handwritten digits, seed {seed}"
    values = {name: curve.tolist() for name, curve in curves.items()}
    plots.save(plots.learning_curves(values, title=title, chance=CHANCE), file)
