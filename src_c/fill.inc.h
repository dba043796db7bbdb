/*
 * The buffer loops: generator x method x dtype, for the one instruction set whose simd header came before.
 * A kernel is `fill` with these three as constants.
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

/* Writes the samples of the next PYI_BLOCKS blocks. */
PYI_INLINE void step(generator_state *g, const pyi_job *job, char *out, int stream, const pyi_generator generator,
                     const pyi_method method, const pyi_dtype dtype)
{
    u32v x[2 * PYI_PAIR_VECTORS], odd[PYI_PAIR_VECTORS];
    u64v x64[2];

    switch (dtype) {
    case PYI_U32:
    case PYI_F32:
        sample_words_f32(g, job, x, generator, method);
        put_u32(out, x, 2 * PYI_PAIR_VECTORS, stream);
        break;
    case PYI_F16:
        sample_words_f32(g, job, x, generator, method);
        put_f16(out, x, stream);
        break;
    case PYI_BF16:
        sample_pairs_f32(g, job, x, odd, generator, method);
        pack_bf16(x, odd, x);
        put_u32(out, x, PYI_PAIR_VECTORS, stream);
        break;
    case PYI_F64:
        sample_words_f64(g, job, x64, generator, method);
        put_u64(out, x64, stream);
        break;
    }
}

/*
 * Does a part of the job. Whole steps go straight to the buffer; what begins or ends inside a step, and what precedes
 * the alignment that streaming needs, goes by way of `piece`. A streaming row is brought to that alignment by a head
 * of whole blocks, where they can.
 */
PYI_INLINE void fill(const pyi_job *given, const pyi_part *part, char *row, const pyi_generator generator,
                     const pyi_method method, const pyi_dtype dtype)
{
    const pyi_job job = *given; /* a copy, which no store can change */
    const size_t size = dtype == PYI_F64 ? 8 : dtype == PYI_F16 || dtype == PYI_BF16 ? 2 : 4;
    const size_t per_block = dtype == PYI_F64 ? 2 : 4;
    const size_t block_bytes = per_block * size, step_bytes = PYI_BLOCKS * block_bytes;
    const size_t alignment = sizeof(u32v) > block_bytes ? sizeof(u32v) : block_bytes;
    const uint64_t *blocks = part->blocks;
    uint64_t sample = part->first + job.skip;
    int streamed = 0;
    generator_state g;

    start(&g, &job, generator);
    for (size_t rows = part->rows; rows; rows--, sample += part->row_step, row += part->row_stride) {
        const uint64_t block = job.block + sample / per_block;
        size_t left = part->count * (blocks ? block_bytes : size), head = 0;
        size_t skip = blocks ? 0 : (size_t)(sample % per_block) * size;
        char *out = row;
        int stream = 0;

        seek(&g, &job, block, generator);
        if (job.stream) {
            const size_t to_boundary = (size_t)(-((uintptr_t)out - skip) % alignment);
            stream = to_boundary % block_bytes == 0;
            streamed |= stream;
            if (stream && (to_boundary || skip))
                head = to_boundary ? to_boundary : alignment;
        }
        while (left) {
            if (!head && !skip)
                for (; left >= step_bytes; left -= step_bytes, out += step_bytes) {
                    if (blocks) {
                        seek_listed(&g, &job, blocks, generator);
                        blocks += PYI_BLOCKS;
                    }
                    step(&g, &job, out, stream, generator, method, dtype);
                }
            if (left) {
                char piece[PYI_BLOCKS * 16];
                const size_t end = head ? head : step_bytes, taken = end - skip < left ? end - skip : left;
                step(&g, &job, piece, 0, generator, method, dtype);
                memcpy(out, piece + skip, taken);
                out += taken;
                left -= taken;
                if (head)
                    seek(&g, &job, block + head / block_bytes, generator);
                head = skip = 0;
            }
        }
    }
    if (streamed)
        stream_fence();
}

#define PYI_KERNEL(generator, method, dtype)                                                        \
    static void generator##_##method##_##dtype(const pyi_job *job, const pyi_part *part, void *out) \
    {                                                                                               \
        fill(job, part, out, generator, method, dtype);                                             \
    }
#define PYI_PHILOX_KERNEL(method, dtype) PYI_KERNEL(PYI_PHILOX4X32_10, method, dtype)
#define PYI_ARS_KERNEL(method, dtype) PYI_KERNEL(PYI_ARS4X32_5, method, dtype)
PYI_EACH_KERNEL(PYI_PHILOX_KERNEL)
PYI_EACH_KERNEL(PYI_ARS_KERNEL)

#define PYI_PHILOX_ENTRY(method, dtype) [PYI_PHILOX4X32_10][method][dtype] = PYI_PHILOX4X32_10##_##method##_##dtype,
#define PYI_ARS_ENTRY(method, dtype) [PYI_ARS4X32_5][method][dtype] = PYI_ARS4X32_5##_##method##_##dtype,
pyi_kernel_table PYI_NAME(pyi_kernels) = {PYI_EACH_KERNEL(PYI_PHILOX_ENTRY) PYI_EACH_KERNEL(PYI_ARS_ENTRY)};
