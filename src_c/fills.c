/* The public fills of one array: check, describe, claim the words, fill. */
#include "core.h"

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
