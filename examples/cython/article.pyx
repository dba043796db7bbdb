# cython: language_level=3, boundscheck=False, wraparound=False
"""The article's Gaussian weights, drawn from Cython, as in ../c/article.c, with memoryviews and nothing to link."""

from libc.math cimport sqrt

from pyinit._core cimport (
    PYI_ARS4X32_5, PYI_CONSTANT, PYI_F32, PYI_NORMAL, PYI_OK, child, fill, fill_many, fill_window,
    pyi_distribution, pyi_item, pyi_place, pyi_status, pyi_stream, pyi_window, stream_new, strerror
)


cdef int check(pyi_status status) except -1:
    """Raise an error with the core's message if the status is not OK."""
    if status != PYI_OK:
        raise ValueError(strerror(status).decode())
    return 0


cdef pyi_distribution xavier(size_t rows, size_t columns) except *:
    """The normal distribution of Xavier's weights."""
    cdef pyi_distribution normal
    normal.sampler = PYI_NORMAL
    normal.parameters[0], normal.parameters[1] = 0, sqrt(2.0 / (rows + columns))
    return normal


def weights(float[:, ::1] out not None, unsigned long long seed):
    """Fill a matrix on all processors, as MKL's vslNewStream and vsRngGaussian do."""
    cdef pyi_stream stream
    cdef pyi_distribution normal = xavier(out.shape[0], out.shape[1])
    check(stream_new(&stream, PYI_ARS4X32_5, seed, 0))
    check(fill(&stream, &normal, PYI_F32, &out[0, 0], out.shape[0] * out.shape[1], NULL))


def part(float[:, ::1] out not None, unsigned long long seed, tuple shape, tuple offset):
    """Fill a part of that matrix alone, as a machine that holds nothing else does."""
    cdef pyi_stream stream
    cdef pyi_window window
    cdef size_t[2] here = [out.shape[0], out.shape[1]]
    cdef size_t[2] whole = shape
    cdef size_t[2] where = offset
    cdef pyi_distribution normal = xavier(whole[0], whole[1])
    window.ndim, window.shape, window.strides, window.global_shape, window.offset = 2, here, NULL, whole, where
    check(stream_new(&stream, PYI_ARS4X32_5, seed, 0))
    check(fill_window(&stream, &normal, PYI_F32, &out[0, 0], &window, NULL))


def layer(float[:, ::1] weight not None, float[::1] bias not None, unsigned long long seed):
    """Fill a layer in one call. Each parameter has the stream of its name, as with pyinit.initialize."""
    cdef pyi_stream root
    cdef pyi_item[2] items
    cdef pyi_place[2] places
    cdef int i
    check(stream_new(&root, PYI_ARS4X32_5, seed, 0))
    check(child(&items[0].stream, &root, b"layer.weight"))
    check(child(&items[1].stream, &root, b"layer.bias"))
    items[0].distribution = xavier(weight.shape[0], weight.shape[1])
    items[1].distribution.sampler = PYI_CONSTANT
    items[1].distribution.parameters[0] = 0
    items[0].out, items[1].out = &weight[0, 0], &bias[0]
    items[0].count, items[1].count = weight.shape[0] * weight.shape[1], bias.shape[0]
    for i in range(2):
        items[i].dtype, items[i].window = PYI_F32, NULL
    check(fill_many(items, 2, places, NULL, NULL))
