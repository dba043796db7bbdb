# From NumPy's dtypes to the core's, and numbers rounded to them.

# For types that NumPy lacks, a record with one field of that name; ml_dtypes has types of the same names.
RECORDS = {
    name: numpy_dtype([(name, f"u{row.bytes}")]) for name, row in DTYPES.items() if not hasattr(numpy, name)
}
cdef dict foreign = {}  # the numbers of types that other packages registered with NumPy


cdef int number_of(cnp.dtype descr) except -1:
    """The number of an array's dtype, in native byte order; -2 if the core has no such type."""
    cdef int kind = descr.type_num
    if descr.byteorder == c">" or descr.byteorder == c"<":
        if not (<object>descr).isnative:
            return -2
    if kind == cnp.NPY_FLOAT32:
        return PYI_F32
    if kind == cnp.NPY_FLOAT64:
        return PYI_F64
    if kind == cnp.NPY_FLOAT16:
        return PYI_F16
    if kind == cnp.NPY_UINT or kind == cnp.NPY_ULONG:
        return PYI_U32 if descr.itemsize == 4 else -2
    if kind == cnp.NPY_VOID:
        for name, record in RECORDS.items():
            if <object>descr is record or <object>descr == record:
                return DTYPES[name].number
    elif kind >= NPY_USERDEF:
        if kind not in foreign:
            row = DTYPES.get((<object>descr).name)
            foreign[kind] = row.number if row is not None and row.bytes == descr.itemsize else -2
        return foreign[kind]
    return -2


def dtype_of(dtype):
    """The NumPy dtype for a dtype of NumPy, ml_dtypes or torch, or a name; a record if NumPy has no such type."""
    name = str(dtype) if isinstance(dtype, str) or is_torch(type(dtype)) else None
    if name is not None and name.startswith("torch.") and name[6:] in DTYPES:
        name = name[6:]
    if name in RECORDS:
        return RECORDS[name]
    try:
        return numpy_dtype(dtype if name is None else name)
    except TypeError:
        raise TypeError(
            f"dtype must be one of NumPy, ml_dtypes or torch, or a name such as 'bfloat16'; got {text_of(dtype)}"
        ) from None


cdef bint is_torch(type kind):
    return kind.__name__ == "dtype" and kind.__module__ == "torch"


def dtype_row(dtype):
    """The row of `DTYPES` for a NumPy dtype; None if the core has no such type."""
    cdef int number = number_of(numpy_dtype(dtype))
    return None if number < 0 else DTYPES[pyi_dtypes[number].name.decode()]


cdef str shown(cnp.dtype descr):
    return f"{<object>descr} ({(<object>descr).str})"


def rounded(values, dtype):
    """Floats rounded to nearest even in a dtype of 16 or 8 bits; as integer bits if NumPy lacks the type."""
    cdef cnp.ndarray given = numpy.ascontiguousarray(values, numpy.float32)
    cdef object wanted = numpy_dtype(dtype)
    cdef cnp.ndarray bits = numpy.empty((<object>given).shape, f"u{wanted.itemsize}")
    cdef int number = number_of(wanted)
    if number < 0 or wanted.itemsize > 2:
        raise TypeError(f"dtype must have 16 or 8 bits and be one that the fills take; got {shown(wanted)}")
    pyi_round(<pyi_dtype>number, <float *>cnp.PyArray_DATA(given), cnp.PyArray_DATA(bits), cnp.PyArray_SIZE(given))
    return bits.view(numpy.float16) if number == PYI_F16 else bits
