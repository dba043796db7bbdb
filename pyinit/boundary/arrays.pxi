# Arrays and windows: whether an array can be written, and where its memory is.

cdef cnp.ndarray plain(cnp.ndarray out):
    """`out`, or a plain view of a subclass's array: attributes of a subclass may run a caller's code."""
    return out if type(out) is cnp.ndarray else PyArray_View(out, NULL, <PyTypeObject *>cnp.ndarray)


@cython.auto_pickle(False)
@cython.final
@cython.freelist(8)
@cython.no_gc
cdef class Lent:
    """Memory that its owner can free while an array still uses it, as torch's storages can.

    Parameters
    ----------
    owner : object
    address, size : callable
        Take `owner` and return the address of its memory and the size in bytes. They must not run a caller's code.
    """
    cdef object owner, address, size

    def __cinit__(self, owner, address, size):
        self.owner, self.address, self.size = owner, address, size


cdef int check_owner(cnp.ndarray out) except -1:
    """Raise ValueError if the owner of an array's memory has freed all or some of it, by `resize` for instance."""
    cdef PyObject *base = PyArray_BASE(out)
    cdef cnp.ndarray owner = out
    cdef size_t low, high, begin, size
    if base == NULL or cnp.PyArray_SIZE(out) == 0:
        return 0
    while base != NULL and type(<object>base) is cnp.ndarray:
        owner = <cnp.ndarray><object>base
        base = PyArray_BASE(owner)
    if base != NULL and type(<object>base) is Lent:
        lent = <Lent><object>base
        begin, size = lent.address(lent.owner), lent.size(lent.owner)
    elif base == NULL and cnp.PyArray_CHKFLAGS(owner, cnp.NPY_ARRAY_OWNDATA):
        begin, size = <size_t>cnp.PyArray_DATA(owner), cnp.PyArray_NBYTES(owner)
    else:
        return 0
    span(out, &low, &high)
    if not begin <= low <= high <= begin + size:
        raise ValueError(
            f"out must have memory for all of its elements; got shape {(<object>out).shape} in {size} bytes of an "
            "owner that has freed or resized it, as FSDP does")
    return 0


cdef bint overlaps(cnp.ndarray out) except -1:
    """Whether two elements of a plain array share memory."""
    cdef object array = out, extent = out.itemsize
    # No elements overlap if each axis, from the smallest stride on, steps over the whole extent of the smaller ones.
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1):
        if stride < extent:
            break
        extent += stride * (n - 1)
    else:
        return False
    # The exact test, axis by axis: two elements whose indices first differ on this axis, shifted to index 0 of it.
    for _ in range(array.ndim):
        if array.shape[0] > 1 and shares_memory(array[:1], array[1:]):
            return True
        array = array[0]
    return False


def array_at(size_t address, shape, strides, cnp.dtype dtype not None, bint writeable, owner, size_t unit=1):
    """An array over memory that `owner` keeps alive; the strides are in units of `unit` bytes.

    Raises ValueError if the owner says that it has less memory.
    """
    cdef cnp.npy_intp[PYI_MAX_DIMS] lengths
    cdef cnp.npy_intp[PYI_MAX_DIMS] steps
    cdef int i, n = len(shape)
    cdef object array
    if n > PYI_MAX_DIMS or len(strides) != n:
        raise ValueError(f"out must have at most {PYI_MAX_DIMS} dimensions, each with a stride; got {shape}, {strides}")
    try:
        for i in range(n):
            lengths[i], steps[i] = shape[i], strides[i] * <object>unit
    except OverflowError:
        raise ValueError(
            f"out must have lengths and strides below 2**63; got shape {shape} with strides {strides}") from None
    Py_INCREF(dtype)  # the next line steals a reference
    array = PyArray_NewFromDescr(
        <PyTypeObject *>cnp.ndarray, dtype, n, lengths, steps, <void *>address,
        cnp.NPY_ARRAY_WRITEABLE if writeable else 0, NULL)
    if owner is not None:
        cnp.set_array_base(array, owner)
    check_owner(array)
    return array


cdef int check_plain(cnp.ndarray out) except -1:
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be writable; got a read-only array")
    if cnp.PyArray_DATA(out) == NULL and cnp.PyArray_SIZE(out):  # a wrong array interface may say so
        raise ValueError("out must have memory; got an array at address 0")
    if not cnp.PyArray_IS_C_CONTIGUOUS(out) and overlaps(out):
        raise ValueError(
            f"out must have no two elements in one place; got shape {(<object>out).shape} "
            f"with strides {(<object>out).strides}")
    return 0


