"""Streams of random words, and the fills that turn them into samples in memory."""

from __future__ import annotations

import hashlib
import operator
import secrets
from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyinit import _core
from pyinit.arrays import view, written
from pyinit.kernels.views import BACKENDS, View

Array = TypeVar("Array")
Shape = SupportsIndex | Sequence[SupportsIndex]

_STATE_KEYS = ("generator", "seed", "id", "position")


class Stream(_core.StreamState):
    """A reproducible sequence of 32-bit random words: the same on every processor and for every number of threads.

    A sample depends on the seed, the generator, the id and the sample's position, and on nothing else.
    Threads may share a stream: each fill claims a range of words of its own before it writes.

    Parameters
    ----------
    seed : int, optional
        In [0, 2**64). Drawn from the operating system where it is None; `Stream.seed` tells it.
    generator : {"philox", "ars5"}
        Philox4x32-10, or ARS4x32-5, which is faster on processors with AES instructions.
    id : int, keyword only
        In [0, 2**64). 0 is the root stream; `child` makes the others.
    position : int, keyword only
        The first word to be used, in [0, 2**66].

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range, or the generator unknown.

    Notes
    -----
    With id 0 the words are those of MKL's VSL_BRNG_PHILOX4X32X10 and VSL_BRNG_ARS5 for the same seed.
    Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).

    Examples
    --------
    >>> stream = pyinit.Stream(seed=42)
    >>> weights = np.empty((3, 4), dtype=np.float32)
    >>> stream.fill_normal(weights, std=0.02) is weights
    True
    >>> stream
    Stream(seed=42, generator='philox', position=12)
    """

    def __init__(
        self,
        seed: SupportsIndex | None = None,
        generator: str = "philox",
        *,
        id: SupportsIndex = 0,
        position: SupportsIndex = 0,
    ) -> None:
        if not isinstance(generator, str):
            raise TypeError(f"generator must be a str; got {type(generator).__name__}")
        if generator not in _core.GENERATORS:
            raise ValueError(f"generator must be one of {', '.join(map(repr, _core.GENERATORS))}; got {generator!r}")
        seed = secrets.randbits(64) if seed is None else _integer("seed", seed, 2**64 - 1)
        super().__init__(generator, seed, _integer("id", id, 2**64 - 1))
        self.position = _integer("position", position, _core.END)

    def skip_ahead(self, n: SupportsIndex) -> Stream:
        """Move `n` words forward, as if they had been used.

        Parameters
        ----------
        n : int
            At least 0; the new position is at most 2**66.

        Returns
        -------
        Stream
            This stream.

        Raises
        ------
        TypeError, ValueError
            If `n` is not an integer, or out of range.

        Examples
        --------
        >>> pyinit.Stream(seed=1).skip_ahead(2**65).position == 2**65
        True
        """
        super().skip_ahead(_integer("n", n, _core.END))
        return self

    def child(self, name: str) -> Stream:
        """A stream of its own for `name`, at position 0.

        It depends on the seed, the generator, this stream's id and the name; not on this stream's position. So a
        parameter's values do not depend on the order in which a model is built.

        Parameters
        ----------
        name : str
            Any text that UTF-8 can encode, "layers.0.weight" say.

        Returns
        -------
        Stream
            Its id is the 8-byte BLAKE2b hash, read as a little-endian number, of this stream's id as 8
            little-endian bytes and the name in UTF-8.

        Raises
        ------
        TypeError
            If `name` is not a str.

        Examples
        --------
        >>> a, b = pyinit.Stream(seed=1), pyinit.Stream(seed=1).skip_ahead(100)
        >>> a.child("fc1.weight") == b.child("fc1.weight")
        True
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a str; got {type(name).__name__}")
        digest = hashlib.blake2b(self.id.to_bytes(8, "little") + name.encode(), digest_size=8).digest()
        child = Stream.__new__(Stream)  # without the checks, which are most of the time that this takes
        _core.StreamState.__init__(child, self.generator, self.seed, int.from_bytes(digest, "little"))
        return child

    def copy(self) -> Stream:
        """A second stream that stands where this one does."""
        return Stream(**self.state)

    @property
    def state(self) -> dict[str, Any]:
        """All that the stream is: generator, seed, id and position, as plain values."""
        return {"generator": self.generator, "seed": self.seed, "id": self.id, "position": self.position}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Stream:
        """The stream that `state` describes.

        Parameters
        ----------
        state : dict
            As `Stream.state` gives it.

        Raises
        ------
        TypeError, ValueError
            If a key is missing or unknown, or a value is not valid.

        Examples
        --------
        >>> stream = pyinit.Stream(seed=7, generator="ars5", position=3)
        >>> pyinit.Stream.from_state(stream.state) == stream
        True
        """
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict; got {type(state).__name__}")
        if sorted(map(str, state)) != sorted(_STATE_KEYS):
            raise ValueError(f"state must have the keys {', '.join(_STATE_KEYS)}; got {', '.join(map(str, state))}")
        return cls(**state)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stream.from_state, (self.state,)

    def __eq__(self, other: object) -> bool:
        return self.state == other.state if isinstance(other, Stream) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a stream moves

    def __repr__(self) -> str:
        child = f", id={self.id:#x}" if self.id else ""
        return f"Stream(seed={self.seed}, generator={self.generator!r}{child}, position={self.position})"

    def _fill(self, backend: str, write: Callable[..., Any], out: Array, *arguments: Any) -> Array:
        # NumPy's arrays the fills look for first: to come here would double what a small one takes.
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}; got {backend!r}")
        there = view(out)
        if isinstance(there, View):
            there.fill(write, self, arguments, backend)
        elif backend == "cupy":
            raise ValueError('backend="cupy" fills arrays on an NVIDIA GPU; got one on the host')
        else:
            write(self, there, *arguments)
        return written(out)

    def fill_normal(
        self,
        out: Array,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        *,
        method: str = "box_muller",
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """Write normally distributed samples into `out`.

        Parameters
        ----------
        out : array, float32, float64, float16 or bfloat16
            Of any shape and strides, writable, no two elements in one place: a NumPy array or memmap, a torch
            tensor, any writable buffer of such a type, or an array on a GPU, which is filled in order with the work
            on its stream: this returns before that is done. A float64 sample takes two words, from the next even
            position; the others take one. The 16-bit samples are the float32 ones, rounded to nearest even. bfloat16
            is that of torch, of ml_dtypes, or `pyinit.arrays.BFLOAT16`.
        mean : float
            Finite, in the dtype of `out` too.
        std : float
            Finite likewise, at least 0.
        method : {"box_muller", "icdf"}
            Box-Muller makes two samples of two words; the inverse of the distribution function, one of one word, and
            never a smaller one of a larger word.
        global_shape : sequence of int, optional
            `out` is a block of a tensor of this shape, which has its dimensions: the element with row-major index g in
            the tensor takes sample g. The stream then stands behind the whole tensor. None: `out` is the whole.
        offset : sequence of int, optional
            Where in the tensor `out` begins. None: at its first element.
        num_threads : int, optional
            At most so many threads. None: as many as the environment variable PYINIT_NUM_THREADS said at import, or
            one for each processor that the process may use, by its affinity mask and its container's quota. The samples
            do not depend on it.
        backend : {"device", "host", "cupy"}
            What makes the samples of an array on a GPU: the GPU itself; the host, which copies them there while it
            makes the next; or, on an NVIDIA GPU, CuPy's own generator, whose samples are others. The first two
            write the same bits.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError
            If `out` is no such array, or a parameter not a number.
        ValueError
            If a parameter is out of range, `out` read-only, overlapping or not inside the tensor, or the stream would
            end. Whatever is raised for the arguments, `out` has not been touched.
        ImportError, RuntimeError, MemoryError
            If the package, the driver or the memory is missing that an array on a GPU needs.
        KeyboardInterrupt
            On Ctrl-C in a long fill: `out` is partly written, and the stream stands behind it.

        Notes
        -----
        Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of
        Mathematical Statistics 29 (1958). A float32 lies within 6.77 std of the mean, a float64 within 9.5; with
        "icdf", within 6.24 and 9.1.

        Examples
        --------
        >>> w = np.zeros(1000, dtype=np.float32)
        >>> pyinit.Stream(seed=0).fill_normal(w, mean=5.0, std=0.1).mean().round(1)
        np.float32(5.0)

        Columns 2 and 3 of a tensor of 3 x 4, filled alone:

        >>> whole = pyinit.Stream(seed=0).normal((3, 4))
        >>> part = np.zeros((3, 2), dtype=np.float32)
        >>> _ = pyinit.Stream(seed=0).fill_normal(part, global_shape=(3, 4), offset=(0, 2))
        >>> bool((part == whole[:, 2:]).all())
        True
        """
        if isinstance(out, np.ndarray) and backend == "device":
            _core.fill_normal(self, out, mean, std, method, global_shape, offset, num_threads)
            return out
        return self._fill(backend, _core.fill_normal, out, mean, std, method, global_shape, offset, num_threads)

    def fill_truncated_normal(
        self,
        out: Array,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        lower: SupportsFloat = -2.0,
        upper: SupportsFloat = 2.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """Write samples of the normal distribution between two bounds into `out`, by its inverse: none is rejected.

        Parameters
        ----------
        out : array, float32, float64, float16 or bfloat16
            As for `fill_normal`.
        mean, std : float
            Of the normal distribution before it is truncated; as for `fill_normal`.
        lower, upper : float
            The bounds, in standard deviations from the mean: samples lie in [mean + lower std, mean + upper std].
            lower < upper; either may be infinite; the one nearer to 0 within 35 of it.
        global_shape, offset, num_threads, backend
            As for `fill_normal`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Notes
        -----
        The quantile of Phi(lower) + u (Phi(upper) - Phi(lower)), for a uniform u. A 16-bit sample is rounded after it
        was bounded.

        Examples
        --------
        >>> w = pyinit.Stream(seed=0).fill_truncated_normal(np.zeros(1000), mean=1.0, lower=0.0, upper=np.inf)
        >>> bool(w.min() >= 1.0)
        True
        """
        if isinstance(out, np.ndarray) and backend == "device":
            _core.fill_truncated_normal(self, out, mean, std, lower, upper, global_shape, offset, num_threads)
            return out
        return self._fill(
            backend, _core.fill_truncated_normal, out, mean, std, lower, upper, global_shape, offset, num_threads
        )

    def fill_uniform(
        self,
        out: Array,
        low: SupportsFloat = 0.0,
        high: SupportsFloat = 1.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """Write uniformly distributed samples of [low, high) into `out`.

        Parameters
        ----------
        out : array, float32, float64, float16 or bfloat16
            As for `fill_normal`. A float32 takes 24 bits of one word, a float64 53 bits of two words, from the
            next even position. The 16-bit samples are the float32 ones, rounded to nearest even, which may be `high`.
        low, high : float
            Finite, in the dtype of `out` too, as is high - low; low <= high. Where they are equal, all is `low`.
        global_shape, offset, num_threads, backend
            As for `fill_normal`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> u = pyinit.Stream(seed=0).fill_uniform(np.zeros(1000), low=-1.0, high=1.0)
        >>> bool((u >= -1.0).all() and (u < 1.0).all())
        True
        """
        if isinstance(out, np.ndarray) and backend == "device":
            _core.fill_uniform(self, out, low, high, global_shape, offset, num_threads)
            return out
        return self._fill(backend, _core.fill_uniform, out, low, high, global_shape, offset, num_threads)

    def fill_bits(
        self,
        out: Array,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """Write the stream's own words into `out`.

        Parameters
        ----------
        out : array, uint32
            As for `fill_normal`.
        global_shape, offset, num_threads, backend
            As for `fill_normal`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> [hex(w) for w in pyinit.Stream(seed=0).fill_bits(np.zeros(4, dtype=np.uint32))]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
        """
        if isinstance(out, np.ndarray) and backend == "device":
            _core.fill_bits(self, out, global_shape, offset, num_threads)
            return out
        return self._fill(backend, _core.fill_bits, out, global_shape, offset, num_threads)

    def normal(
        self,
        shape: Shape,
        dtype: DTypeLike = np.float32,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        *,
        method: str = "box_muller",
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array of normally distributed samples: `fill_normal` into an empty array.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : float32, float64, float16 or bfloat16
        mean, std, method, global_shape, offset, num_threads
            As for `fill_normal`.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> pyinit.Stream(seed=0).normal((2, 3)).shape
        (2, 3)
        """
        out = np.empty(shape, dtype)
        _core.fill_normal(self, out, mean, std, method, global_shape, offset, num_threads, fresh=True)
        return out

    def truncated_normal(
        self,
        shape: Shape,
        dtype: DTypeLike = np.float32,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        lower: SupportsFloat = -2.0,
        upper: SupportsFloat = 2.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array of truncated normal samples: `fill_truncated_normal` into an empty array.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : float32, float64, float16 or bfloat16
        mean, std, lower, upper, global_shape, offset, num_threads
            As for `fill_truncated_normal`.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> bool(abs(pyinit.Stream(seed=0).truncated_normal(1000, lower=-1.5, upper=1.5)).max() <= 1.5)
        True
        """
        out = np.empty(shape, dtype)
        _core.fill_truncated_normal(self, out, mean, std, lower, upper, global_shape, offset, num_threads, fresh=True)
        return out

    def uniform(
        self,
        shape: Shape,
        dtype: DTypeLike = np.float32,
        low: SupportsFloat = 0.0,
        high: SupportsFloat = 1.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array of uniformly distributed samples: `fill_uniform` into an empty array.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : float32, float64, float16 or bfloat16
        low, high, global_shape, offset, num_threads
            As for `fill_uniform`.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> pyinit.Stream(seed=0).uniform(5, dtype=np.float64).dtype
        dtype('float64')
        """
        out = np.empty(shape, dtype)
        _core.fill_uniform(self, out, low, high, global_shape, offset, num_threads, fresh=True)
        return out

    def bits(
        self,
        shape: Shape,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[np.uint32]:
        """A new array of the stream's own words: `fill_bits` into an empty array.

        Parameters
        ----------
        shape : int or sequence of int
        global_shape, offset, num_threads
            As for `fill_normal`.

        Returns
        -------
        numpy.ndarray
            uint32.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt
            As for `fill_normal`.

        Examples
        --------
        >>> pyinit.Stream(seed=0, generator="ars5").bits(3).dtype
        dtype('uint32')
        """
        out = np.empty(shape, np.uint32)
        _core.fill_bits(self, out, global_shape, offset, num_threads, fresh=True)
        return out


def integer(name: str, value: Any) -> int:
    """`value` as an int, or a TypeError that names it."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {type(value).__name__}") from None


def _integer(name: str, value: Any, largest: int) -> int:
    number = integer(name, value)
    if not 0 <= number <= largest:
        above = "2**66]" if largest == _core.END else "2**64)"
        got = number if number.bit_length() < 100 else f"a number of {number.bit_length()} bits"
        raise ValueError(f"{name} must be in [0, {above}; got {got}")
    return number
