/*
 * The buffer loops: generator x sampler, for the one instruction set whose simd header came before.
 *
 * Every sampler makes 16 bytes of output from a block of four words, so the loops count in bytes.
 * A kernel is `fill` with the generator and the sampler as constants.
 */
#include "philox.h"

#include "ars.h"

#include "elementary.h"

#include "uniform.h"

#include "box_muller.h"

#define PYI_BLOCK_BYTES 16
#define PYI_STEP_BYTES (PYI_BLOCKS * PYI_BLOCK_BYTES)
/* Streaming stores are cut to whole vectors, and the head before them to whole blocks. */
#define PYI_STREAM_BYTES (sizeof(u32v) > PYI_BLOCK_BYTES ? sizeof(u32v) : PYI_BLOCK_BYTES)

typedef struct {
    philox philox;
    ars ars;
} generator_state;

PYI_INLINE void seek(generator_state *g, const pyi_job *job, uint64_t block, const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_init(&g->philox, job->seed, job->id, block);
    else
        ars_init(&g->ars, job->seed, job->id, block);
}
PYI_INLINE void next_words(generator_state *g, u32v w[2 * PYI_PAIR_VECTORS], const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_words(&g->philox, w);
    else
        ars_words(&g->ars, w);
}
PYI_INLINE void next_words64(generator_state *g, u64v w[2], const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_words64(&g->philox, w);
    else
        ars_words64(&g->ars, w);
}
PYI_INLINE void next_pairs(generator_state *g, u32v even[PYI_PAIR_VECTORS], u32v odd[PYI_PAIR_VECTORS],
                           const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_pairs(&g->philox, even, odd);
    else
        ars_pairs(&g->ars, even, odd);
}
PYI_INLINE void next_pairs64(generator_state *g, u64v *even, u64v *odd, const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_pairs64(&g->philox, even, odd);
    else
        ars_pairs64(&g->ars, even, odd);
}

PYI_INLINE void put32(char *out, const u32v x[2 * PYI_PAIR_VECTORS], int stream)
{
    for (int i = 0; i < 2 * PYI_PAIR_VECTORS; i++)
        if (stream)
            stream_u32(out + (size_t)i * sizeof(u32v), x[i]);
        else
            store_u32(out + (size_t)i * sizeof(u32v), x[i]);
}
PYI_INLINE void put64(char *out, const u64v x[2], int stream)
{
    for (int i = 0; i < 2; i++)
        if (stream)
            stream_u64(out + (size_t)i * sizeof(u64v), x[i]);
        else
            store_u64(out + (size_t)i * sizeof(u64v), x[i]);
}

/* Writes the samples of the next PYI_BLOCKS blocks. */
PYI_INLINE void step(generator_state *g, const pyi_job *job, char *out, int stream, const pyi_generator generator,
                     const pyi_sampler sampler)
{
    u32v even[PYI_PAIR_VECTORS], odd[PYI_PAIR_VECTORS], x[2 * PYI_PAIR_VECTORS];
    u64v even64, odd64, x64[2];
    const float *f = job->f32;
    const double *d = job->f64;

    switch (sampler) {
    case PYI_BITS_U32:
        next_words(g, x, generator);
        put32(out, x, stream);
        break;
    case PYI_UNIFORM_F32: {
        const uniform_f32 distribution = {splat_f32(f[0]), splat_f32(f[1]), splat_f32(f[2])};
        next_words(g, x, generator);
        for (int i = 0; i < 2 * PYI_PAIR_VECTORS; i++)
            x[i] = bits_f32(sample_uniform_f32(x[i], &distribution));
        put32(out, x, stream);
        break;
    }
    case PYI_UNIFORM_F64: {
        const uniform_f64 distribution = {splat_f64(d[0]), splat_f64(d[1]), splat_f64(d[2])};
        next_words64(g, x64, generator);
        for (int i = 0; i < 2; i++)
            x64[i] = bits_f64(sample_uniform_f64(x64[i], &distribution));
        put64(out, x64, stream);
        break;
    }
    case PYI_NORMAL_F32: {
        const normal_f32 distribution = {splat_f32(f[0]), splat_f32(f[1])};
        next_pairs(g, even, odd, generator);
        for (int i = 0; i < PYI_PAIR_VECTORS; i++) {
            f32v first, second;
            box_muller_f32(even[i], odd[i], &distribution, &first, &second);
            even[i] = bits_f32(first);
            odd[i] = bits_f32(second);
        }
        zip_u32(even, odd, x);
        put32(out, x, stream);
        break;
    }
    case PYI_NORMAL_F64: {
        const normal_f64 distribution = {splat_f64(d[0]), splat_f64(d[1])};
        f64v first, second;
        next_pairs64(g, &even64, &odd64, generator);
        box_muller_f64(even64, odd64, &distribution, &first, &second);
        zip_u64(bits_f64(first), bits_f64(second), x64);
        put64(out, x64, stream);
        break;
    }
    }
}

