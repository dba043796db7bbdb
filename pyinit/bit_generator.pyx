# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
# cython: subinterpreters_compatible=no
"""Streams as bit generators of NumPy's, so that each of its distributions can be drawn from a stream."""

from threading import RLock

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport BitGenerator as NumPyBitGenerator

from pyinit._core cimport StreamState, pyi_options, pyi_stream, fill_bits_u32, skip_ahead, stream_new

from pyinit._core import END, GENERATORS
from pyinit.child_streams import ChildStreams
from pyinit.streams import Stream, integer, listed

# NumPy's object is the head of ours. Cython itself would only warn of a longer one, and then overwrite its end.
if NumPyBitGenerator.__basicsize__ != sizeof(NumPyBitGenerator):
    raise ImportError(
        f"pyinit.BitGenerator was built for another layout of numpy.random.BitGenerator than that of NumPy "
        f"{np.__version__}: build pyinit again, with the NumPy that it is to run with"
    )

# Words that are taken from the core at a time; half and twice as many are as fast. A power of two, so that buffers
# that begin at its multiples end where the stream does.
cdef enum:
    BUFFER = 1024

cdef struct Words:
    pyi_stream stream  # stands behind the buffer
    uint32_t next      # index of the next word to be used; BUFFER if there is none
    uint32_t buffer[BUFFER]


cdef void refill(Words *words) noexcept nogil:
    cdef pyi_stream *s = &words.stream
    cdef pyi_options options
    options.threads = 1
    options.interrupted = NULL
    options.arg = NULL
    if s.end:  # A draw cannot fail: as any counter, this one begins again.
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
    """The stream that so many jumps lead to, at position 0."""
    return origin.derived(Stream, str(jumps), b"pyinit jump") if jumps else origin


class Unready:
    """The lock of a bit generator whose `__init__` has not been called: it cannot be held."""

    def __enter__(self):
        raise TypeError("a subclass of pyinit.BitGenerator must call its __init__")

    def __exit__(self, *error):
        pass

    acquire = release = __enter__


cdef class BitGenerator(NumPyBitGenerator):
    # The head of the docstring is what `inspect.signature` reads.
    """BitGenerator(stream=None)
--

    A stream as a bit generator of NumPy's: ``np.random.Generator(pyinit.BitGenerator(stream))``.

    `default_rng` makes the Generator in one call. It copies the stream, and goes on from where that stands; the stream
    itself does not move. So the stream's own later fills would use the same words. If the stream has other work, give
    the generator a child: `stream.child("numpy")`.

    NumPy makes its normal samples by another method: `Generator.standard_normal` gives other numbers than
    `Stream.normal`, and takes several times as long. Use the stream for those, and NumPy for what a stream lacks.

    Parameters
    ----------
    stream : Stream or int, optional
        An integer in [0, 2**64) stands for `Stream(seed)`, None for a seed drawn from the operating system. What
        `BitGenerator.seed_seq.spawn` gives is taken too.

    Raises
    ------
    TypeError
        If `stream` is none of these.
    ValueError
        If the seed is out of range.

    Notes
    -----
    A draw of 32 bits is the next word. One of 64 bits is two words, the low one first, from the next even position;
    a double is its 53 leading bits. So `Generator.random` gives what `Stream.uniform` gives, float32 and float64.

    A draw cannot fail. Behind the last word, at position 2**66, the stream begins again at 0.

    Generators may share it between threads: they hold `lock` while they draw, as do `stream`, `state` and `advance`.

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
    cdef object origin  # the id that it was jumped from,
    cdef object jumps  # and how often, modulo 2^64

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
        self.lock = RLock()  # Before NumPy 2.3 it is a Lock, for which who holds it would wait for ever.
        self.seat(stream)
        self.origin, self.jumps = stream.id, 0
        self._bitgen.state = &self.words
        self._bitgen.next_uint64 = next_uint64
        self._bitgen.next_uint32 = next_uint32
        self._bitgen.next_double = next_double
        self._bitgen.next_raw = next_uint64

    cdef int seat(self, StreamState stream) except -1:
        """Make the word at which `stream` stands the next to be used."""
        cdef Words *words = &self.words
        cdef pyi_stream *s = &stream.stream  # read here: of a subclass the properties may say anything
        cdef uint64_t block = 0 if s.end else s.block
        cdef uint32_t word = 0 if s.end else s.word
        stream_new(&words.stream, s.generator, s.seed, s.id)
        skip_ahead(&words.stream, block - block % (BUFFER // 4), 0)
        refill(words)
        words.next = 4 * (block % (BUFFER // 4)) + word
        return 0

    @property
    def stream(self):
        """A new Stream that stands at the next word to be used."""
        cdef pyi_stream *s = &self.words.stream
        with self.lock:
            position = (4 * <object>s.block - BUFFER + self.words.next) % END
            generator = next(name for name, number in GENERATORS.items() if number == s.generator)
            return Stream(s.seed, generator, id=s.id, position=position)

    @property
    def state(self):
        """All that it is, as a dict of plain values: its class, the stream's state, the number of children spawned.

        It can be set. TypeError or ValueError if what is set is not such a dict; it then stays as it was.
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
        """Move as if `delta` numbers of 64 bits had been drawn, by `random_raw` say: by 2 * delta words.

        From an odd position it moves to the next even one first, as such a draw does, and so does `advance(0)`.

        Parameters
        ----------
        delta : int
            Any size; negative moves back. Counted modulo 2**65, for the 2**66 words of a stream are a ring here.

        Returns
        -------
        BitGenerator
            This one.

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
        """A new bit generator far from this one: on another stream, whose id is hashed from this one's and `jumps`.

        Jumps add up: ``b.jumped(2)`` is ``b.jumped().jumped()``, and ``b.jumped(1).jumped(-1)`` is on the stream of
        `b`. Two different numbers of jumps lead to one stream as improbably as two names to one child.

        Parameters
        ----------
        jumps : int
            Any size; counted modulo 2**64.

        Returns
        -------
        BitGenerator
            At the position of this one; none of its children spawned.

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
        """New bit generators of the stream's children, others at each call, each at position 0.

        Parameters
        ----------
        n_children : int
            At least 0.

        Returns
        -------
        list of BitGenerator
            Their ids are hashed from this one's and from how many were spawned before.

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
        What `BitGenerator` takes. The Generator reads on, in a copy, from where the stream stands. Give it a child of
        its own where the stream is used for anything else.

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
