"""Streams of random words: generator, seed, id and position. The fills are in fills.py."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable
from typing import Any, SupportsIndex

from pyinit import _core
from pyinit.fills import Fills

_STATE_KEYS = ("generator", "seed", "id", "position")


class Stream(Fills):
    """A reproducible sequence of 32-bit random words: the same on every processor and for every number of threads.

    A sample depends on the seed, the generator, the id and the sample's position, and on nothing else. No two fills
    share a word. Threads may share a stream: each fill claims a range of words of its own before it writes.

    Parameters
    ----------
    seed : int, optional
        In [0, 2**64). None: the operating system picks one; `Stream.seed` holds it.
    generator : {"philox", "ars5", "ars7"}
        Philox4x32-10, the default, or ARS4x32, which is faster on processors with AES instructions. "ars5" has five
        rounds, the fewest that pass all of its authors' tests, so it has no safety margin; "ars7" has seven, as they
        recommend.
    id : int, keyword only
        In [0, 2**64). 0 is the root stream; `child` makes the others.
    position : int, keyword only
        The first word to use, in [0, 2**66].

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range, or the generator is unknown.

    Notes
    -----
    With id 0 the words of "philox" and "ars5" are those of MKL's VSL_BRNG_PHILOX4X32X10 and VSL_BRNG_ARS5 for the same
    seed.
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
        """Move `n` words forward, in constant time; `n` is at least 0, and the new position at most 2**66.

        Returns
        -------
        Stream
            This stream.

        Examples
        --------
        >>> pyinit.Stream(seed=1).skip_ahead(2**65).position == 2**65
        True
        """
        super().skip_ahead(_integer("n", n, _core.END))
        return self

    def child(self, name: str) -> Stream:
        """A separate stream for `name`, at position 0.

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

        Examples
        --------
        >>> a, b = pyinit.Stream(seed=1), pyinit.Stream(seed=1).skip_ahead(100)
        >>> a.child("fc1.weight") == b.child("fc1.weight")
        True
        """
        return self.derived(Stream, name)

    def copy(self) -> Stream:  # type: ignore[override]
        """A second stream at the same position."""
        return super().copy(Stream)

    @property
    def state(self) -> dict[str, Any]:
        """The whole state as a dict of plain values: generator, seed, id and position."""
        return {"generator": self.generator, "seed": self.seed, "id": self.id, "position": self.position}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Stream:
        """Make a stream from a dict that `Stream.state` gave.

        Examples
        --------
        >>> stream = pyinit.Stream(seed=7, generator="ars5", position=3)
        >>> pyinit.Stream.from_state(stream.state) == stream
        True
        """
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict; got {type(state).__name__}")
        if set(state) != set(_STATE_KEYS):
            raise ValueError(f"state must have the keys {', '.join(_STATE_KEYS)}; got {listed(state)}")
        return cls(**{**state, "seed": integer("seed", state["seed"])})  # None would pick a new seed

    def __reduce__(self) -> tuple[Any, ...]:
        return Stream.from_state, (self.state,)

    def __eq__(self, other: object) -> bool:
        return self.state == other.state if isinstance(other, Stream) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a stream is mutable

    def __repr__(self) -> str:
        child = f", id={self.id:#x}" if self.id else ""
        return f"Stream(seed={self.seed}, generator={self.generator!r}{child}, position={self.position})"


def listed(keys: Iterable[Any]) -> str:
    """Keys for a message, whatever their types."""
    return ", ".join(key if isinstance(key, str) else _core.text_of(key) for key in keys)


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
        raise ValueError(f"{name} must be in [0, {above}; got {_core.text_of(number)}")
    return number
