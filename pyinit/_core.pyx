# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The boundary to the C core: check, release the GIL, call C. No arithmetic."""

import os
from math import prod
from operator import index
from threading import get_ident, main_thread

cimport cython
cimport numpy as cnp
from libc.float cimport DBL_MAX, FLT_MAX
from libc.stddef cimport ptrdiff_t
from numpy import dtype as numpy_dtype, shares_memory, uint16

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept

cdef extern from "core.h" nogil:
    ctypedef struct pyi_job:
        int method

    pyi_status pyi_isa_init()
    pyi_status pyi_threads_init()
    size_t pyi_processors()
    size_t pyi_default_threads()
    pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job)
    pyi_status pyi_job_new(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, size_t count, pyi_job *job)

# Up to here a fill keeps the GIL: giving it up and getting it back costs more than the fill.
cdef enum:
    GIL_COUNT = 4096

cdef double BF16_MAX = 3.3895313892515355e38

BFLOAT16 = numpy_dtype([("bfloat16", uint16)])
GENERATORS = {"philox": PYI_PHILOX4X32_10, "ars5": PYI_ARS4X32_5}
JOB_BYTES = sizeof(pyi_job)
END = 1 << 66  # no stream has a word at or beyond this position


def processors():
    """The processors that this process may use, by its affinity mask and its container's quota."""
    return pyi_processors()


def default_threads():
    """The number of threads of a fill without `num_threads`: that of PYINIT_NUM_THREADS, or one a processor."""
    return pyi_default_threads()


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
if pyi_threads_init() != PYI_OK:
    raise ValueError(
        f"PYINIT_NUM_THREADS must be an integer of at least 1; got {os.environ.get('PYINIT_NUM_THREADS')!r}"
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
    threads = index(num_threads)
    if threads < 1:
        raise ValueError(f"num_threads must be at least 1; got {num_threads}")
    return min(threads, 1 << 16)


cdef str describe(cnp.ndarray out):
    dtype = (<object>out).dtype
    return f"{dtype} ({dtype.str})"


cdef int float_dtype(cnp.ndarray out) except -1:
    cdef int dtype = cnp.PyArray_TYPE(out)
    if cnp.PyArray_ISNOTSWAPPED(out):
        if dtype == cnp.NPY_FLOAT32:
            return PYI_F32
        if dtype == cnp.NPY_FLOAT64:
            return PYI_F64
        if dtype == cnp.NPY_FLOAT16:
            return PYI_F16
        # NumPy has no bfloat16: ml_dtypes brings one, and arrays.BFLOAT16 is a record of that name.
        of = (<object>out).dtype
        if of == BFLOAT16 or (of.name == "bfloat16" and of.itemsize == 2):
            return PYI_BF16
    raise TypeError(
        f"out must have dtype float32, float64, float16 or bfloat16 in native byte order; got {describe(out)}")


cdef double largest(int dtype) noexcept:
    return DBL_MAX if dtype == PYI_F64 else 65504.0 if dtype == PYI_F16 else BF16_MAX if dtype == PYI_BF16 else FLT_MAX


cdef bint overlaps(cnp.ndarray out) except -1:
    """Whether two elements of `out` share memory."""
    cdef object array = out, extent = out.itemsize
    # Not where each axis, from the smallest stride on, steps over all that the smaller ones reach.
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1):
        if stride < extent:
            break
        extent += stride * (n - 1)
    else:
        return False
    # Exactly: two elements whose indices differ first on this axis, moved to where the first has index 0.
    for _ in range(array.ndim):
        if array.shape[0] > 1 and shares_memory(array[:1], array[1:]):
            return True
        array = array[0]
    return False


cpdef int check_memory(cnp.ndarray out) except -1:
    """Raise ValueError if `out` cannot be written, or two of its elements share memory."""
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be writable; got a read-only array")
    if not cnp.PyArray_IS_C_CONTIGUOUS(out) and overlaps(out):
        raise ValueError(
            f"out must have no two elements in one place; got shape {(<object>out).shape} "
            f"with strides {(<object>out).strides}")
    return 0


def extent(cnp.ndarray out not None):
    """The address of the first byte of an array that is not empty, and of the one behind its last."""
    cdef size_t low = <size_t>cnp.PyArray_DATA(out), high = low + cnp.PyArray_ITEMSIZE(out)
    cdef ptrdiff_t reach
    cdef int i
    for i in range(cnp.PyArray_NDIM(out)):
        reach = cnp.PyArray_STRIDES(out)[i] * (cnp.PyArray_DIMS(out)[i] - 1)
        if reach > 0:
            high += reach
        else:
            low += reach
    return low, high


