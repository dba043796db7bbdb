"""Schemes whose elements depend on their position: identity, Dirac and sparse."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.initializers.base import Scheme
from pyinit.initializers.distributions import Constant, Normal
from pyinit.initializers.fans import Layout, check_layout, checked_groups
from pyinit.initializers.windows import Window, encode, raw_bits
from pyinit.streams import Stream

__all__ = ["Dirac", "Identity", "Sparse", "dirac", "eye", "identity", "sparse"]

KEYS_AT_ONCE = 1 << 22  # the keys of a sparse tensor in memory at once, 8 bytes each


@dataclass(frozen=True, repr=False)
class OneValue(Scheme):
    """Fill with zeros, and with one value in a few places; the stream does not move."""

    needs_stream: ClassVar[bool] = False
    splittable: ClassVar[bool] = True

    @property
    @abstractmethod
    def value(self) -> float:
        """The value in those places."""

    @abstractmethod
    def places(self, shape: tuple[int, ...], region: tuple[slice, ...]) -> list[NDArray[np.intp]]:
        """Give the places in a region of a tensor of this shape, an array of indices for each axis."""

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        super().check(dtype, shape)
        Constant(self.value).check(dtype, shape)

    def fill(self, window: Window, stream: Stream | None, num_threads: int | None) -> None:
        places = self.places(window.shape, window.region)
        with window.on_host() as part:
            raw_bits(part)[...] = 0
            chosen = tuple(place - axis.start for place, axis in zip(places, window.region))
            raw_bits(part)[chosen] = encode(self.value, part.dtype)


@dataclass(frozen=True, repr=False)
class Identity(OneValue):
    """Fill with the identity matrix times a gain. See `identity`."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.gain):
            raise ValueError(f"gain must be finite; got {self.gain!r}")

    @property
    def value(self) -> float:
        return self.gain

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(f"identity needs an array of 2 dimensions; got shape {shape}")
        super().check(dtype, shape)

    def places(self, shape: tuple[int, ...], region: tuple[slice, ...]) -> list[NDArray[np.intp]]:
        rows, columns = region
        return [np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))] * 2


