"""Schemes whose spread does not depend on the shape: one value, uniform and normal samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers.base import Scheme
from pyinit.initializers.blocks import Block, encode, is_bfloat16
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

BFLOAT16_MAX = 3.3895313892515355e38
LARGEST = {2: 65504.0, 4: 3.4028234663852886e38, 8: 1.7976931348623157e308}  # of floats of so many bytes


@dataclass(frozen=True, repr=False)
class Constant(Scheme):
    """Fill with one value; the stream does not move. See `constant`."""

    draws: ClassVar[bool] = False
    divisible: ClassVar[bool] = True
    value: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isnan(self.value):
            raise ValueError("value must be a number; got nan")

    def encoded(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Give the value as an array of this dtype stores it, or raise TypeError or ValueError."""
        if dtype.kind in "iub":
            low, high = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
            if not (self.value.is_integer() and low <= self.value <= high):
                raise ValueError(f"value must be an integer of {dtype}; got {self.value!r}")
            return np.array(int(self.value), dtype)
        super().check(dtype, ())
        largest = BFLOAT16_MAX if is_bfloat16(dtype) else LARGEST[dtype.itemsize]
        if math.isfinite(self.value) and abs(self.value) > largest:
            raise ValueError(f"value must be at most {largest:.6g} in {dtype}; got {self.value!r}")
        return encode(self.value, dtype)

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.encoded(dtype)

    def fill(self, block: Block, stream: Stream | None, num_threads: int | None) -> None:
        block.place(self.encoded(block.part.dtype))


@dataclass(frozen=True, repr=False)
class Uniform(Scheme):
    """Fill from the uniform distribution on [low, high). See `uniform`."""

    divisible: ClassVar[bool] = True
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.high - self.low) and self.low <= self.high):
            raise ValueError(f"low and high must be finite, and low not above high; got {self.low!r} and {self.high!r}")

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        Stream(0).fill_uniform(np.empty(0, dtype), self.low, self.high)

    def fill(self, block: Block, stream: Stream, num_threads: int | None) -> None:
        stream.fill_uniform(block.part, self.low, self.high, num_threads=num_threads, **block.window)


@dataclass(frozen=True, repr=False)
class Normal(Scheme):
    """Fill from the normal distribution of a given mean and standard deviation. See `normal`."""

    divisible: ClassVar[bool] = True
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"mean and std must be finite, and std not negative; got {self.mean!r} and {self.std!r}")

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        Stream(0).fill_normal(np.empty(0, dtype), self.mean, self.std)

    def fill(self, block: Block, stream: Stream, num_threads: int | None) -> None:
        stream.fill_normal(block.part, self.mean, self.std, num_threads=num_threads, **block.window)


@dataclass(frozen=True, repr=False)
class TruncatedNormal(Normal):
    """Fill from the normal distribution between two bounds. See `truncated_normal`."""

    lower: float = -2.0
    upper: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(np.dtype(np.float64), ())

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        Stream(0).fill_truncated_normal(np.empty(0, dtype), self.mean, self.std, self.lower, self.upper)

    def fill(self, block: Block, stream: Stream, num_threads: int | None) -> None:
        parameters = (self.mean, self.std, self.lower, self.upper)
        stream.fill_truncated_normal(block.part, *parameters, num_threads=num_threads, **block.window)


def constant(value: float) -> Constant:
    """Fill with one value.

    Parameters
    ----------
    value : float
        What every element becomes, rounded to the array's dtype; infinite or finite in it. Arrays of integers and
        booleans, which a model may hold beside its weights, are filled too where they can hold the value.

    Returns
    -------
    Constant
        A scheme that leaves the stream where it stands.

    Examples
    --------
    >>> import numpy as np
    >>> constant(0.5)(np.empty(3, np.float32), stream=None)
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    return Constant(value)


def zeros() -> Constant:
    """Fill with zeros: right for biases, and wrong for weights.

    All units of a layer then compute the same and receive the same gradient, so they never come to differ.

    Returns
    -------
    Constant
        A scheme that leaves the stream where it stands.

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
    """Fill with ones, as the scales of normalisation layers start.

    Returns
    -------
    Constant
        A scheme that leaves the stream where it stands.

    Examples
    --------
    >>> ones()
    Constant(value=1.0)
    """
    return Constant(1.0)


def uniform(low: float = 0.0, high: float = 1.0) -> Uniform:
    """Fill from the uniform distribution on [low, high).

    Parameters
    ----------
    low, high : float
        The interval; `high` itself is never drawn. The defaults are the article's first attempt, whose
        weights are all positive.

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


def truncated_normal(mean: float = 0.0, std: float = 1.0, lower: float = -2.0, upper: float = 2.0) -> TruncatedNormal:
    """Fill from the normal distribution between two bounds: no sample beyond them, and none piled up on them.

    Parameters
    ----------
    mean, std : float
        Of the normal distribution before it is truncated. Between the default bounds the samples' own standard
        deviation is 0.8796 std.
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

    Returns
    -------
    Normal

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

    Returns
    -------
    Normal

    Source
    ------
    "small" of the notebook page on weight initialisation and activations.

    Examples
    --------
    >>> small()
    Normal(std=0.01)
    """
    return Normal(0.0, 0.01)
