# The C core's declarations, from src_c/pyinit.h.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "pyinit.h" nogil:
    ctypedef enum pyi_generator:
        PYI_PHILOX4X32_10
        PYI_ARS4X32_5

    ctypedef enum pyi_status:
        PYI_OK
        PYI_BAD_VALUE
        PYI_EXHAUSTED
        PYI_INTERRUPTED
        PYI_UNAVAILABLE

    ctypedef struct pyi_stream:
        pyi_generator generator
        uint64_t seed
        uint64_t id
        uint64_t block
        uint32_t word
        uint32_t end

    ctypedef struct pyi_options:
        unsigned int threads
        int (*interrupted)(void *arg) noexcept nogil
        void *arg

    pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id)
    pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words)
    pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, size_t count, size_t size)
    pyi_status pyi_fill_bits_u32(
        pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options)
    pyi_status pyi_fill_uniform_f32(
        pyi_stream *stream, float *out, size_t count, double low, double high, const pyi_options *options)
    pyi_status pyi_fill_uniform_f64(
        pyi_stream *stream, double *out, size_t count, double low, double high, const pyi_options *options)
    pyi_status pyi_fill_normal_f32(
        pyi_stream *stream, float *out, size_t count, double mean, double std, const pyi_options *options)
    pyi_status pyi_fill_normal_f64(
        pyi_stream *stream, double *out, size_t count, double mean, double std, const pyi_options *options)
    const char *const *pyi_isa_available()
    const char *pyi_isa_active()
    pyi_status pyi_isa_select(const char *name)


cdef class StreamState:
    cdef pyi_stream stream


# The core for other Cython modules, which reach it through the loaded `_core` and do not link it. Each function is
# the one of pyinit.h with pyi_ before its name.
cdef pyi_status stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id) noexcept nogil
cdef pyi_status skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words) noexcept nogil
cdef pyi_status fill_bits_u32(
    pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options) noexcept nogil
cdef pyi_status fill_normal_f32(
    pyi_stream *stream, float *out, size_t count, double mean, double std, const pyi_options *options) noexcept nogil
