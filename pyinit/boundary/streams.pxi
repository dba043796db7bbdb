# A stream's state, and the claim of words.

@cython.auto_pickle(False)
cdef class StreamState:
    """A stream's generator, seed, id and position; a fill claims its range of words here before it writes.

    Parameters
    ----------
    generator : str
        A key of `GENERATORS`.
    seed, id : int
        In [0, 2^64).
    """

    def __init__(self, generator, uint64_t seed, uint64_t id):
        pyi_stream_new(&self.stream, GENERATORS[generator], seed, id)

    @property
    def generator(self):
        """The generator's name, a key of `GENERATORS`."""
        return pyi_generators[<int>self.stream.generator].name.decode()

    @property
    def seed(self):
        """The seed, in [0, 2^64)."""
        return self.stream.seed

    @property
    def id(self):
        """Distinguishes the streams of one seed: 0 for the root, a hash for a child."""
        return self.stream.id

    @property
    def position(self):
        """The next word to use, in [0, 2^66]. It can be set."""
        cdef pyi_stream s
        with cython.critical_section(self):
            s = self.stream
        return END if s.end else 4 * <object>s.block + s.word

    @position.setter
    def position(self, position):
        cdef pyi_stream s
        pyi_stream_new(&s, self.stream.generator, self.stream.seed, self.stream.id)
        try:
            position = index(position)
        except TypeError:
            raise TypeError(f"position must be an integer; got {type(position).__name__}") from None
        if not skip(&s, position):
            raise ValueError(f"position must be in [0, 2**66]; got {text_of(position)}")
        with cython.critical_section(self):  # the other fields never change, so threads read them without it
            self.stream.block, self.stream.word, self.stream.end = s.block, s.word, s.end

    def skip_ahead(self, words):
        """Move forward by `words` words."""
        cdef bint done
        with cython.critical_section(self):
            done = skip(&self.stream, words)
        if not done:
            raise ValueError(f"position must stay in [0, 2**66]; got a move of {words} words from {self.position}")

    def copy(self, kind=StreamState):
        """A second state at the same position; `kind` is a subclass that adds only methods."""
        cdef StreamState second = new_of(kind)
        with cython.critical_section(self):
            second.stream = self.stream
        return second

    def derived(self, kind, name, bytes person=b""):
        """A state at position 0 whose id is hashed from this one's and a name.

        `person`, BLAKE2b's personalisation, keeps pyinit's own names apart from the user's: it is empty for a child.
        """
        cdef StreamState other = new_of(kind)
        pyi_stream_new(
            &other.stream, self.stream.generator, self.stream.seed, child_id(self.stream.id, name, person))
        return other

    def claim(self, Distribution distribution not None, int dtype, count):
        """Move past the words of `count` samples; return a new state at their first word."""
        cdef StreamState begin = StreamState.__new__(StreamState)
        cdef uint64_t n = count
        self.take(&begin.stream, distribution, <pyi_dtype>dtype, n)
        return begin

    cdef int take(self, pyi_stream *claimed, Distribution distribution, pyi_dtype dtype, uint64_t count) except -1:
        cdef pyi_status status
        with cython.critical_section(self):
            status = pyi_claim(&self.stream, claimed, distribution.c.sampler, dtype, count)
        if status != PYI_OK:
            raise ValueError(f"{count} samples would end beyond position 2**66; the stream is at {self.position}")
        return 0

    def write(
            self, out, Distribution distribution not None, global_shape=None, offset=None, num_threads=None,
            backend="device"):
        """Claim the words for `out`, write its samples and return it.

        Other arrays than NumPy's, and other backends, go to the subclass's `write_elsewhere`, with the other arguments
        as plain values.
        """
        if not isinstance(out, cnp.ndarray) or backend != "device":
            num_threads = thread_count(num_threads) or None
            global_shape, offset = window_tuples(global_shape, offset)
            return self.write_elsewhere(out, distribution, global_shape, offset, num_threads, backend)
        write_array(self, <cnp.ndarray>out, distribution, global_shape, offset, num_threads)
        return out

    def write_new(
            self, shape, dtype, Distribution distribution not None, global_shape=None, offset=None, num_threads=None):
        """Write samples into a new NumPy array, of a dtype that `dtype_of` takes."""
        kind = dtype_of(dtype)
        if kind.subdtype is not None:
            raise TypeError(f"dtype must be a scalar dtype; got a subarray dtype, {text_of(dtype)}")
        cdef cnp.ndarray out = numpy.empty(shape, kind)
        write_array(self, out, distribution, global_shape, offset, num_threads)
        return out


cdef StreamState new_of(kind):
    """A new state of a class; the class may have a metaclass."""
    if not isinstance(kind, type):
        raise TypeError(f"kind must be a class; got {type(kind).__name__}")
    return (<type>kind).__new__(kind)


cdef uint64_t child_id(uint64_t parent, name, bytes person) except? 0:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str; got {type(name).__name__}")
    cdef Py_ssize_t length
    cdef const char *text = PyUnicode_AsUTF8AndSize(name, &length)
    cdef char[16] padded
    if not person:
        return pyi_child_id(parent, text, length, NULL)
    memset(padded, 0, 16)
    memcpy(padded, <const char *>person, min(len(person), 16))
    return pyi_child_id(parent, text, length, padded)


cdef bint skip(pyi_stream *s, words) except -1:
    """Move by `words` words; do not move and return False if that would leave [0, 2^66]."""
    if not 0 <= words <= END:
        return False
    if words == END:  # one block less and four words more, which fits the C function's integers
        return pyi_skip_ahead(s, END // 4 - 1, 4) == PYI_OK
    return pyi_skip_ahead(s, words // 4, words % 4) == PYI_OK
