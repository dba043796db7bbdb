"""The children of a stream as a NumPy seed sequence: NumPy's bit generators spawn others through one."""

from threading import Lock
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence
from numpy.typing import DTypeLike, NDArray

from pyinit._core import text_of
from pyinit.streams import Stream, integer


class ChildStreams(ISpawnableSeedSequence):
    """The children of a stream, counted: the seed sequence of a `pyinit.BitGenerator`.

    Parameters
    ----------
    stream : Stream
        Its position does not matter.
    n_children_spawned : int
        The number of children so far, at least 0.

    Raises
    ------
    TypeError, ValueError
        If `stream` is not a Stream, or `n_children_spawned` is not an integer, or negative.

    Examples
    --------
    >>> children = pyinit.BitGenerator(42).seed_seq
    >>> children.spawn(2)[1].stream == pyinit.BitGenerator(42).spawn(2)[1].stream
    True
    >>> children.n_children_spawned
    2
    """

    def __init__(self, stream: Stream, n_children_spawned: Any = 0) -> None:
        if not isinstance(stream, Stream):
            raise TypeError(f"stream must be a pyinit.Stream; got {type(stream).__name__}")
        self.stream = Stream(stream.seed, stream.generator, id=stream.id)
        self.n_children_spawned = _count("n_children_spawned", n_children_spawned)
        self._lock = Lock()  # two threads that spawn must not get the same children

    @property
    def state(self) -> dict[str, Any]:
        """The whole state: generator, seed and id of the stream, and the number of children spawned."""
        state = {k: v for k, v in self.stream.state.items() if k != "position"}
        return {**state, "n_children_spawned": self.n_children_spawned}

    def spawn(self, n_children: Any) -> list["ChildStreams"]:
        """The next `n_children` children. Their ids are hashed, as in `Stream.child`, but no name gives the same ids.

        Parameters
        ----------
        n_children : int
            At least 0.

        Returns
        -------
        list of ChildStreams
            Pass each to `pyinit.BitGenerator`.

        Raises
        ------
        TypeError, ValueError
            If `n_children` is not an integer, or negative.

        Examples
        --------
        >>> children = pyinit.BitGenerator(42).seed_seq.spawn(1)
        >>> [np.random.Generator(pyinit.BitGenerator(child)) for child in children]
        [Generator(BitGenerator) at 0x...]
        """
        n = _count("n_children", n_children)
        with self._lock:
            first = self.n_children_spawned
            self.n_children_spawned += n
        return [ChildStreams(self.stream.derived(Stream, str(first + i), b"pyinit spawn")) for i in range(n)]

    def generate_state(self, n_words: Any, dtype: DTypeLike = np.uint32) -> NDArray[Any]:
        """Words that seed another kind of bit generator, from a separate stream.

        Parameters
        ----------
        n_words : int
            At least 0.
        dtype : uint32 or uint64
            A uint64 is two words, the low one first.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        TypeError, ValueError
            If `n_words` is not an integer, or negative, or `dtype` is neither of the two.

        Examples
        --------
        >>> rng = np.random.Generator(np.random.PCG64(pyinit.BitGenerator(42).seed_seq))
        """
        n, dtype = _count("n_words", n_words), np.dtype(dtype)
        if dtype not in (np.uint32, np.uint64):
            raise ValueError(f"dtype must be uint32 or uint64; got {dtype}")
        words = self.stream.derived(Stream, "", b"pyinit state").bits(n * dtype.itemsize // 4)
        # Little-endian on every machine.
        return words.astype("<u4").view(dtype.newbyteorder("<")).astype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChildStreams, (self.stream, self.n_children_spawned)

    def __repr__(self) -> str:
        return f"ChildStreams({self.stream!r}, n_children_spawned={self.n_children_spawned})"


def _count(name: str, value: Any) -> int:
    number = integer(name, value)
    if number < 0:
        raise ValueError(f"{name} must be non-negative; got {text_of(number)}")
    return number
