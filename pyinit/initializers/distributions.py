"""Schemes whose spread does not depend on the shape: constant, uniform and normal."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyinit import _core
from pyinit._core import Distribution
from pyinit.hints import explained, right_call
from pyinit.initializers.base import Scheme
from pyinit.initializers.windows import Window
from pyinit.streams import Stream

__all__ = [
    "Constant",
    "Normal",
    "TruncatedNormal",
    "Uniform",
    "big",
    "constant",
    "normal",
    "ones",
    "small",
    "truncated_normal",
    "uniform",
    "zeros",
]


@dataclass(frozen=True, repr=False)
class Drawn(Scheme):
    """Fill from one distribution, whatever the shape."""

    splittable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.distribution  # noqa: B018  # raises if a parameter is wrong

    @property
    @abstractmethod
    def distribution(self) -> Distribution:
        """The distribution to fill from."""

    def distribution_in(self, dtype: np.dtype[Any]) -> Distribution | None:
        return self.distribution if type(self).fill is Drawn.fill else None  # a subclass may fill in its own way

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        _core.check_dtype(self.distribution, dtype)

    def fill(self, window: Window, stream: _core.StreamState, num_threads: int | None) -> None:
        whole = None if window.offset is None else window.shape
        stream.write(window.array, self.distribution, whole, window.offset, num_threads)


@dataclass(frozen=True, repr=False)
class Constant(Drawn):
    """Fill with one value; the stream does not move. See `constant`."""

    needs_stream: ClassVar[bool] = False
    value: float

    @property
    def distribution(self) -> Distribution:
        return _core.constant(self.value)

    def distribution_in(self, dtype: np.dtype[Any]) -> Distribution | None:
        return self.distribution if type(self).fill is Constant.fill and dtype.kind not in "iub" else None

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype.kind not in "iub":
            super().check(dtype, shape)
            return
        low, high = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not (self.value.is_integer() and low <= self.value <= high):
            raise ValueError(f"value must be an integer of {dtype}; got {self.value!r}")

    def fill(self, window: Window, stream: _core.StreamState | None, num_threads: int | None) -> None:
        if window.array.dtype.kind in "iub":
            window.assign(np.array(int(self.value), window.array.dtype))
        else:
            super().fill(window, stream if isinstance(stream, Stream) else Stream(0), num_threads)


@dataclass(frozen=True, repr=False)
class Uniform(Drawn):
    """Fill from the uniform distribution on [low, high). See `uniform`."""

    low: float = 0.0
    high: float = 1.0

    @property
    def distribution(self) -> Distribution:
        return _core.uniform(self.low, self.high)


@dataclass(frozen=True, repr=False)
class Normal(Drawn):
    """Fill from the normal distribution of a given mean and standard deviation. See `normal`."""

    mean: float = 0.0
    std: float = 1.0

    @property
    def distribution(self) -> Distribution:
        return _core.normal(self.mean, self.std)


@dataclass(frozen=True, repr=False)
class TruncatedNormal(Normal):
    """Fill from the normal distribution between two bounds. See `truncated_normal`."""

    lower: float = -2.0
    upper: float = 2.0

    @property
    def distribution(self) -> Distribution:
        return _core.truncated_normal(self.mean, self.std, self.lower, self.upper)


def constant(value: float) -> Constant:
    """Fill with one value.

    Parameters
    ----------
    value : float
        The new value of every element, rounded to the array's dtype; it may be infinite. Arrays of integers or
        booleans, which some models hold beside their weights, are filled too if they can hold the value.

    Returns
    -------
    Constant
        A scheme that does not move the stream.

    Examples
    --------
    >>> import numpy as np
    >>> constant(0.5)(np.empty(3, np.float32), stream=None)
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    return Constant(value)


def zeros() -> Constant:
    """Fill with zeros: right for biases, and wrong for weights.

    All units of a layer then compute the same and receive the same gradient, so they stay equal.

    Source
    ------
    The first experiment of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> zeros()
    Constant(value=0.0)
    """
    return Constant(0.0)


def ones() -> Constant:
    """Fill with ones, the usual start for the scales of normalisation layers.

    Examples
    --------
    >>> ones()
    Constant(value=1.0)
    """
    return Constant(1.0)


@explained(right_call)
def uniform(low: float = 0.0, high: float = 1.0) -> Uniform:
    """Fill from the uniform distribution on [low, high).

    Parameters
    ----------
    low, high : float
        The interval; no sample is `high`. The defaults are the article's first attempt, whose weights are all
        positive.

    Returns
    -------
    Uniform

    Source
    ------
    Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.

    Examples
    --------
    >>> uniform(-0.05, 0.05)
    Uniform(low=-0.05, high=0.05)
    """
    return Uniform(low, high)


@explained(right_call)
def normal(mean: float = 0.0, std: float = 1.0) -> Normal:
    """Fill from the normal distribution, with a spread that does not depend on the shape.

    Parameters
    ----------
    mean : float
        The centre of the distribution.
    std : float, at least 0
        Its standard deviation. The default is the article's unscaled Gaussian.

    Returns
    -------
    Normal

    Source
    ------
    Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.

    Examples
    --------
    >>> normal(std=0.02)
    Normal(std=0.02)
    """
    return Normal(mean, std)


@explained(right_call)
def truncated_normal(mean: float = 0.0, std: float = 1.0, lower: float = -2.0, upper: float = 2.0) -> TruncatedNormal:
    """Fill from the normal distribution between two bounds: no sample is beyond them, and none pile up on them.

    Parameters
    ----------
    mean, std : float
        The mean and standard deviation before truncation. With the default bounds the samples' standard deviation is
        0.8796 std.
    lower, upper : float
        The bounds, in standard deviations from the mean, as in JAX; PyTorch's a and b are the values themselves,
        mean + lower std and mean + upper std.

    Returns
    -------
    TruncatedNormal

    Examples
    --------
    >>> truncated_normal(std=0.02)
    TruncatedNormal(std=0.02)
    """
    return TruncatedNormal(mean, std, lower, upper)


def big() -> Normal:
    """Fill from the standard normal distribution, whatever the fans: wide layers saturate.

    Source
    ------
    "big" of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> big() == pyinit.initializers.normal(mean=0.0, std=1.0)
    True
    """
    return Normal(0.0, 1.0)


def small() -> Normal:
    """Fill from the normal distribution of standard deviation 0.01: the signal dies out in a deep network.

    Source
    ------
    "small" of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> small()
    Normal(std=0.01)
    """
    return Normal(0.0, 0.01)