@dataclass(frozen=True, repr=False)
class Dirac(OneValue):
    """Fill a convolution's kernel so that it passes its input on. See `dirac`."""

    groups: int = 1
    layout: Layout = field(default="out_in", kw_only=True)
    value: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "groups", checked_groups(self.groups))
        check_layout(self.layout)

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if len(shape) not in (3, 4, 5):
            raise ValueError(f"dirac needs an array of 3, 4 or 5 dimensions; got shape {shape}")
        outs = self.axes(shape)[0]
        if outs % self.groups:
            raise ValueError(f"groups must divide out; got {self.groups} groups for {outs} of shape {shape}")
        super().check(dtype, shape)

    def axes(self, each: tuple[Any, ...]) -> tuple[Any, ...]:
        """Reorder a tuple with one item per axis to outputs, inputs, kernel."""
        return each if self.layout == "out_in" else (each[-1], each[-2], *each[:-2])

    def places(self, shape: tuple[int, ...], region: tuple[slice, ...]) -> list[NDArray[np.intp]]:
        size = max(1, self.axes(shape)[0] // self.groups)  # outputs per group
        outs, ins, *kernel = self.axes(region)
        centre = [n // 2 for n in self.axes(shape)[2:]]
        inside = all(axis.start <= c < axis.stop for c, axis in zip(centre, kernel))
        channels = np.arange(ins.start, min(ins.stop, size) if inside else ins.start)
        groups = np.arange(outs.start // size, -(-outs.stop // size))
        out_places = (groups[:, None] * size + channels).ravel()
        in_window = (out_places >= outs.start) & (out_places < outs.stop)
        found = [out_places[in_window], np.tile(channels, len(groups))[in_window]]
        middle = [np.full_like(found[0], c) for c in centre]
        return [*found, *middle] if self.layout == "out_in" else [*middle, *found[::-1]]


@dataclass(frozen=True, repr=False)
class Sparse(Scheme):
    """Fill from the centred normal distribution, and put zeros in part of every column. See `sparse`."""

    sparsity: float
    std: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        Normal(0.0, self.std)
        if not 0 <= self.sparsity <= 1:
            raise ValueError(f"sparsity must be in [0, 1]; got {self.sparsity!r}")

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(f"sparse needs an array of 2 dimensions; got shape {shape}")
        Normal(0.0, self.std).check(dtype, shape)

    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        normal, elements = Normal(0.0, self.std).distribution, math.prod(window.shape)
        _, dtype = _core.check_dtype(normal, window.array.dtype)
        ahead = stream.copy()
        for state in (ahead, stream):  # first a copy, which raises if the stream has too few words left
            samples = state.claim(normal, dtype, elements)
            words = state.claim(_core.bits(), _core.DTYPES["uint32"].number, elements)
        with window.on_host() as part:
            samples.write(part, normal, window.shape, window.offset, num_threads)
            self.put_zeros(window, part, words)

    def put_zeros(self, window: Window, part: NDArray[Any], begin: _core.StreamState) -> None:
        """Put zeros into `part`, the window's elements, chosen by the words from `begin` on."""
        rows, columns = window.shape
        zeros = math.ceil(self.sparsity * rows)
        region, width = window.region, max(1, KEYS_AT_ONCE // max(1, rows))
        for start in range(region[1].start, region[1].stop if zeros else 0, width):
            n = min(width, region[1].stop - start)
            # One row of keys per column. A key is the element's word, then its row, so that keys differ.
            words = np.empty((n, rows), np.uint32)
            begin.copy().write(words, _core.bits(), (columns, rows), (start, 0))
            keys = words.astype(np.uint64) << np.uint64(32) | np.arange(rows, dtype=np.uint64)
            last = np.partition(keys, zeros - 1, axis=1)[:, zeros - 1 : zeros]
            chosen = (keys <= last).T[region[0]]
            raw_bits(part)[:, start - region[1].start :][:, :n][chosen] = 0


def identity(gain: float = 1.0) -> Identity:
    """Fill a matrix, square or not, with `gain` on its diagonal and zeros elsewhere.

    Parameters
    ----------
    gain : float
        The value on the diagonal.

    Returns
    -------
    Identity
        A scheme for arrays of 2 dimensions that does not move the stream.

    Source
    ------
    Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", 2015, section 3.

    Examples
    --------
    >>> identity()(np.empty((2, 3), np.float32), stream=None)
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    return Identity(gain)


eye = identity


def dirac(groups: int = 1, layout: Layout = "out_in") -> Dirac:
    """Fill a convolution's kernel so that as many channels as possible pass through it unchanged.

    Parameters
    ----------
    groups : int, at least 1
        The groups of the convolution: each passes its own channels on. The number divides the outputs.
    layout : {"out_in", "in_out"}
        As for `fans`.

    Returns
    -------
    Dirac
        A scheme for arrays of 3, 4 or 5 dimensions that does not move the stream.

    Source
    ------
    Zagoruyko and Komodakis, "DiracNets: Training Very Deep Neural Networks Without Skip-Connections", 2017,
    equation 1; the places are those of `torch.nn.init.dirac_`.

    Examples
    --------
    >>> dirac()(np.empty((2, 2, 3), np.float32), stream=None)[1]
    array([[0., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    return Dirac(groups, layout=layout)


def sparse(sparsity: float, std: float = 0.01) -> Sparse:
    """Fill from the normal distribution, with zeros in the same number of random rows of every column.

    Parameters
    ----------
    sparsity : float in [0, 1]
        The fraction of each column that is zero, rounded up to whole rows.
    std : float, at least 0
        The standard deviation of the other elements.

    Returns
    -------
    Sparse
        A scheme for arrays of 2 dimensions. After the samples it takes one more word for each element: the smallest
        words of each column mark its zeros.

    Source
    ------
    Martens, "Deep learning via Hessian-free optimization", 2010, section 5, as in `torch.nn.init.sparse_`.

    Examples
    --------
    >>> (sparse(0.3)(np.empty((10, 4), np.float32), pyinit.Stream(0)) == 0).sum(axis=0)
    array([3, 3, 3, 3])
    """
    return Sparse(sparsity, std)
