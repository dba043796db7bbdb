# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
# cython: subinterpreters_compatible=no
"""Streams as NumPy bit generators: every distribution of NumPy can be drawn from a stream."""

from threading import RLock

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport BitGenerator as NumPyBitGenerator

from pyinit._core cimport StreamState, pyi_options, pyi_stream, fill_bits_u32, skip_ahead, stream_new

from pyinit._core import END, GENERATORS
from pyinit.child_streams import ChildStreams
from pyinit.streams import Stream, integer, listed

# Our object begins with NumPy's. If NumPy's has grown, Cython only warns, and then overwrites its end.
if NumPyBitGenerator.__basicsize__ != sizeof(NumPyBitGenerator):
    raise ImportError(
        f"pyinit.BitGenerator was built for another layout of numpy.random.BitGenerator than NumPy "
        f"{np.__version__} has: build pyinit again, with the NumPy that you run it with"
    )

# Words taken from the core at a time; half or twice this is as fast. It is a power of two, so buffers that begin at
# its multiples end exactly at the stream's end.
cdef enum:
    BUFFER = 1024

cdef struct Words:
    pyi_stream stream  # its position is after the buffer
    uint32_t next      # index of the next word to use; BUFFER if none is left
    uint32_t buffer[BUFFER]


cdef void refill(Words *words) noexcept nogil:
    cdef pyi_stream *s = &words.stream
    cdef pyi_options options
    options.threads = 1
    options.interrupted = NULL
    options.arg = NULL
    if s.end:  # A draw cannot fail, so the counter wraps around.
        stream_new(s, s.generator, s.seed, s.id)
    fill_bits_u32(s, words.buffer, BUFFER, &options)
    words.next = 0


cdef uint32_t next_uint32(void *state) noexcept nogil:
    cdef Words *words = <Words *>state
    if words.next == BUFFER:
        refill(words)
    words.next += 1
    return words.buffer[words.next - 1]


cdef uint64_t next_uint64(void *state) noexcept nogil:
    cdef Words *words = <Words *>state
    words.next += words.next & 1
    if words.next == BUFFER:
        refill(words)
    words.next += 2
    return words.buffer[words.next - 2] | <uint64_t>words.buffer[words.next - 1] << 32


cdef double next_double(void *state) noexcept nogil:
    return (next_uint64(state) >> 11) * (1.0 / 9007199254740992.0)  # 2^-53


def jumped_stream(origin, jumps):
    """The stream after `jumps` jumps, at position 0."""
    return origin.derived(Stream, str(jumps), b"pyinit jump") if jumps else origin


class Unready:
    """The lock of a bit generator whose `__init__` has not been called: acquiring it raises."""

    def __enter__(self):
        raise TypeError("a subclass of pyinit.BitGenerator must call its __init__")

    def __exit__(self, *error):
        pass

    acquire = release = __enter__


