# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The boundary to the C core: check, release the GIL, call C. No arithmetic."""

import os
from operator import index
from threading import get_ident, main_thread

cimport cython
cimport numpy as cnp
from libc.float cimport DBL_MAX, FLT_MAX

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept

cdef extern from "core.h" nogil:
    pyi_status pyi_isa_init()

# Up to here a fill keeps the GIL: giving it up and getting it back costs more than the fill.
cdef enum:
    GIL_COUNT = 4096

GENERATORS = {"philox": PYI_PHILOX4X32_10, "ars5": PYI_ARS4X32_5}
END = 1 << 66  # no stream has a word at or beyond this position


def isa_available():
    """Names of the tiers that this machine can run, best first."""
    cdef const char *const *names = pyi_isa_available()
    found = []
    while names[len(found)] != NULL:
        found.append(names[len(found)].decode())
    return tuple(found)


def isa_active():
    """The name of the tier in use."""
    return pyi_isa_active().decode()


def isa_select(name):
    """Make `name` the tier in use, for the whole process."""
    if pyi_isa_select(name.encode()) != PYI_OK:
        raise ValueError(f"instruction set {name!r} is not available; available here: {', '.join(isa_available())}")


if pyi_isa_init() != PYI_OK:
    raise ValueError(
        f"PYINIT_ISA={os.environ.get('PYINIT_ISA')!r} is not available; "
        f"available here: {', '.join(isa_available())}"
    )


@cython.auto_pickle(False)
cdef class StreamState:
    """Where a stream stands; a fill claims its range of words here before it writes.

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
        return "philox" if self.stream.generator == PYI_PHILOX4X32_10 else "ars5"

    @property
    def seed(self):
        """The seed, in [0, 2^64)."""
        return self.stream.seed

    @property
    def id(self):
        """What tells the streams of one seed apart: 0 for the root, a hash for a child."""
        return self.stream.id

    @property
    def position(self):
        """The next word to be used, in [0, 2^66]. It can be set."""
        cdef pyi_stream s
        with cython.critical_section(self):
            s = self.stream
        return END if s.end else 4 * <object>s.block + s.word

    @position.setter
    def position(self, position):
        cdef pyi_stream s
        pyi_stream_new(&s, self.stream.generator, self.stream.seed, self.stream.id)
        if not skip(&s, index(position)):
            raise ValueError(f"position must be in [0, 2**66]; got {position}")
        with cython.critical_section(self):
            self.stream = s

    def skip_ahead(self, words):
        """Move forward by `words` words."""
        cdef bint done
        with cython.critical_section(self):
            done = skip(&self.stream, words)
        if not done:
            raise ValueError(f"position must stay in [0, 2**66]; got a move of {words} words from {self.position}")


cdef bint skip(pyi_stream *s, words) except -1:
    """Move by `words` words; False, and no move, where that would lead out of [0, 2^66]."""
    if not 0 <= words <= END:
        return False
    if words == END:  # one block less and four words more, which fits the C function's integers
        return pyi_skip_ahead(s, END // 4 - 1, 4) == PYI_OK
    return pyi_skip_ahead(s, words // 4, words % 4) == PYI_OK


cdef int interrupted(void *arg) noexcept with gil:
    # The exception of a signal handler, KeyboardInterrupt mostly, stays set until `run` lets it through.
    return PyErr_CheckSignals() != 0


cdef int raise_pending() except -1:
    return -1


cdef double real(str name, value) except? -1.0:
    try:
        return value
    except TypeError:
        raise TypeError(f"{name} must be a real number; got {type(value).__name__}") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite; got an integer beyond all doubles") from None


cdef int thread_count(num_threads) except -1:
    if num_threads is None:
        return 0
    if isinstance(num_threads, bool) or not hasattr(num_threads, "__index__"):
        raise TypeError(f"num_threads must be an int or None; got {type(num_threads).__name__}")
    if num_threads < 1:
        raise ValueError(f"num_threads must be at least 1; got {num_threads}")
    return min(num_threads, 1 << 16)


cdef int float_dtype(cnp.ndarray out) except -1:
    cdef int dtype = cnp.PyArray_TYPE(out)
    if dtype != cnp.NPY_FLOAT32 and dtype != cnp.NPY_FLOAT64 or not cnp.PyArray_ISNOTSWAPPED(out):
        raise TypeError(f"out must have dtype float32 or float64 in native byte order; got {describe(out)}")
    return dtype


cdef str describe(cnp.ndarray out):
    dtype = (<object>out).dtype
    return f"{dtype} ({dtype.str})"


# One signature for the fills of the core: the stream, the buffer, its length, two parameters.
ctypedef pyi_status (*core_fill)(
    pyi_stream *, void *, size_t, double, double, const pyi_options *) noexcept nogil

cdef pyi_status bits_u32(
        pyi_stream *s, void *out, size_t n, double a, double b, const pyi_options *options) noexcept nogil:
    return pyi_fill_bits_u32(s, <uint32_t *>out, n, options)

cdef pyi_status uniform_f32(
        pyi_stream *s, void *out, size_t n, double low, double high, const pyi_options *options) noexcept nogil:
    return pyi_fill_uniform_f32(s, <float *>out, n, low, high, options)

cdef pyi_status uniform_f64(
        pyi_stream *s, void *out, size_t n, double low, double high, const pyi_options *options) noexcept nogil:
    return pyi_fill_uniform_f64(s, <double *>out, n, low, high, options)

cdef pyi_status normal_f32(
        pyi_stream *s, void *out, size_t n, double mean, double std, const pyi_options *options) noexcept nogil:
    return pyi_fill_normal_f32(s, <float *>out, n, mean, std, options)

cdef pyi_status normal_f64(
        pyi_stream *s, void *out, size_t n, double mean, double std, const pyi_options *options) noexcept nogil:
    return pyi_fill_normal_f64(s, <double *>out, n, mean, std, options)


cdef int run(StreamState state, cnp.ndarray out, core_fill fill, double a, double b, num_threads) except -1:
    """Claim the words that `out` takes, then write it without the GIL."""
    cdef pyi_options options
    cdef pyi_stream claimed
    cdef pyi_status status
    cdef size_t n = cnp.PyArray_SIZE(out)
    cdef void *data = cnp.PyArray_DATA(out)
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be writable; got a read-only array")
    if not cnp.PyArray_IS_C_CONTIGUOUS(out):
        raise ValueError(
            f"out must be C-contiguous; got shape {(<object>out).shape} with strides {(<object>out).strides}")
    options.threads = thread_count(num_threads)
    options.interrupted = NULL
    options.arg = NULL

    with cython.critical_section(state):
        status = pyi_claim(&state.stream, &claimed, n, cnp.PyArray_ITEMSIZE(out))
    if status != PYI_OK:
        raise ValueError(f"{n} samples would end beyond position 2**66; the stream stands at {state.position}")

    if n <= GIL_COUNT:
        status = fill(&claimed, data, n, a, b, &options)
    else:
        # Signals are for the main thread. Another one must not ask for the GIL in the middle of a fill: where the
        # interpreter is ending it would be ended there, while the threads that help it still use its stack.
        if get_ident() == main_thread().ident:
            options.interrupted = interrupted
        with nogil:
            status = fill(&claimed, data, n, a, b, &options)
    if status == PYI_INTERRUPTED:
        return raise_pending()
    if status != PYI_OK:
        raise RuntimeError(f"the core refused a fill that was checked: status {status}")
    return 0


def fill_bits(StreamState state not None, cnp.ndarray out not None, num_threads=None):
    """Write the stream's next words to `out`, uint32."""
    if cnp.PyArray_TYPE(out) != cnp.NPY_UINT32 or not cnp.PyArray_ISNOTSWAPPED(out):
        raise TypeError(f"out must have dtype uint32 in native byte order; got {describe(out)}")
    run(state, out, bits_u32, 0, 0, num_threads)