def checked_window(cnp.ndarray out not None, global_shape, offset):
    """Both as tuples of int, if `out` is a block of such a tensor there."""
    shape = (<object>out).shape
    if global_shape is None:
        raise ValueError("offset needs global_shape, the shape of the tensor that it is an offset in")
    whole = index_tuple("global_shape", global_shape)
    where = (0,) * len(shape) if offset is None else index_tuple("offset", offset)
    for name, value in (("global_shape", whole), ("offset", where)):
        if len(value) != len(shape):
            raise ValueError(f"{name} must have the {len(shape)} dimensions of out; got {value}")
    if any(o + n > g for o, n, g in zip(where, shape, whole)):
        raise ValueError(f"out must lie inside the tensor; got shape {shape} at offset {where} in {whole}")
    if prod(whole) >= 1 << 63:
        raise ValueError(f"global_shape must hold less than 2**63 elements; got {whole}")
    return whole, where


cdef tuple index_tuple(str name, value):
    try:
        numbers = tuple(index(n) for n in value) if hasattr(value, "__iter__") else (index(value),)
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of int; got {value!r}") from None
    if any(n < 0 or n >= 1 << 63 for n in numbers):
        raise ValueError(f"{name} must not be negative, nor 2**63 or above; got {value!r}")
    return numbers


cdef object run(
        StreamState state, cnp.ndarray out, pyi_dtype dtype, const pyi_distribution *distribution,
        global_shape, offset, num_threads, bint fresh, ready):
    """Claim the words that `out` takes, then write it without the GIL.

    Where `ready` is not None, `out` only tells shape and strides and is not written: once all is checked `ready` is
    called with the job's generator, method and dtype, then the words are claimed, and for other hands there come back
    a state that stands where they begin, and the job as its bytes.
    """
    cdef pyi_job job
    cdef pyi_options options
    cdef pyi_stream claimed
    cdef pyi_status status
    cdef StreamState begin
    cdef size_t shape[PYI_MAX_DIMS]
    cdef size_t whole[PYI_MAX_DIMS]
    cdef size_t where[PYI_MAX_DIMS]
    cdef ptrdiff_t strides[PYI_MAX_DIMS]
    cdef pyi_window window
    cdef bint windowed = global_shape is not None or offset is not None
    cdef int i
    options.threads = thread_count(num_threads)
    options.interrupted = NULL
    options.arg = NULL
    options.fresh = fresh
    check_memory(out)
    cdef size_t n = cnp.PyArray_SIZE(out), claim = n
    if windowed:
        g, o = checked_window(out, global_shape, offset)
        claim = 1
        for i in range(len(g)):
            whole[i], where[i] = g[i], o[i]
            claim *= <size_t>g[i]
        window.global_shape, window.offset = whole, where
    else:
        window.global_shape = window.offset = NULL
    cdef void *data = cnp.PyArray_DATA(out)
    windowed = windowed or not cnp.PyArray_IS_C_CONTIGUOUS(out)
    if windowed:
        window.ndim = cnp.PyArray_NDIM(out)
        window.shape, window.strides = shape, strides
        for i in range(window.ndim):
            shape[i] = cnp.PyArray_DIMS(out)[i]
            strides[i] = cnp.PyArray_STRIDES(out)[i]

    if ready is not None:
        status = pyi_describe(distribution, dtype, &job)
        if status == PYI_OK:
            ready((state.stream.generator, job.method, dtype))
    with cython.critical_section(state):
        status = pyi_claim(&state.stream, &claimed, claim, dtype)
    if status != PYI_OK:
        raise ValueError(f"{claim} samples would end beyond position 2**66; the stream stands at {state.position}")

    if ready is not None:
        begin = StreamState.__new__(StreamState)
        begin.stream = claimed
        status = pyi_job_new(&claimed, distribution, dtype, claim, &job)
        if status == PYI_OK:
            return begin, (<char *>&job)[:sizeof(job)]
    elif n <= GIL_COUNT:
        if windowed:
            status = pyi_fill_window(&claimed, distribution, dtype, data, &window, &options)
        else:
            status = pyi_fill(&claimed, distribution, dtype, data, n, &options)
    else:
        # Signals are for the main thread. Another one must not ask for the GIL in the middle of a fill: where the
        # interpreter is ending it would be ended there, while the threads that help it still use its stack.
        if get_ident() == main_thread().ident:
            options.interrupted = interrupted
        with nogil:
            if windowed:
                status = pyi_fill_window(&claimed, distribution, dtype, data, &window, &options)
            else:
                status = pyi_fill(&claimed, distribution, dtype, data, n, &options)
    if status == PYI_INTERRUPTED:
        raise_pending()
    if status != PYI_OK:
        raise RuntimeError(f"the core refused a fill that was checked: status {status}")
    return None


def fill_bits(
        StreamState state not None, cnp.ndarray out not None, global_shape=None, offset=None, num_threads=None,
        bint fresh=False, ready=None):
    """Write the stream's next words to `out`, uint32."""
    cdef pyi_distribution distribution
    distribution.sampler = PYI_BITS
    if cnp.PyArray_TYPE(out) != cnp.NPY_UINT32 or not cnp.PyArray_ISNOTSWAPPED(out):
        raise TypeError(f"out must have dtype uint32 in native byte order; got {describe(out)}")
    return run(state, out, PYI_U32, &distribution, global_shape, offset, num_threads, fresh, ready)


