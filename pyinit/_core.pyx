# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
# cython: subinterpreters_compatible=no
"""The boundary to the C core: convert the arguments, read the array once, check, release the GIL, call C.

No caller's code can run between the reading of an array and the write: parameters, shapes and thread counts are
converted first, and the array is read from NumPy's C fields, never from Python's attributes.
"""

import os
from collections import namedtuple
from itertools import islice
from math import prod
from operator import index
from threading import get_ident, main_thread

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.float cimport DBL_MAX
from libc.math cimport isnan
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset
import numpy
from numpy import dtype as numpy_dtype, shares_memory

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    double PyFloat_AS_DOUBLE(object number)
    long PyLong_AsLongAndOverflow(object number, int *overflow) except? -1

cdef extern from "numpy/arrayobject.h":
    enum:
        NPY_USERDEF

    object PyArray_NewFromDescr(
        PyTypeObject *subtype, cnp.dtype descr, int nd, const cnp.npy_intp *dims, const cnp.npy_intp *strides,
        void *data, int flags, PyObject *owner)
    object PyArray_View(cnp.ndarray array, void *dtype, PyTypeObject *type)
    void *PyArray_DESCR(cnp.ndarray array)  # borrowed
    PyObject *PyArray_BASE(cnp.ndarray array)  # borrowed

cdef extern from "core.h" nogil:
    ctypedef struct pyi_job:
        int generator, method, dtype
        uint64_t id, block
        uint32_t skip

    enum:
        PYI_GENERATORS
        PYI_METHODS
        PYI_DTYPES
        PYI_SAMPLERS

    const char *const pyi_methods[]
    bint PYI_HAS_KERNEL(int method, int dtype, unsigned int words)
    pyi_status pyi_isa_init()
    pyi_status pyi_threads_init()
    int pyi_memory_init()
    size_t pyi_processors()
    size_t pyi_default_threads()
    pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job)
    ctypedef struct pyi_task:
        pyi_job job

    ctypedef struct pyi_device_item:
        uint64_t tile, out, count, id, block
        uint32_t skip, constants, window

    enum:
        PYI_TILE_SAMPLES
        PYI_TILE_UNITS

    uint64_t pyi_child_id(uint64_t parent, const char *name, size_t length, const char *person)
    void pyi_job_begin(pyi_job *job, const pyi_stream *claimed)
    void pyi_round(pyi_dtype dtype, const float *values, void *out, size_t count)
    pyi_status pyi_fill_described(pyi_task *task, const pyi_item *item, const pyi_options *options)
    pyi_status pyi_fill_checked(const pyi_item *items, size_t n, pyi_place *places, const pyi_options *options)
    int pyi_find_overlap(const pyi_item *items, size_t n, pyi_place *places, size_t *pair)

cdef extern from "xla.h" nogil:
    ctypedef struct xla_error
    ctypedef struct xla_call
    xla_error *pyi_xla_fill(xla_call *call)
    void pyi_xla_answer(int minor)

include "boundary/tables.pxi"
include "boundary/streams.pxi"
include "boundary/distributions.pxi"
include "boundary/dtypes.pxi"
include "boundary/arrays.pxi"
include "boundary/fills.pxi"
include "boundary/launches.pxi"
include "boundary/batches.pxi"
include "boundary/programs.pxi"
include "boundary/cython.pxi"
