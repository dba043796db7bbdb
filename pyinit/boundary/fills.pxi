# One fill: check, claim, write.

# Up to this many elements a fill keeps the GIL: releasing and taking it again would cost more than the fill.
cdef enum:
    GIL_COUNT = 4096


cdef int thread_count(num_threads) except -1:
    cdef int overflow = 0
    cdef long n
    if num_threads is None:
        return 0
    if type(num_threads) is int:  # the fast path for most callers
        n = PyLong_AsLongAndOverflow(num_threads, &overflow)
        if not overflow and n >= 1:
            return n if n < 1 << 16 else 1 << 16
    if isinstance(num_threads, bool) or not hasattr(num_threads, "__index__"):
        raise TypeError(f"num_threads must be an int or None; got {type(num_threads).__name__}")
    threads = index(num_threads)
    if threads < 1:
        raise ValueError(f"num_threads must be at least 1; got {text_of(threads)}")
    return min(threads, 1 << 16)


def check_threads(num_threads):
    """`num_threads` as an int, 0 for None; raise TypeError or ValueError for a bad one."""
    return thread_count(num_threads)


cdef int describe(Distribution distribution, cnp.dtype descr, pyi_job *job) except -1:
    """Make a job and return the number of its dtype; raise TypeError or ValueError if the two do not fit."""
    cdef int dtype = number_of(descr)
    if dtype < 0 or (dtype == PYI_U32) != (distribution.c.sampler == PYI_BITS):
        raise TypeError(f"out must have dtype {wanted(distribution)} in native byte order; got {shown(descr)}")
    if pyi_describe(&distribution.c, <pyi_dtype>dtype, job) != PYI_OK:
        raise ValueError(f"{unsuitable(distribution, DTYPES[pyi_dtypes[dtype].name.decode()])} in {shown(descr)}")
    return dtype


cdef str wanted(Distribution distribution):
    """List the dtypes that a distribution can fill."""
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
    if not abs(parameters.get("value", 0)) <= row.largest:
        return f"value must be at most {row.largest:.6g} in size, or infinite; got {parameters['value']!r}"
    if not parameters.get("std", 0) <= most:
        return f"std must be at most {most:.6g}; got {parameters['std']!r}"
    if distribution.c.sampler == PYI_TRUNCATED_NORMAL:
        return f"the bound nearer to the mean must be finite; got {distribution!r}"
    return f"the parameters must be in range; got {distribution!r}"


def check_dtype(Distribution distribution not None, dtype):
    """The numbers of method and dtype; raise TypeError or ValueError if the dtype does not fit."""
    cdef pyi_job job
    cdef int number = describe(distribution, numpy_dtype(dtype), &job)
    return job.method, number


cdef int interrupted(void *arg, double done) noexcept with gil:
    # The exception of a signal handler, mostly KeyboardInterrupt, stays set until `raise_pending` raises it.
    if arg != NULL and (<Progress>arg).told(done):
        return 1
    return PyErr_CheckSignals() != 0


cdef int raise_pending() except -1:
    return -1


cdef class Progress:
    """Reports progress. An exception of the callback, even KeyboardInterrupt, ends the fill and is kept in `error`."""
    cdef object advance, error
    cdef double size
    cdef long long so_far

    def __init__(self, advance, size):
        self.advance = advance
        self.size = size

    cdef bint told(self, double done) noexcept:
        """Report the progress since the last call; return whether there was an error."""
        cdef long long now = <long long>(done * self.size)
        if now > self.so_far and self.error is None:
            try:
                self.advance(now - self.so_far)
            except BaseException as error:
                self.error = error
            self.so_far = now
        return self.error is not None


cdef bint takes_signals() except -1:
    """Whether this thread may check for signals in the middle of a fill.

    Python handles signals in the main thread. Any other thread must not take the GIL during a fill: an interpreter that
    is shutting down would end it there, while its helper threads still use its stack.
    """
    return get_ident() == main_thread().ident


cdef int check_status(pyi_status status) except -1:
    """Raise if a checked fill failed or was interrupted."""
    if status == PYI_INTERRUPTED:
        raise_pending()
    if status != PYI_OK:
        raise RuntimeError(f"the core refused a fill that was checked: {pyi_strerror(status).decode()}")
    return 0


cdef int write_array(
        StreamState state, cnp.ndarray given, Distribution distribution, global_shape, offset, num_threads) except -1:
    """Claim the words for an array, then write it, without the GIL unless it is small."""
    cdef pyi_task task
    cdef pyi_item item
    cdef pyi_options options
    cdef pyi_status status
    cdef pyi_window window
    cdef size_t[4 * PYI_MAX_DIMS] numbers
    cdef cnp.ndarray out = given
    cdef cnp.dtype descr
    cdef tuple whole = None, where = None
    cdef size_t n, claim
    # First everything that can run a caller's code.
    options.threads = thread_count(num_threads)
    if global_shape is not None or offset is not None:
        whole, where = window_tuples(global_shape, offset)
    options.interrupted = NULL
    options.arg = NULL

    # Then the array, through a private view: no other thread can resize it, and no code that the garbage collector
    # runs can change its fields. If no object is made from here to the write, the view is not needed.
    descr = <cnp.dtype>PyArray_DESCR(given)
    if (type(given) is not cnp.ndarray or whole is not None or cnp.PyArray_SIZE(given) > GIL_COUNT
            or not cnp.PyArray_IS_C_CONTIGUOUS(given) or descr.type_num >= cnp.NPY_VOID):
        out = PyArray_View(given, NULL, <PyTypeObject *>cnp.ndarray)
        descr = <cnp.dtype>PyArray_DESCR(out)
    item.distribution = distribution.c
    item.dtype = <pyi_dtype>describe(distribution, descr, &task.job)
    check_plain(out)
    check_owner(out)
    n = claim = cnp.PyArray_SIZE(out)
    if whole is not None:
        whole, where = check_window(out, whole, where)
        claim = prod(whole)
    item.out, item.count, item.window = cnp.PyArray_DATA(out), n, NULL
    if whole is not None or not cnp.PyArray_IS_C_CONTIGUOUS(out):
        set_window(&window, numbers, out, whole, where)
        item.window = &window
    state.take(&item.stream, distribution, item.dtype, claim)

    if n <= GIL_COUNT:
        status = pyi_fill_described(&task, &item, &options)
    else:
        if takes_signals():
            options.interrupted = interrupted
        with nogil:
            status = pyi_fill_described(&task, &item, &options)
    return check_status(status)
