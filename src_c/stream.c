/* The public functions on streams: check, describe the fill as a job, run it, move on. */
#include <float.h>
#include <math.h>

#include "core.h"
#include "fpenv.h"

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

pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, size_t count, size_t size)
{
    const uint32_t words = (uint32_t)size / 4; /* that a sample takes */
    pyi_stream begin = *stream, end;
    pyi_status status = count ? pyi_skip_ahead(&begin, 0, -begin.word % words) : PYI_OK;
    end = begin;
    if (status == PYI_OK)
        status = pyi_skip_ahead(&end, count / 4 * words, count % 4 * words);
    if (status == PYI_OK) {
        *claimed = begin;
        *stream = end;
    }
    return status;
}

/* Runs a job, of which the sampler and its parameters are set, on the next `count` samples of the stream. */
static pyi_status run(pyi_stream *stream, pyi_job job, size_t count, size_t size, void *out, const pyi_options *options)
{
    pyi_stream claimed;
    pyi_status status;

    if ((unsigned)stream->generator >= PYI_GENERATORS)
        return PYI_BAD_VALUE;
    status = pyi_claim(stream, &claimed, count, size);
    if (status != PYI_OK)
        return status;
    job.generator = claimed.generator;
    job.seed = claimed.seed;
    job.id = claimed.id;
    job.block = claimed.block;
    job.skip = claimed.word / ((uint32_t)size / 4);
    return pyi_run(&job, count, size, out, options);
}

pyi_status pyi_fill_bits_u32(pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options)
{
    return run(stream, (pyi_job){.sampler = PYI_BITS_U32}, count, sizeof *out, out, options);
}

/*
 * The parameters are made in the floating-point environment of a fill; volatile, lest a compiler move the
 * arithmetic out of it. A `high` that equals `low` must not be stepped below.
 */
static pyi_job uniform_f32_job(volatile double low, volatile double high)
{
    pyi_job job = {.sampler = PYI_UNIFORM_F32};
    const pyi_fpenv saved = pyi_fpenv_enter();
    const volatile float a = (float)low, b = (float)high;
    const volatile float scale = b - a, last = a == b ? b : nextafterf(b, -FLT_MAX);
    pyi_fpenv_leave(saved);
    job.f32[0] = a;
    job.f32[1] = scale;
    job.f32[2] = last;
    return job;
}

static pyi_job uniform_f64_job(volatile double low, volatile double high)
{
    pyi_job job = {.sampler = PYI_UNIFORM_F64};
    const pyi_fpenv saved = pyi_fpenv_enter();
    const volatile double a = low, b = high;
    const volatile double scale = b - a, last = a == b ? b : nextafter(b, -DBL_MAX);
    pyi_fpenv_leave(saved);
    job.f64[0] = a;
    job.f64[1] = scale;
    job.f64[2] = last;
    return job;
}

static pyi_job normal_f32_job(volatile double mean, volatile double std)
{
    pyi_job job = {.sampler = PYI_NORMAL_F32};
    const pyi_fpenv saved = pyi_fpenv_enter();
    const volatile float m = (float)mean, s = (float)std;
    pyi_fpenv_leave(saved);
    job.f32[0] = m;
    job.f32[1] = s;
    return job;
}

pyi_status pyi_fill_uniform_f32(pyi_stream *stream, float *out, size_t count, double low, double high,
                                const pyi_options *options)
{
    const pyi_job job = uniform_f32_job(low, high);
    if (!(low <= high) || !(fabsf(job.f32[0]) <= FLT_MAX) || !(job.f32[1] <= FLT_MAX))
        return PYI_BAD_VALUE;
    return run(stream, job, count, sizeof *out, out, options);
}

pyi_status pyi_fill_uniform_f64(pyi_stream *stream, double *out, size_t count, double low, double high,
                                const pyi_options *options)
{
    const pyi_job job = uniform_f64_job(low, high);
    if (!(low <= high) || !(fabs(low) <= DBL_MAX) || !(job.f64[1] <= DBL_MAX))
        return PYI_BAD_VALUE;
    return run(stream, job, count, sizeof *out, out, options);
}

pyi_status pyi_fill_normal_f32(pyi_stream *stream, float *out, size_t count, double mean, double std,
                               const pyi_options *options)
{
    const pyi_job job = normal_f32_job(mean, std);
    if (!(fabsf(job.f32[0]) <= FLT_MAX) || !(std >= 0.0) || !(job.f32[1] <= FLT_MAX))
        return PYI_BAD_VALUE;
    return run(stream, job, count, sizeof *out, out, options);
}

pyi_status pyi_fill_normal_f64(pyi_stream *stream, double *out, size_t count, double mean, double std,
                               const pyi_options *options)
{
    const pyi_job job = {.sampler = PYI_NORMAL_F64, .f64 = {mean, std}};
    if (!(fabs(mean) <= DBL_MAX) || !(std >= 0.0 && std <= DBL_MAX))
        return PYI_BAD_VALUE;
    return run(stream, job, count, sizeof *out, out, options);
}