def fill_uniform(
        StreamState state not None, cnp.ndarray out not None, low, high, global_shape=None, offset=None,
        num_threads=None, bint fresh=False, ready=None):
    """Write uniform samples of [low, high) to `out`, of a float dtype."""
    cdef int dtype = float_dtype(out)
    cdef double a = real("low", low), b = real("high", high), limit = largest(dtype)
    # Of the bounds as the core rounds them: what is finite before can overflow after.
    cdef double width = b - a if dtype == PYI_F64 else <double><float>b - <double><float>a
    cdef pyi_distribution distribution
    if not (abs(a) <= limit and abs(b) <= limit and abs(width) <= limit):
        raise ValueError(f"low, high and high - low must be finite in {describe(out)}; got {low!r} and {high!r}")
    if a > b:
        raise ValueError(f"low must not be above high; got {low!r} and {high!r}")
    distribution.sampler = PYI_UNIFORM
    distribution.parameters[0], distribution.parameters[1] = a, b
    return run(state, out, <pyi_dtype>dtype, &distribution, global_shape, offset, num_threads, fresh, ready)


cdef int set_normal(pyi_distribution *distribution, cnp.ndarray out, int dtype, mean, std) except -1:
    cdef double m = real("mean", mean), sigma = real("std", std), limit = largest(dtype)
    if not abs(m) <= limit:
        raise ValueError(f"mean must be finite in {describe(out)}; got {mean!r}")
    if not 0 <= sigma <= limit:
        raise ValueError(f"std must be finite in {describe(out)} and not negative; got {std!r}")
    distribution.parameters[0], distribution.parameters[1] = m, sigma
    return 0


def fill_normal(
        StreamState state not None, cnp.ndarray out not None, mean, std, method="box_muller", global_shape=None,
        offset=None, num_threads=None, bint fresh=False, ready=None):
    """Write normal samples to `out`, of a float dtype."""
    cdef int dtype = float_dtype(out)
    cdef pyi_distribution distribution
    set_normal(&distribution, out, dtype, mean, std)
    if method == "box_muller":
        distribution.sampler = PYI_NORMAL
    elif method == "icdf":
        distribution.sampler = PYI_NORMAL_ICDF
    else:
        raise ValueError(f"method must be 'box_muller' or 'icdf'; got {method!r}")
    return run(state, out, <pyi_dtype>dtype, &distribution, global_shape, offset, num_threads, fresh, ready)


def fill_truncated_normal(
        StreamState state not None, cnp.ndarray out not None, mean, std, lower, upper, global_shape=None, offset=None,
        num_threads=None, bint fresh=False, ready=None):
    """Write normal samples between mean + lower std and mean + upper std to `out`, of a float dtype."""
    cdef int dtype = float_dtype(out)
    cdef double a = real("lower", lower), b = real("upper", upper)
    cdef pyi_distribution distribution
    set_normal(&distribution, out, dtype, mean, std)
    if not a < b:
        raise ValueError(f"lower must be below upper; got {lower!r} and {upper!r}")
    if a > PYI_FARTHEST_BOUND or b < -PYI_FARTHEST_BOUND:
        raise ValueError(
            f"the nearer of lower and upper must be within {PYI_FARTHEST_BOUND} standard deviations of the mean; "
            f"got {lower!r} and {upper!r}")
    distribution.sampler = PYI_TRUNCATED_NORMAL
    distribution.parameters[2], distribution.parameters[3] = a, b
    return run(state, out, <pyi_dtype>dtype, &distribution, global_shape, offset, num_threads, fresh, ready)


# For other Cython modules, as _core.pxd says.

cdef pyi_status stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id) noexcept nogil:
    return pyi_stream_new(stream, generator, seed, id)


cdef pyi_status skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words) noexcept nogil:
    return pyi_skip_ahead(stream, blocks, words)


cdef pyi_status claim(pyi_stream *stream, pyi_stream *claimed, size_t count, pyi_dtype dtype) noexcept nogil:
    return pyi_claim(stream, claimed, count, dtype)


cdef pyi_status fill(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
        const pyi_options *options) noexcept nogil:
    return pyi_fill(stream, distribution, dtype, out, count, options)


cdef pyi_status fill_window(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
        const pyi_window *window, const pyi_options *options) noexcept nogil:
    return pyi_fill_window(stream, distribution, dtype, out, window, options)


cdef pyi_status fill_bits_u32(
        pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options) noexcept nogil:
    return pyi_fill_bits_u32(stream, out, count, options)


cdef pyi_status fill_normal_f32(
        pyi_stream *stream, float *out, size_t count, double mean, double std,
        const pyi_options *options) noexcept nogil:
    return pyi_fill_normal_f32(stream, out, count, mean, std, options)
