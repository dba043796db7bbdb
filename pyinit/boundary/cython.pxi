# The functions that _core.pxd declares for other Cython modules.

cdef const char *strerror(pyi_status status) noexcept nogil:
    return pyi_strerror(status)


cdef pyi_status stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id) noexcept nogil:
    return pyi_stream_new(stream, generator, seed, id)


cdef pyi_status child(pyi_stream *child, const pyi_stream *parent, const char *name) noexcept nogil:
    return pyi_child(child, parent, name)


cdef pyi_status skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words) noexcept nogil:
    return pyi_skip_ahead(stream, blocks, words)


cdef pyi_status claim(
        pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count) noexcept nogil:
    return pyi_claim(stream, claimed, sampler, dtype, count)


cdef pyi_status fill(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
        const pyi_options *options) noexcept nogil:
    return pyi_fill(stream, distribution, dtype, out, count, options)


cdef pyi_status fill_window(
        pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
        const pyi_window *window, const pyi_options *options) noexcept nogil:
    return pyi_fill_window(stream, distribution, dtype, out, window, options)


cdef pyi_status fill_many(
        const pyi_item *items, size_t n, pyi_place *places, size_t *wrong,
        const pyi_options *options) noexcept nogil:
    return pyi_fill_many(items, n, places, wrong, options)


cdef pyi_status fill_bits_u32(
        pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options) noexcept nogil:
    return pyi_fill_bits_u32(stream, out, count, options)


cdef pyi_status fill_normal_f32(
        pyi_stream *stream, float *out, size_t count, double mean, double std,
        const pyi_options *options) noexcept nogil:
    return pyi_fill_normal_f32(stream, out, count, mean, std, options)
