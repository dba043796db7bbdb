/*
 * One thread's unit of work on a GPU: it makes a block of words and writes its samples.
 */
/* 16 bytes of samples in memory order: those of one block of words, or of several if samples are narrow. */
typedef struct {
    uint32_t word[4];
} pyi_samples;

/* Puts the table that a method reads into memory shared by the threads of a CUDA block, all of which come here. The
 * tail's table is its job's. */
PYI_INLINE void share_constants(const PYI_GLOBAL pyi_job *job, const pyi_method method, const pyi_dtype dtype)
{
#if defined(PYI_SHARED)
    if ((method == PYI_METHOD_ICDF || method == PYI_METHOD_TRUNCATED_CENTRE) && dtype != PYI_F64)
        share_table(QUANTILE_F32, QUANTILE_FIRST, PYI_SHARING);
    else if (method == PYI_METHOD_TRUNCATED_TAIL)
        share_table(job->tail, TAIL_FIRST, PYI_SHARING);
#else
    (void)job;
#endif
}

PYI_INLINE uint32_t samples_per_block(const pyi_dtype dtype) { return 4 / pyi_sample_words(dtype); }
PYI_INLINE uint32_t block_bytes(const pyi_dtype dtype) { return samples_per_block(dtype) * pyi_sample_bytes(dtype); }

/* The samples of a block, from `word` on. */
PYI_INLINE void make_samples(generator_state *g, const pyi_job *job, uint64_t block, uint32_t *word,
                             const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    u32v x[4];
    u64v x64[2];

    seek(g, job, block, generator);
    if (dtype == PYI_F64) {
        sample_words_f64(g, job, x64, generator, method);
        for (int i = 0; i < 2; i++) {
            word[2 * i] = (uint32_t)x64[i];
            word[2 * i + 1] = (uint32_t)(x64[i] >> 32);
        }
        return;
    }
    sample_words_f32(g, job, x, generator, method, dtype);
    if (pyi_sample_bytes(dtype) == 1)
        word[0] = round_f8(x[0], dtype) | round_f8(x[1], dtype) << 8 | round_f8(x[2], dtype) << 16 |
                  round_f8(x[3], dtype) << 24;
    else if (pyi_sample_bytes(dtype) == 2)
        for (int i = 0; i < 2; i++)
            word[i] = dtype == PYI_F16 ? pair_f16(f32_from_bits(x[2 * i]), f32_from_bits(x[2 * i + 1]))
                                       : pair_bf16(x[2 * i], x[2 * i + 1]);
    else
        for (int i = 0; i < 4; i++)
            word[i] = x[i];
}

PYI_INLINE void put_sample(PYI_GLOBAL char *p, const pyi_samples *s, int i, const pyi_dtype dtype)
{
    if (pyi_sample_bytes(dtype) == 8)
        *(PYI_GLOBAL uint64_t *)p = join_low32(s->word[2 * i], s->word[2 * i + 1]);
    else if (pyi_sample_bytes(dtype) == 4)
        *(PYI_GLOBAL uint32_t *)p = s->word[i];
    else if (pyi_sample_bytes(dtype) == 2)
        *(PYI_GLOBAL uint16_t *)p = (uint16_t)(s->word[i / 2] >> i % 2 * 16);
    else
        *(PYI_GLOBAL uint8_t *)p = (uint8_t)(s->word[0] >> i * 8);
}

/*
 * Makes a block and writes those of its samples that the run has: all of them, aligned for one store, if it is `whole`.
 * The block's first sample is number `begin` of the run, which has `count` samples, `stride` bytes apart, from `run`
 * on. Before the run's first sample `begin` wraps to a huge value, so `begin < count` fails.
 */
PYI_INLINE void fill_block(generator_state *g, const pyi_job *job, uint64_t block, PYI_GLOBAL char *run, uint64_t begin,
                           uint64_t count, ptrdiff_t stride, int whole, const pyi_generator generator,
                           const pyi_method method, const pyi_dtype dtype)
{
    PYI_GLOBAL char *p = run + (ptrdiff_t)begin * stride;
    pyi_samples s;

    make_samples(g, job, block, s.word, generator, method, dtype);
    if (whole) {
        if (block_bytes(dtype) == 4)
            *(PYI_GLOBAL uint32_t *)p = s.word[0];
        else if (block_bytes(dtype) == 8)
            *(PYI_GLOBAL uint2 *)p = make_uint2(s.word[0], s.word[1]);
        else
            *(PYI_GLOBAL uint4 *)p = make_uint4(s.word[0], s.word[1], s.word[2], s.word[3]);
        return;
    }
    for (int i = 0; i < (int)samples_per_block(dtype); i++, p += stride)
        if (begin + (uint64_t)i < count)
            put_sample(p, &s, i, dtype);
}

/* Whether one store can write the samples of a block: the run has no gaps, and its blocks begin at multiples of a
 * block's bytes. The first block begins `lead` samples before the run. */
PYI_INLINE int is_aligned(const PYI_GLOBAL char *run, uint64_t lead, ptrdiff_t stride, const pyi_dtype dtype)
{
    const uint64_t size = pyi_sample_bytes(dtype);
    return stride == (ptrdiff_t)size && ((uintptr_t)run - lead * size) % block_bytes(dtype) == 0;
}