/*
 * Writes samples [first, first + count) of the job to `out`. Whole steps go straight to the buffer; what
 * begins or ends inside a step, and what precedes the alignment that streaming needs, goes by way of `part`.
 */
PYI_INLINE void fill(const pyi_job *job, uint64_t first, size_t count, char *out, const pyi_generator generator,
                     const pyi_sampler sampler)
{
    const size_t size = sampler == PYI_UNIFORM_F64 || sampler == PYI_NORMAL_F64 ? 8 : 4;
    const uint64_t sample = first + job->skip;
    uint64_t block = job->block + sample / (PYI_BLOCK_BYTES / size);
    size_t skip = (size_t)(sample % (PYI_BLOCK_BYTES / size)) * size;
    size_t head = skip ? PYI_BLOCK_BYTES : 0;
    size_t left = count * size;
    int stream = job->stream;

    if (stream) {
        const uintptr_t start = (uintptr_t)out - skip;
        const size_t to_boundary = (size_t)(-start % PYI_STREAM_BYTES);
        stream = to_boundary % PYI_BLOCK_BYTES == 0;
        if (stream && (to_boundary || skip))
            head = to_boundary ? to_boundary : PYI_STREAM_BYTES;
    }

    generator_state g;
    seek(&g, job, block, generator);
    while (left) {
        if (!head)
            for (; left >= PYI_STEP_BYTES; left -= PYI_STEP_BYTES, out += PYI_STEP_BYTES)
                step(&g, job, out, stream, generator, sampler);
        if (left) {
            char part[PYI_STEP_BYTES];
            size_t end = head ? head : PYI_STEP_BYTES;
            size_t taken = end - skip < left ? end - skip : left;
            step(&g, job, part, 0, generator, sampler);
            memcpy(out, part + skip, taken);
            out += taken;
            left -= taken;
            block += head / PYI_BLOCK_BYTES;
            if (left)
                seek(&g, job, block, generator);
            head = skip = 0;
        }
    }
    if (stream)
        stream_fence();
}

#define PYI_KERNEL(generator, sampler)                                                             \
    static void generator##_##sampler(const pyi_job *job, uint64_t first, size_t count, void *out) \
    {                                                                                              \
        fill(job, first, count, out, generator, sampler);                                          \
    }
PYI_KERNEL(PYI_PHILOX4X32_10, PYI_BITS_U32)
PYI_KERNEL(PYI_PHILOX4X32_10, PYI_UNIFORM_F32)
PYI_KERNEL(PYI_PHILOX4X32_10, PYI_UNIFORM_F64)
PYI_KERNEL(PYI_PHILOX4X32_10, PYI_NORMAL_F32)
PYI_KERNEL(PYI_PHILOX4X32_10, PYI_NORMAL_F64)
PYI_KERNEL(PYI_ARS4X32_5, PYI_BITS_U32)
PYI_KERNEL(PYI_ARS4X32_5, PYI_UNIFORM_F32)
PYI_KERNEL(PYI_ARS4X32_5, PYI_UNIFORM_F64)
PYI_KERNEL(PYI_ARS4X32_5, PYI_NORMAL_F32)
PYI_KERNEL(PYI_ARS4X32_5, PYI_NORMAL_F64)

#define PYI_ROW(generator)                                                                                           \
    {generator##_PYI_BITS_U32, generator##_PYI_UNIFORM_F32, generator##_PYI_UNIFORM_F64, generator##_PYI_NORMAL_F32, \
     generator##_PYI_NORMAL_F64}
pyi_kernel_table PYI_NAME(pyi_kernels) = {PYI_ROW(PYI_PHILOX4X32_10), PYI_ROW(PYI_ARS4X32_5)};
