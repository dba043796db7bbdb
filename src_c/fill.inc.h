/*
 * The buffer loops for each generator, method and type, for one instruction set, whose simd header comes first. A
 * kernel is `fill` with these three as constants.
 */
#include "samples.h"

PYI_INLINE void put_u32(char *out, const u32v *x, int vectors, int stream)
{
    for (int i = 0; i < vectors; i++)
        if (stream)
            stream_u32(out + (size_t)i * sizeof(u32v), x[i]);
        else
            store_u32(out + (size_t)i * sizeof(u32v), x[i]);
}
PYI_INLINE void put_u64(char *out, const u64v x[2], int stream)
{
    for (int i = 0; i < 2; i++)
        if (stream)
            stream_u64(out + (size_t)i * sizeof(u64v), x[i]);
        else
            store_u64(out + (size_t)i * sizeof(u64v), x[i]);
}
PYI_INLINE void put_f16(char *out, const u32v x[2 * PYI_PAIR_VECTORS], int stream)
{
    for (int i = 0; i < 2 * PYI_PAIR_VECTORS; i++)
        if (stream)
            stream_f16(out + (size_t)i * sizeof(u32v) / 2, f32_from_bits(x[i]));
        else
            store_f16(out + (size_t)i * sizeof(u32v) / 2, f32_from_bits(x[i]));
}
PYI_INLINE void put_f8(char *out, const u32v x[2 * PYI_PAIR_VECTORS], int stream, const pyi_dtype dtype)
{
    for (int i = 0; i < 2 * PYI_PAIR_VECTORS; i++)
        if (stream)
            stream_u8(out + (size_t)i * sizeof(u32v) / 4, round_f8(x[i], dtype));
        else
            store_u8(out + (size_t)i * sizeof(u32v) / 4, round_f8(x[i], dtype));
}

/* Writes the samples of the next PYI_BLOCKS blocks. */
PYI_INLINE void step(generator_state *g, const pyi_job *job, char *out, int stream, const pyi_generator generator,
                     const pyi_method method, const pyi_dtype dtype)
{
    u32v x[2 * PYI_PAIR_VECTORS], odd[PYI_PAIR_VECTORS];
    u64v x64[2];

    if (dtype == PYI_F64) {
        sample_words_f64(g, job, x64, generator, method);
        put_u64(out, x64, stream);
    } else if (dtype == PYI_BF16) {
        sample_pairs_f32(g, job, x, odd, generator, method, dtype);
        pack_bf16(x, odd, x);
        put_u32(out, x, PYI_PAIR_VECTORS, stream);
    } else {
        sample_words_f32(g, job, x, generator, method, dtype);
        if (dtype == PYI_F16)
            put_f16(out, x, stream);
        else if (pyi_sample_bytes(dtype) == 1)
            put_f8(out, x, stream, dtype);
        else
            put_u32(out, x, 2 * PYI_PAIR_VECTORS, stream);
    }
}

/* Does a part of the job. `step` is long, so it is called in one place. */
PYI_INLINE void fill(const pyi_job *given, const pyi_part *part, char *row, const pyi_generator generator,
                     const pyi_method method, const pyi_dtype dtype)
{
    const pyi_job job = *given; /* a copy, which no store can change */
    const uint64_t *blocks = NULL;
    uint64_t first = part->first;
    int streamed = 0;
    generator_state g;

    start(&g, &job, generator);
    for (size_t rows = part->rows + 1; rows; rows--, first += part->row_step, row += part->row_stride) {
        pyi_body body;
        char *out;
        if (rows > 1) {
            body = pyi_body_of(&job, first, part->count, row, PYI_BLOCKS);
            out = row + body.lead * pyi_sample_bytes(dtype);
            streamed |= body.stream;
        } else if (part->listed) { /* after all rows, the list */
            body = (pyi_body){.blocks = (part->listed + PYI_BLOCKS - 1) / PYI_BLOCKS * PYI_BLOCKS};
            blocks = part->blocks;
            out = part->scratch;
        } else
            break;
        seek(&g, &job, body.block, generator);
        for (size_t left = body.blocks; left; left -= PYI_BLOCKS) {
            if (blocks) {
                seek_listed(&g, &job, blocks, generator);
                blocks += PYI_BLOCKS;
            }
            step(&g, &job, out, body.stream, generator, method, dtype);
            out += PYI_BLOCKS * pyi_sample_bytes(dtype) << pyi_block_shift(dtype);
        }
    }
    if (streamed && !part->more)
        stream_fence();
}

/* The kernels, one for each combination of the tables' rows, and the tier's table of those that it has. */
#ifndef PYI_TIER_HAS
#define PYI_TIER_HAS PYI_HAS_KERNEL
#endif
#define PYI_KERNEL(generator, method, dtype, number, name, bytes, words, digits, least, largest)    \
    static void generator##_##method##_##dtype(const pyi_job *job, const pyi_part *part, void *out) \
    {                                                                                               \
        if (PYI_TIER_HAS(method, dtype, words))                                                     \
            fill(job, part, out, generator, method, dtype);                                         \
    }
#define PYI_KERNELS_OF_METHOD(generator, method, number) PYI_EACH_DTYPE(PYI_KERNEL, generator, method)
#define PYI_KERNELS_OF_GENERATOR(a, b, generator, number, name) PYI_EACH_METHOD(PYI_KERNELS_OF_METHOD, generator)
PYI_EACH_GENERATOR(PYI_KERNELS_OF_GENERATOR, , )

#define PYI_ENTRY(generator, method, dtype, number, name, bytes, words, digits, least, largest) \
    [generator][method][dtype] = PYI_TIER_HAS(method, dtype, words) ? generator##_##method##_##dtype : 0,
#define PYI_ENTRIES_OF_METHOD(generator, method, number) PYI_EACH_DTYPE(PYI_ENTRY, generator, method)
#define PYI_ENTRIES_OF_GENERATOR(a, b, generator, number, name) PYI_EACH_METHOD(PYI_ENTRIES_OF_METHOD, generator)
PYI_HIDDEN const pyi_kernels PYI_NAME(pyi_kernels) = {PYI_BLOCKS, {PYI_EACH_GENERATOR(PYI_ENTRIES_OF_GENERATOR, , )}};
