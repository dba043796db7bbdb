# The C core's declarations, from src_c/pyinit.h.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "pyinit.h" nogil:
    enum:
        PYI_CONTRACT_VERSION
        PYI_MAX_DIMS

    double PYI_FARTHEST_BOUND

    ctypedef enum pyi_generator:
        PYI_PHILOX4X32_10
        PYI_ARS4X32_5
        PYI_ARS4X32_7

    ctypedef enum pyi_dtype:
        PYI_U32
        PYI_F32
        PYI_F64
        PYI_F16
        PYI_BF16
        PYI_F8_E4M3FN
        PYI_F8_E5M2

    ctypedef enum pyi_sampler:
        PYI_BITS
        PYI_UNIFORM
        PYI_NORMAL
        PYI_NORMAL_ICDF
        PYI_TRUNCATED_NORMAL
        PYI_CONSTANT

    ctypedef enum pyi_status:
        PYI_OK
        PYI_BAD_VALUE
        PYI_EXHAUSTED
        PYI_INTERRUPTED
        PYI_UNAVAILABLE
        PYI_OVERLAP

    ctypedef struct pyi_generator_row:
        const char *enumerator
        const char *name

    ctypedef struct pyi_dtype_row:
        const char *enumerator
        const char *name
        size_t bytes
        unsigned int words
        unsigned int digits
        int least
        double largest

    ctypedef struct pyi_sampler_row:
        const char *enumerator
        const char *name
        const char *parameters
        unsigned int together

    const pyi_generator_row pyi_generators[]
    const pyi_dtype_row pyi_dtypes[]
    const pyi_sampler_row pyi_samplers[]

    ctypedef struct pyi_stream:
        pyi_generator generator
        uint64_t seed
        uint64_t id
        uint64_t block
        uint32_t word
        uint32_t end

    ctypedef struct pyi_distribution:
        pyi_sampler sampler
        double parameters[4]

    ctypedef struct pyi_options:
        unsigned int threads
        int (*interrupted)(void *arg, double done) noexcept nogil
        void *arg

    ctypedef struct pyi_window:
        int ndim
        const size_t *shape
        const ptrdiff_t *strides
        const size_t *global_shape
        const size_t *offset

    ctypedef struct pyi_item:
        pyi_stream stream
        pyi_distribution distribution
        pyi_dtype dtype
        void *out
        size_t count
        const pyi_window *window

    ctypedef struct pyi_place:
        pass

    const char *pyi_strerror(pyi_status status)
    pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id)
    pyi_status pyi_child(pyi_stream *child, const pyi_stream *parent, const char *name)
    pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words)
    pyi_status pyi_claim(
        pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count)
    pyi_status pyi_fill(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
        const pyi_options *options)
    pyi_status pyi_fill_window(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
        const pyi_window *window, const pyi_options *options)
    pyi_status pyi_fill_many(
        const pyi_item *items, size_t n, pyi_place *places, size_t *wrong, const pyi_options *options)
    pyi_status pyi_fill_bits_u32(pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options)
    pyi_status pyi_fill_normal_f32(
        pyi_stream *stream, float *out, size_t count, double mean, double std, const pyi_options *options)
    const char *const *pyi_isa_available()
    const char *pyi_isa_active()
    pyi_status pyi_isa_select(const char *name)


cdef class Distribution:
    cdef pyi_distribution c
    cdef int check(self) except -1


cdef class StreamState:
    cdef pyi_stream stream
    cdef int take(self, pyi_stream *claimed, Distribution distribution, pyi_dtype dtype, uint64_t count) except -1


# The core for other Cython modules: they call it through the loaded `_core`, without linking it. Each function has the
# name in pyinit.h without pyi_.
cdef const char *strerror(pyi_status status) noexcept nogil
cdef pyi_status stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id) noexcept nogil
cdef pyi_status child(pyi_stream *child, const pyi_stream *parent, const char *name) noexcept nogil
cdef pyi_status skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words) noexcept nogil
cdef pyi_status claim(
    pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count) noexcept nogil
cdef pyi_status fill(
    pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
    const pyi_options *options) noexcept nogil
cdef pyi_status fill_window(
    pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
    const pyi_window *window, const pyi_options *options) noexcept nogil
cdef pyi_status fill_many(
    const pyi_item *items, size_t n, pyi_place *places, size_t *wrong, const pyi_options *options) noexcept nogil
cdef pyi_status fill_bits_u32(
    pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options) noexcept nogil
cdef pyi_status fill_normal_f32(
    pyi_stream *stream, float *out, size_t count, double mean, double std, const pyi_options *options) noexcept nogil
