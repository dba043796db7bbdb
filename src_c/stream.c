/* The public functions on streams, and the fills of plain buffers: check, describe the fill as a job, run it, move on.
 */
#include "core.h"
#include "target.h"

#include "simd_scalar.h"

#include "philox.h"

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
    group = words * pyi_samplers[sampler].together; /* a divisor of 4 */
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

void pyi_job_begin(pyi_job *job, const pyi_stream *claimed)
{
    job->generator = claimed->generator;
    job->seed = claimed->seed;
    job->id = claimed->id;
    job->block = claimed->block;
    job->skip = claimed->word / pyi_sample_words(job->dtype);
    philox_round_keys(job->seed, job->round_keys);
}

/* Of large buffers a thread takes whole huge pages, so that no two wait for one page that is new. */
#define HUGE_PAGE_BYTES ((size_t)1 << 21)

static void run_samples(const pyi_work *work, uint64_t first, size_t count)
{
    const pyi_part part = {.first = first, .count = count, .rows = 1};
    pyi_fill_rows(work, &part, work->out + (size_t)first * work->unit_bytes);
}

pyi_status pyi_job_fill(pyi_job *job, void *out, size_t count, const pyi_options *options)
{
    const size_t size = pyi_sample_bytes(job->dtype);
    const int large = pyi_is_large(count, size);
    const size_t chunk = large ? HUGE_PAGE_BYTES : PYI_CHUNK_BYTES;
    pyi_work work = {.run = run_samples,
                     .units = count,
                     .unit_bytes = size,
                     .chunk = chunk / size,
                     .phase = large ? (uintptr_t)out % chunk / size : 0,
                     .job = job,
                     .out = out};
    if (!count)
        return PYI_OK;
    work.kernel = pyi_dispatch(job, &work.step);
    job->stream = pyi_streams(count, size, options);
    return pyi_run(&work, options);
}

pyi_status pyi_fill(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
                    const pyi_options *options)
{
    pyi_stream claimed;
    pyi_job job;
    pyi_status status = pyi_describe(distribution, dtype, &job);
    if (status == PYI_OK)
        status = pyi_claim(stream, &claimed, distribution->sampler, dtype, count);
    if (status != PYI_OK)
        return status;
    pyi_job_begin(&job, &claimed);
    return pyi_job_fill(&job, out, count, options);
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
