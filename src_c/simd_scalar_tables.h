/*
 * One lane's look-ups in a table of 16, by the low four bits of an index. On CUDA the coefficients are in memory that
 * the threads of a CUDA block share: constant memory is slow when threads read different entries.
 */
typedef u32v table_index;
#if defined(PYI_SHARED)
/* The index of a biased exponent among the 16 from `first` on. */
PYI_INLINE table_index index_table(u32v x, const uint32_t first) { return x - first; }

/* The shared memory of a CUDA block, with the coefficients of a polynomial side by side. A row takes an odd number of
 * 16 bytes, so that eight rows are in different banks. After the coefficients comes the power of 2 that scales the
 * row's octave to [1, 2). */
PYI_SHARED PYI_ALIGN(16) float shared_table[PYI_QUANTILE_OCTAVES][12];
/* Fills it; all threads of a CUDA block call this together, before they diverge. */
PYI_INLINE void share_table(const float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES], uint32_t first,
                            uint32_t thread, uint32_t threads)
{
    for (uint32_t i = thread; i < PYI_QUANTILE_TERMS * PYI_QUANTILE_OCTAVES; i += threads)
        shared_table[i % 16][i / 16] = table[i / 16][(first + i) % 16];
    for (uint32_t i = thread; i < PYI_QUANTILE_OCTAVES; i += threads)
        shared_table[i][PYI_QUANTILE_TERMS] = f32_from_bits((254 - first - i) << 23);
    __syncthreads();
}
/* 2 minus the significand of s, which is in [1, 2), without rounding; the index is that of s's exponent. */
PYI_INLINE f32v two_minus_significand(f32v s, table_index i)
{
    return fma_f32(-s, shared_table[i][PYI_QUANTILE_TERMS], 2.0f);
}
/* A polynomial in x, the one of 16 that the index chooses, from the shared copy of the table. */
PYI_INLINE f32v table_polynomial(f32v x, table_index i, const float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES])
{
    const float *row = shared_table[i];
    f32v y = row[PYI_QUANTILE_TERMS - 1];
    (void)table;
    for (int k = PYI_QUANTILE_TERMS - 2; k >= 0; k--)
        y = fma_f32(y, x, row[k]);
    return y;
}
#define job_polynomial table_polynomial
#else
PYI_INLINE table_index index_table(u32v x, const uint32_t first)
{
    (void)first;
    return x & 15;
}
#define look_up(i, table) ((table)[i])
#endif