cdef class BitGenerator(NumPyBitGenerator):
    # `inspect.signature` reads the docstring's first two lines.
    """BitGenerator(stream=None)
--

    A stream as a NumPy bit generator: ``np.random.Generator(pyinit.BitGenerator(stream))``.

    `default_rng` makes the Generator in one call. It draws from a copy of the stream, from the stream's position on;
    the stream itself does not move, so its own later fills would use the same words. If the stream has other uses,
    give the generator a child: `stream.child("numpy")`.

    NumPy computes normal samples by another method: `Generator.standard_normal` gives other numbers than
    `Stream.normal`, and takes several times as long. Use the stream for these, and NumPy for what a stream lacks.

    Parameters
    ----------
    stream : Stream or int, optional
        An integer in [0, 2**64) means `Stream(seed)`; None, a seed from the operating system. The children that
        `BitGenerator.seed_seq.spawn` returns are accepted too.

    Raises
    ------
    TypeError
        If `stream` is none of these.
    ValueError
        If the seed is out of range.

    Notes
    -----
    A 32-bit draw is the next word. A 64-bit draw is two words, the low one first, from the next even position; a
    double is its 53 leading bits. So `Generator.random` gives what `Stream.uniform` gives, float32 and float64.

    A draw cannot fail: after the last word, at position 2**66, the stream begins again at 0.

    Threads may share a bit generator: Generators hold `lock` while they draw, as do `stream`, `state` and `advance`.

    Examples
    --------
    >>> stream = pyinit.Stream(seed=42)
    >>> rng = np.random.Generator(pyinit.BitGenerator(stream.child("numpy")))
    >>> bool((rng.gamma(2.0, size=5) > 0).all())
    True
    >>> rng = np.random.Generator(pyinit.BitGenerator(stream))
    >>> bool((rng.random(5) == stream.uniform(5, dtype=np.float64)).all())
    True
    """

    cdef Words words
    cdef object origin  # the id before all jumps
    cdef object jumps  # the number of jumps, modulo 2^64

    def __cinit__(self, *arguments, **keywords):
        self.lock = Unready()

    def __init__(self, stream=None):
        if isinstance(stream, ChildStreams):
            children, stream = stream, stream.stream
        else:
            if not isinstance(stream, Stream):
                if stream is not None and not hasattr(stream, "__index__"):
                    raise TypeError(f"stream must be a pyinit.Stream, an int or None; got {type(stream).__name__}")
                stream = Stream(stream)
            children = ChildStreams(stream)
        NumPyBitGenerator.__init__(self, children)
        self.lock = RLock()  # NumPy < 2.3 uses a non-reentrant lock, which would deadlock.
        self.seat(stream)
        self.origin, self.jumps = stream.id, 0
        self._bitgen.state = &self.words
        self._bitgen.next_uint64 = next_uint64
        self._bitgen.next_uint32 = next_uint32
        self._bitgen.next_double = next_double
        self._bitgen.next_raw = next_uint64

    cdef int seat(self, StreamState stream) except -1:
        """Make the word at the position of `stream` the next to use."""
        cdef Words *words = &self.words
        cdef pyi_stream *s = &stream.stream  # the C field: a subclass may override the properties
        cdef uint64_t block = 0 if s.end else s.block
        cdef uint32_t word = 0 if s.end else s.word
        stream_new(&words.stream, s.generator, s.seed, s.id)
        skip_ahead(&words.stream, block - block % (BUFFER // 4), 0)
        refill(words)
        words.next = 4 * (block % (BUFFER // 4)) + word
        return 0

    @property
    def stream(self):
        """A new Stream at the next word to use."""
        cdef pyi_stream *s = &self.words.stream
        with self.lock:
            position = (4 * <object>s.block - BUFFER + self.words.next) % END
            generator = next(name for name, number in GENERATORS.items() if number == s.generator)
            return Stream(s.seed, generator, id=s.id, position=position)

    @property
    def state(self):
        """The whole state, a dict of plain values: class, state of the stream, children spawned, jumps.

        It can be set. Anything but such a dict raises TypeError or ValueError and changes nothing.
        """
        with self.lock:
            return {
                "bit_generator": type(self).__name__,
                "state": self.stream.state,
                "n_children_spawned": self._seed_seq.n_children_spawned,
                "origin": self.origin,
                "jumps": self.jumps,
            }

    @state.setter
    def state(self, state):
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict; got {type(state).__name__}")
        if state.get("bit_generator") != type(self).__name__:
            raise ValueError(f"state must be of a {type(self).__name__}; got {state.get('bit_generator')!r}")
        keys = ("bit_generator", "state", "n_children_spawned", "origin", "jumps")
        if set(state) != set(keys):
            raise ValueError(f"state must have the keys {', '.join(keys)}; got {listed(state)}")
        stream = Stream.from_state(state["state"])
        children = ChildStreams(stream, state["n_children_spawned"])
        origin = Stream(stream.seed, stream.generator, id=state["origin"])
        jumps = integer("jumps", state["jumps"]) % 2**64
        if jumped_stream(origin, jumps).id != stream.id:
            raise ValueError(f"state must be of {jumps} jumps from id {origin.id:#x}; got id {stream.id:#x}")
        with self.lock:
            self.seat(stream)
            self._seed_seq = children
            self.origin, self.jumps = origin.id, jumps

    def advance(self, delta):
        """Move as if `delta` 64-bit numbers had been drawn, by `random_raw` for instance: by 2 * delta words.

        From an odd position it first moves to the next even one, as a 64-bit draw does; `advance(0)` does so too.

        Parameters
        ----------
        delta : int
            Any size; a negative one moves back. Taken modulo 2**65, because the stream's 2**66 words wrap around.

        Returns
        -------
        BitGenerator
            This bit generator.

        Raises
        ------
        TypeError
            If `delta` is not an integer.

        Examples
        --------
        >>> a, b = pyinit.BitGenerator(1), pyinit.BitGenerator(1)
        >>> _ = a.random_raw(10)
        >>> a.random_raw() == b.advance(10).random_raw()
        True
        """
        delta = integer("delta", delta)
        with self.lock:
            stream = self.stream
            stream.position = (stream.position + stream.position % 2 + 2 * delta) % END
            self.seat(stream)
        return self

    def jumped(self, jumps=1):
        """A new bit generator on another stream, whose id is hashed from this one's and `jumps`.

        Jumps add up: ``b.jumped(2)`` is ``b.jumped().jumped()``, and ``b.jumped(1).jumped(-1)`` is on the stream of
        `b`. Two numbers of jumps give the same stream only as improbably as two names give the same child.

        Parameters
        ----------
        jumps : int
            Any size; taken modulo 2**64.

        Returns
        -------
        BitGenerator
            At this one's position, with no children spawned.

        Raises
        ------
        TypeError
            If `jumps` is not an integer.

        Examples
        --------
        >>> b = pyinit.BitGenerator(42)
        >>> b.jumped(2).stream == b.jumped().jumped().stream
        True
        """
        jumps = integer("jumps", jumps)
        with self.lock:
            stream = self.stream
            jumps = (self.jumps + jumps) % 2**64
            found = jumped_stream(Stream(stream.seed, stream.generator, id=self.origin), jumps)
            found.position = stream.position
            made = type(self)(found)
            (<BitGenerator?>made).origin, (<BitGenerator?>made).jumps = self.origin, jumps
        return made

    def spawn(self, n_children):
        """New bit generators on children of the stream, others at each call, each at position 0.

        Parameters
        ----------
        n_children : int
            At least 0.

        Returns
        -------
        list of BitGenerator
            Their ids are hashed from this one's and the number spawned before.

        Raises
        ------
        TypeError, ValueError
            If `n_children` is not an integer, or negative.

        Examples
        --------
        >>> a, b = np.random.Generator(pyinit.BitGenerator(42)).spawn(2)
        >>> a.bit_generator.stream == b.bit_generator.stream
        False
        """
        with self.lock:
            return [type(self)(child) for child in self._seed_seq.spawn(n_children)]

    def __reduce__(self):
        with self.lock:
            return type(self), (self.stream,), self.state

    def __repr__(self):
        return f"{type(self).__name__}({self.stream!r})"


def default_rng(stream=None):
    """A NumPy Generator that draws from a stream: ``np.random.Generator(pyinit.BitGenerator(stream))``.

    Parameters
    ----------
    stream : Stream or int, optional
        What `BitGenerator` takes. The Generator draws from a copy, from the stream's position on. Give it a child if
        the stream has other uses.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    TypeError, ValueError
        As `BitGenerator` does.

    Examples
    --------
    >>> rng = pyinit.default_rng(pyinit.Stream(seed=42).child("data order"))
    >>> sorted(rng.permutation(5).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.random.Generator(BitGenerator(stream))