def fill_uniform(StreamState state not None, cnp.ndarray out not None, low, high, num_threads=None):
    """Write uniform samples of [low, high) to `out`, float32 or float64."""
    cdef bint single = float_dtype(out) == cnp.NPY_FLOAT32
    cdef double a = real("low", low), b = real("high", high)
    cdef double largest = FLT_MAX if single else DBL_MAX
    # Of the bounds as the core rounds them: what is finite before can overflow after.
    cdef double width = <double><float>b - <double><float>a if single else b - a
    if not (abs(a) <= largest and abs(b) <= largest and abs(width) <= largest):
        raise ValueError(f"low, high and high - low must be finite in {describe(out)}; got {low!r} and {high!r}")
    if a > b:
        raise ValueError(f"low must not be above high; got {low!r} and {high!r}")
    run(state, out, uniform_f32 if single else uniform_f64, a, b, num_threads)


def fill_normal(StreamState state not None, cnp.ndarray out not None, mean, std, num_threads=None):
    """Write normal samples to `out`, float32 or float64."""
    cdef bint single = float_dtype(out) == cnp.NPY_FLOAT32
    cdef double m = real("mean", mean), sigma = real("std", std)
    cdef double largest = FLT_MAX if single else DBL_MAX
    if not abs(m) <= largest:
        raise ValueError(f"mean must be finite in {describe(out)}; got {mean!r}")
    if not 0 <= sigma <= largest:
        raise ValueError(f"std must be finite in {describe(out)} and not negative; got {std!r}")
    run(state, out, normal_f32 if single else normal_f64, m, sigma, num_threads)


cdef pyi_status stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id) noexcept nogil:
    return pyi_stream_new(stream, generator, seed, id)


cdef pyi_status skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words) noexcept nogil:
    return pyi_skip_ahead(stream, blocks, words)


cdef pyi_status fill_bits_u32(
        pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options) noexcept nogil:
    return pyi_fill_bits_u32(stream, out, count, options)


cdef pyi_status fill_normal_f32(
        pyi_stream *stream, float *out, size_t count, double mean, double std,
        const pyi_options *options) noexcept nogil:
    return pyi_fill_normal_f32(stream, out, count, mean, std, options)
