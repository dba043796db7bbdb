"""Small real data sets, which scikit-learn includes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.streams import Stream

__all__ = ["Dataset", "load"]

Array = NDArray[Any]

CLASSES = ("digits", "iris", "wine", "breast_cancer")
TARGETS = ("diabetes", "linnerud")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples for training, and examples for testing.

    Attributes
    ----------
    x_train, x_test : float32 array of shape (rows, features)
        Each feature minus its mean, divided by its standard deviation, both over the training rows. All pixels of
        digits are divided by one standard deviation.
    y_train, y_test : int64 array of shape (rows,), or float32 array of shape (rows, targets)
        Class labels, or targets scaled like the features.
    names : tuple of str
        The names of the classes, or of the targets.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    names: tuple[str, ...]


def load(name: str, seed: int | Stream | None = 0, test_fraction: float = 0.2) -> Dataset:
    """Load a set, and split it at random.

    Parameters
    ----------
    name : {"digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"}
        The first four have classes, the last two have targets.
    seed : int, Stream or None
        Its child "split" determines the split, which is the same on every machine.
    test_fraction : float, above 0 and below 1
        The share of rows for testing: at least one row, at most all but one.

    Returns
    -------
    Dataset

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    ValueError
        If the name is unknown, or the fraction is out of range.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.x_train.shape, digits.x_test.shape, digits.y_test[:3], digits.names[:3]
    ((1438, 64), (359, 64), array([...]), ('0', '1', '2'))
    """
    if name not in CLASSES + TARGETS:
        raise ValueError(f"name must be one of {', '.join(map(repr, CLASSES + TARGETS))}; got {name!r}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be above 0 and below 1; got {test_fraction!r}")
    stream = seed if isinstance(seed, Stream) else Stream(seed)
    try:
        from sklearn import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError("the data sets need scikit-learn: pip install scikit-learn") from None
    whole = getattr(datasets, f"load_{name}")()
    order = np.argsort(stream.child("split").bits(len(whole.data)), kind="stable")
    held_out = min(max(round(len(order) * test_fraction), 1), len(order) - 1)
    test, train = order[:held_out], order[held_out:]
    x_train, x_test = standardised(whole.data, train, test, alike=name == "digits")
    if name in CLASSES:
        y, names = whole.target.astype(np.int64), whole.target_names
        return Dataset(x_train, y[train], x_test, y[test], tuple(map(str, names)))
    y_train, y_test = standardised(whole.target.reshape(len(order), -1), train, test)
    return Dataset(x_train, y_train, x_test, y_test, tuple(getattr(whole, "target_names", (name,))))


def standardised(values: Array, train: Array, test: Array, alike: bool = False) -> tuple[Array, Array]:
    """Return both parts of some columns, with mean 0 and standard deviation 1 over the first part.

    Examples
    --------
    >>> columns = np.array([[1.0], [3.0], [5.0]])
    >>> first, second = standardised(columns, np.array([0, 1]), np.array([2]))
    >>> first.ravel(), second.ravel()
    (array([-1.,  1.], dtype=float32), array([3.], dtype=float32))
    """
    variance = values[train].var(axis=0)
    std = np.sqrt(np.broadcast_to(variance.mean(), variance.shape) if alike else variance)
    # A constant column has no spread to scale.
    scaled = (values - values[train].mean(axis=0)) / np.where(std > 0, std, 1)
    return scaled[train].astype(np.float32), scaled[test].astype(np.float32)
