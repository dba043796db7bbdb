"""Uniformly distributed orthogonal weights, from the QR decomposition of a Gaussian matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers.base import Scheme
from pyinit.initializers.distributions import Constant
from pyinit.initializers.fans import Layout, check_layout
from pyinit.initializers.windows import Window, encode, raw_bits
from pyinit.streams import Stream

__all__ = ["DeltaOrthogonal", "Orthogonal", "delta_orthogonal", "orthogonal"]


@dataclass(frozen=True, repr=False)
class Orthogonal(Scheme):
    """Fill with a matrix of orthonormal rows or columns, times a gain. See `orthogonal`."""

    gain: float = 1.0
    layout: Layout = field(default="out_in", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layout(self.layout)
        if not math.isfinite(self.gain):
            raise ValueError(f"gain must be finite; got {self.gain!r}")

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        super().check(dtype, shape)
        Constant(self.gain).check(dtype, shape)
        if len(shape) < 2:
            raise ValueError(f"orthogonal needs an array of at least 2 dimensions; got shape {shape}")

    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        outs = window.shape[0 if self.layout == "out_in" else -1]
        rest = math.prod(window.shape[1:] if self.layout == "out_in" else window.shape[:-1])
        rows, columns = (outs, rest) if self.layout == "out_in" else (rest, outs)
        matrix = haar(rows, columns, window.array.dtype, stream, num_threads)
        window.assign(encode(self.gain * matrix.reshape(window.shape)[window.region], window.array.dtype))


@dataclass(frozen=True, repr=False)
class DeltaOrthogonal(Orthogonal):
    """Fill the middle of a convolution's kernel with an orthogonal matrix. See `delta_orthogonal`."""

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if len(shape) not in (3, 4, 5):
            raise ValueError(f"delta_orthogonal needs an array of 3, 4 or 5 dimensions; got shape {shape}")
        super().check(dtype, shape)
        outs, ins = shape[:2] if self.layout == "out_in" else shape[:-3:-1]
        if outs < ins:
            raise ValueError(f"delta_orthogonal needs at least as many outputs as inputs; got shape {shape}")

    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        channels, kernel = (slice(2), slice(2, None)) if self.layout == "out_in" else (slice(-2, None), slice(-2))
        rows, columns = window.shape[channels]
        matrix = haar(rows, columns, window.array.dtype, stream, num_threads)
        centre = [(n - 1) // 2 for n in window.shape[kernel]]
        with window.on_host() as part:
            raw_bits(part)[...] = 0
            if all(axis.start <= c < axis.stop for c, axis in zip(centre, window.region[kernel])):
                place = [slice(None)] * 2
                at = tuple(c - axis.start for c, axis in zip(centre, window.region[kernel]))
                middle = raw_bits(part)[(*place, *at) if self.layout == "out_in" else (*at, *place)]
                middle[...] = encode(self.gain * matrix[window.region[channels]], part.dtype)


def haar(rows: int, columns: int, dtype: np.dtype[Any], stream: Stream, num_threads: int | None = None) -> NDArray[Any]:
    """Draw a matrix with orthonormal columns, or rows if they are fewer, uniformly from all such matrices.

    Parameters
    ----------
    rows, columns : int
    dtype : dtype
        float64 gives a float64 matrix, any other a float32 one.
    stream : Stream
        Moves by the size of the Gaussian matrix.
    num_threads : int, optional
        As for `Stream.fill_normal`; LAPACK chooses its own number.

    Returns
    -------
    numpy.ndarray of shape (rows, columns)

    Examples
    --------
    >>> q = haar(3, 2, np.dtype(np.float64), pyinit.Stream(0))
    >>> np.allclose(q.T @ q, np.eye(2))
    True
    """
    shape = (max(rows, columns), min(rows, columns))
    gaussian = stream.normal(shape, np.float64 if dtype == np.float64 else np.float32, num_threads=num_threads)
    q, r = np.linalg.qr(gaussian)
    # LAPACK's signs are arbitrary. With a positive diagonal of R the decomposition is unique, and Q is uniform.
    q *= np.where(np.diagonal(r) < 0, -1, 1).astype(q.dtype)
    return q if rows >= columns else q.T


def orthogonal(gain: float = 1.0, layout: Layout = "out_in") -> Orthogonal:
    """Fill with a random matrix of orthonormal rows or columns, whichever are fewer: lengths and angles are kept.

    The matrix is distributed uniformly (by the Haar measure) over all such matrices. A kernel counts as a matrix: its
    outputs by everything else.

    Parameters
    ----------
    gain : float
        A factor on the matrix.
    layout : {"out_in", "in_out"}
        Where the outputs are: on the first axis, as in PyTorch, or on the last, as in Keras and JAX.

    Returns
    -------
    Orthogonal
        A scheme for arrays of at least 2 dimensions; dtypes of 16 and 8 bits are computed in float32.

    Notes
    -----
    LAPACK computes the decomposition, on one host. Unlike any other scheme's, the last bits may differ between machines
    and between versions of NumPy. A block of a tensor costs as much as the whole.

    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2014, section 3; for the signs Mezzadri, "How to generate random matrices from the classical compact
    groups", 2007, section 5.

    Examples
    --------
    >>> w = orthogonal(gain=2.0)(np.empty((2, 8)), pyinit.Stream(0))
    >>> np.allclose(w @ w.T, 4 * np.eye(2))
    True
    """
    return Orthogonal(gain, layout=layout)


def delta_orthogonal(gain: float = 1.0, layout: Layout = "out_in") -> DeltaOrthogonal:
    """Fill a convolution's kernel with zeros, and its middle with a random orthogonal matrix from inputs to outputs.

    Parameters
    ----------
    gain : float
        A factor on the matrix.
    layout : {"out_in", "in_out"}
        As for `fans`.

    Returns
    -------
    DeltaOrthogonal
        A scheme for arrays of 3, 4 or 5 dimensions with at least as many outputs as inputs. The notes of `orthogonal`
        apply to the matrix.

    Source
    ------
    Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington, "Dynamical Isometry and a Mean Field Theory of CNNs",
    2018, algorithm 2. The middle of an axis of length n is index (n - 1) // 2, as in JAX.

    Examples
    --------
    >>> w = delta_orthogonal()(np.empty((8, 2, 3, 3)), pyinit.Stream(0))
    >>> np.allclose(w[:, :, 1, 1].T @ w[:, :, 1, 1], np.eye(2)), int(np.count_nonzero(w))
    (True, 16)
    """
    return DeltaOrthogonal(gain, layout=layout)
