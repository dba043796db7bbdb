# A fill: checked, claimed, written.

# Up to here a fill keeps the GIL: giving it up and getting it back costs more than the fill.
cdef enum:
    GIL_COUNT = 4096


cdef int thread_count(num_threads) except -1:
    cdef int overflow = 0
    cdef long n
    if num_threads is None:
        return 0
    if type(num_threads) is int:  # as most are, without a detour
        n = PyLong_AsLongAndOverflow(num_threads, &overflow)
        if not overflow and n >= 1:
            return n if n < 1 << 16 else 1 << 16
    if isinstance(num_threads, bool) or not hasattr(num_threads, "__index__"):
        raise TypeError(f"num_threads must be an int or None; got {type(num_threads).__name__}")
    threads = index(num_threads)
    if threads < 1:
        raise ValueError(f"num_threads must be at least 1; got {threads}")
    return min(threads, 1 << 16)


def check_threads(num_threads):
    """The number of threads that a fill is asked for, 0 if it is not; or raise TypeError or ValueError."""
    return thread_count(num_threads)


cdef int describe(Distribution distribution, cnp.dtype descr, pyi_job *job) except -1:
    """Make a job of samples of a dtype, whose number it returns; or raise what does not suit."""
    cdef int dtype = dtype_of(descr)
    if dtype < 0 or (dtype == PYI_U32) != (distribution.c.sampler == PYI_BITS):
        raise TypeError(f"out must have dtype {wanted(distribution)} in native byte order; got {shown(descr)}")
    if pyi_describe(&distribution.c, <pyi_dtype>dtype, job) != PYI_OK:
        raise ValueError(f"{unsuitable(distribution, DTYPES[pyi_dtypes[dtype].name.decode()])} in {shown(descr)}")
    return dtype


cdef str wanted(Distribution distribution):
    """List the dtypes that a distribution has."""
    *others, last = [name for name in DTYPES if (name == "uint32") == (distribution.c.sampler == PYI_BITS)]
    return f"{', '.join(others)} or {last}" if others else last


cdef str unsuitable(Distribution distribution, row):
    """Say which parameters a dtype cannot hold."""
    parameters = distribution.parameters
    most = min(row.largest, DTYPES["float64" if row.words == 2 else "float32"].largest / 16)
    if distribution.c.sampler == PYI_UNIFORM:
        names = "low, high and high - low must be at most {:.6g} in size; got {low!r} and {high!r}"
        return names.format(row.largest, **parameters)
    if not abs(parameters.get("mean", 0)) <= row.largest:
        return f"mean must be at most {row.largest:.6g} in size; got {parameters['mean']!r}"
    if not parameters.get("std", 0) <= most:
        return f"std must be at most {most:.6g}; got {parameters['std']!r}"
    if distribution.c.sampler == PYI_TRUNCATED_NORMAL:
        return f"the bound nearer to the mean must be finite; got {distribution!r}"
    return f"the parameters must be in range; got {distribution!r}"


def check_dtype(Distribution distribution not None, dtype):
    """The numbers of method and dtype; or raise TypeError or ValueError if the dtype does not suit."""
    cdef pyi_job job
    cdef int number = describe(distribution, numpy_dtype(dtype), &job)
    return job.method, number


def make_job(StreamState begin not None, Distribution distribution not None, int dtype):
    """The bytes of a job, whose samples begin where a claimed state stands."""
    cdef pyi_job job
    memset(&job, 0, sizeof(job))
    if pyi_describe(&distribution.c, <pyi_dtype>dtype, &job) != PYI_OK:
        raise ValueError(f"dtype {dtype} does not suit {distribution!r}")
    pyi_job_begin(&job, &begin.stream)
    return (<char *>&job)[:sizeof(job)]


cdef int interrupted(void *arg) noexcept with gil:
    # The exception of a signal handler, KeyboardInterrupt mostly, stays set until `write_array` lets it through.
    return PyErr_CheckSignals() != 0


cdef int raise_pending() except -1:
    return -1


cdef int write_array(
        StreamState state, cnp.ndarray given, Distribution distribution, global_shape, offset, num_threads,
        bint fresh) except -1:
    """Claim the words that an array takes, then write it, without the GIL where it is not small."""
    cdef pyi_job job
    cdef pyi_options options
    cdef pyi_stream claimed
    cdef pyi_status status
    cdef size_t shape[PYI_MAX_DIMS]
    cdef size_t whole[PYI_MAX_DIMS]
    cdef size_t where[PYI_MAX_DIMS]
    cdef ptrdiff_t strides[PYI_MAX_DIMS]
    cdef pyi_window window
    cdef cnp.ndarray out, held
    cdef tuple asked = None
    cdef int dtype, i
    # First all that can run a caller's code.
    options.threads = thread_count(num_threads)
    if global_shape is not None or offset is not None:
        asked = window_tuples(global_shape, offset)
    options.interrupted = NULL
    options.arg = NULL
    options.fresh = fresh

    out = plain(given)
    dtype = describe(distribution, <cnp.dtype>PyArray_DESCR(out), &job)
    check_plain(out)
    cdef size_t n = cnp.PyArray_SIZE(out), claim = n
    cdef void *data = cnp.PyArray_DATA(out)
    cdef bint windowed = asked is not None or not cnp.PyArray_IS_C_CONTIGUOUS(out)
    window.global_shape = window.offset = NULL
    if asked is not None:
        asked = check_window(out, asked[0], asked[1])
        claim = 1
        for i in range(len(asked[0])):
            whole[i], where[i] = asked[0][i], asked[1][i]
            claim *= whole[i]
        window.global_shape, window.offset = whole, where
    if windowed:
        window.ndim = cnp.PyArray_NDIM(out)
        window.shape, window.strides = shape, strides
        for i in range(window.ndim):
            shape[i] = cnp.PyArray_DIMS(out)[i]
            strides[i] = cnp.PyArray_STRIDES(out)[i]
    state.take(&claimed, distribution, <pyi_dtype>dtype, claim)
    pyi_job_begin(&job, &claimed)

    if n <= GIL_COUNT:
        if windowed:
            status = pyi_job_fill_window(&job, data, &window, &options)
        else:
            status = pyi_job_fill(&job, data, n, &options)
    else:
        held = PyArray_View(out, NULL, <PyTypeObject *>cnp.ndarray)  # so that no other thread can resize `out`
        # Signals are for the main thread. Another one must not ask for the GIL in the middle of a fill: where the
        # interpreter is ending it would be ended there, while the threads that help it still use its stack.
        if get_ident() == main_thread().ident:
            options.interrupted = interrupted
        with nogil:
            if windowed:
                status = pyi_job_fill_window(&job, data, &window, &options)
            else:
                status = pyi_job_fill(&job, data, n, &options)
    if status == PYI_INTERRUPTED:
        raise_pending()
    if status != PYI_OK:
        raise RuntimeError(f"the core refused a fill that was checked: status {status}")
    return 0
