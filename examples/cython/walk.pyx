# cython: language_level=3, boundscheck=False, wraparound=False
"""A random walk that draws its steps from pyinit's C core: no array of steps, no GIL, nothing to link."""

from libc.stdint cimport uint64_t

from pyinit._core cimport PYI_PHILOX4X32_10, fill_normal_f32, pyi_options, pyi_stream, stream_new


def random_walk(float[::1] path not None, uint64_t seed):
    """Write the position of a walk after each standard normal step to `path`."""
    cdef pyi_stream stream
    cdef pyi_options options
    cdef float[256] steps
    cdef float position = 0
    cdef Py_ssize_t i
    options.threads = 1
    options.interrupted = NULL
    options.arg = NULL
    with nogil:
        stream_new(&stream, PYI_PHILOX4X32_10, seed, 0)
        for i in range(path.shape[0]):
            if i % 256 == 0:
                fill_normal_f32(&stream, steps, 256, 0.0, 1.0, &options)
            position += steps[i % 256]
            path[i] = position