def check_memory(cnp.ndarray out not None):
    """Raise ValueError if `out` is not writable, or two of its elements share memory."""
    cdef cnp.ndarray array = plain(out)
    check_plain(array)
    check_owner(array)


cdef void span(cnp.ndarray out, size_t *low, size_t *high) noexcept:
    """The addresses of the first byte of an array that is not empty, and of the byte after its last."""
    cdef ptrdiff_t reach
    cdef int i
    low[0] = <size_t>cnp.PyArray_DATA(out)
    high[0] = low[0] + cnp.PyArray_ITEMSIZE(out)
    for i in range(cnp.PyArray_NDIM(out)):
        reach = cnp.PyArray_STRIDES(out)[i] * (cnp.PyArray_DIMS(out)[i] - 1)
        if reach > 0:
            high[0] += reach
        else:
            low[0] += reach


def extent(cnp.ndarray out not None):
    """The addresses of the first byte of an array that is not empty, and of the byte after its last."""
    cdef size_t low, high
    span(out, &low, &high)
    return low, high


cdef int set_window(
        pyi_window *window, size_t *numbers, cnp.ndarray out, tuple whole, tuple where) except -1:
    """Make a C window of a plain array; `numbers` has room for four numbers per dimension.

    `whole` and `where` have been checked; None for a whole tensor.
    """
    cdef int i, n = cnp.PyArray_NDIM(out)
    cdef size_t *shape = numbers
    cdef ptrdiff_t *strides = <ptrdiff_t *>(numbers + n)
    cdef size_t *global_shape = numbers + 2 * n
    cdef size_t *offset = numbers + 3 * n
    window.ndim = n
    window.shape, window.strides = shape, strides
    window.global_shape = window.offset = NULL
    for i in range(n):
        shape[i] = cnp.PyArray_DIMS(out)[i]
        strides[i] = cnp.PyArray_STRIDES(out)[i]
    if whole is not None:
        for i in range(n):
            global_shape[i], offset[i] = whole[i], where[i]
        window.global_shape, window.offset = global_shape, offset
    return 0


def window_tuples(global_shape, offset):
    """Both as tuples of int, or None: the one step of a window's checks that runs a caller's code."""
    if global_shape is None and offset is None:
        return None, None
    if global_shape is None:
        raise ValueError("offset needs global_shape, the shape of the tensor that it is an offset in")
    return (index_tuple("global_shape", global_shape), None if offset is None else index_tuple("offset", offset))


cpdef tuple index_tuple(str name, value):
    """A shape or an offset as a tuple of int in [0, 2**63); or raise TypeError or ValueError that names it.

    A caller's sequence may be endless, so at most PYI_MAX_DIMS + 1 items are read.
    """
    cdef tuple items
    try:
        if type(value) is tuple:  # the fast path
            items = value
        else:
            try:
                items = tuple(islice(value, PYI_MAX_DIMS + 1))
            except TypeError:  # a number, or an array or a tensor without dimensions
                items = (value,)
        numbers = tuple([index(n) for n in items])
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of int; got {text_of(value)}") from None
    if len(numbers) > PYI_MAX_DIMS:
        raise ValueError(f"{name} must have at most {PYI_MAX_DIMS} dimensions; got more")
    for n in numbers:
        if not 0 <= n < 1 << 63:
            raise ValueError(f"{name} must not be negative, nor 2**63 or above; got {text_of(numbers)}")
    return numbers


cdef tuple check_window(cnp.ndarray out, tuple whole, where):
    """The window of a plain array, with zeros for a `where` of None; raise ValueError if it is outside the tensor."""
    shape = (<object>out).shape
    if where is None:
        where = (0,) * len(shape)
    for name, value in (("global_shape", whole), ("offset", where)):
        if len(value) != len(shape):
            raise ValueError(f"{name} must have the {len(shape)} dimensions of out; got {value}")
    for o, n, g in zip(where, shape, whole):
        if o + n > g:
            raise ValueError(f"out must lie inside the tensor; got shape {shape} at offset {where} in {whole}")
    if prod(whole) >= 1 << 63:
        raise ValueError(f"global_shape must hold less than 2**63 elements; got {whole}")
    return whole, where


def checked_window(cnp.ndarray out not None, global_shape, offset):
    """Both as tuples of int; raise TypeError or ValueError unless `out` is a block of such a tensor."""
    whole, where = window_tuples(global_shape, offset)
    return check_window(plain(out), whole, where)
