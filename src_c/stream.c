/* The public functions on streams, and the fills of one array: check, describe, claim the words, fill. */
#include "core.h"

pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id)
{
    if ((unsigned)generator >= PYI_GENERATORS)
        return PYI_BAD_VALUE;
    *stream = (pyi_stream){.generator = generator, .seed = seed, .id = id};
    return PYI_OK;
}

pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words)
{
    const uint64_t word = stream->word + words % 4;
    const uint64_t more = words / 4 + word / 4; /* at most 2^62: no overflow */
    const uint64_t by_blocks = stream->block + blocks, block = by_blocks + more;
    const unsigned carries = (unsigned)(by_blocks < blocks) + (unsigned)(block < more) + stream->end;
    /* One carry out of 64 bits leads to position 2^66, the end, if nothing is left over. */
    if (carries > 1 || (carries == 1 && (block || word % 4)))
        return PYI_EXHAUSTED;
    stream->block = block;
    stream->word = (uint32_t)(word % 4);
    stream->end = carries;
    return PYI_OK;
}

pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count)
{
    pyi_stream begin = *stream, end;
    pyi_status status = PYI_OK;
    uint32_t words, group;

    if ((unsigned)stream->generator >= PYI_GENERATORS || (unsigned)dtype >= PYI_DTYPES ||
        (unsigned)sampler >= PYI_SAMPLERS)
        return PYI_BAD_VALUE;
    words = pyi_sample_words(dtype);
    group = words * pyi_samplers[sampler].together; /* a divisor of 4, or 0: no words */
    if (!group) {
        *claimed = begin;
        return PYI_OK;
    }
    if (count)
        status = pyi_skip_ahead(&begin, 0, -begin.word % group);
    end = begin;
    if (status == PYI_OK)
        status = pyi_skip_ahead(&end, count / 4 * words, count % 4 * words);
    if (status == PYI_OK && count)
        status = pyi_skip_ahead(&end, 0, -end.word % group);
    if (status == PYI_OK) {
        *claimed = begin;
        *stream = end;
    }
    return status;
}

pyi_status pyi_fill(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
                    const pyi_options *options)
{
    pyi_item item = {.distribution = *distribution, .dtype = dtype, .out = out, .count = count};
    pyi_task task;
    pyi_status status = out || !count ? pyi_describe(distribution, dtype, &task.job) : PYI_BAD_VALUE;
    if (status == PYI_OK)
        status = pyi_claim(stream, &item.stream, distribution->sampler, dtype, count);
    return status == PYI_OK ? pyi_fill_described(&task, &item, options) : status;
}

pyi_status pyi_fill_window(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
                           const pyi_window *window, const pyi_options *options)
{
    pyi_item item = {.distribution = *distribution, .dtype = dtype, .out = out, .window = window};
    uint64_t elements, global;
    pyi_task task;
    pyi_status status = pyi_describe(distribution, dtype, &task.job);
    if (status == PYI_OK)
        status = pyi_count_elements(window, &elements, &global);
    if (status == PYI_OK && elements && !out)
        status = PYI_BAD_VALUE;
    if (status == PYI_OK)
        status = pyi_claim(stream, &item.stream, distribution->sampler, dtype, global);
    return status == PYI_OK ? pyi_fill_described(&task, &item, options) : status;
}

pyi_status pyi_fill_bits_u32(pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options)
{
    return pyi_fill(stream, &(pyi_distribution){.sampler = PYI_BITS}, PYI_U32, out, count, options);
}

pyi_status pyi_fill_uniform_f32(pyi_stream *stream, float *out, size_t count, double low, double high,
                                const pyi_options *options)
{
    return pyi_fill(stream, &(pyi_distribution){PYI_UNIFORM, {low, high}}, PYI_F32, out, count, options);
}

pyi_status pyi_fill_uniform_f64(pyi_stream *stream, double *out, size_t count, double low, double high,
                                const pyi_options *options)
{
    return pyi_fill(stream, &(pyi_distribution){PYI_UNIFORM, {low, high}}, PYI_F64, out, count, options);
}

pyi_status pyi_fill_normal_f32(pyi_stream *stream, float *out, size_t count, double mean, double std,
                               const pyi_options *options)
{
    return pyi_fill(stream, &(pyi_distribution){PYI_NORMAL, {mean, std}}, PYI_F32, out, count, options);
}

pyi_status pyi_fill_normal_f64(pyi_stream *stream, double *out, size_t count, double mean, double std,
                               const pyi_options *options)
{
    return pyi_fill(stream, &(pyi_distribution){PYI_NORMAL, {mean, std}}, PYI_F64, out, count, options);
}
