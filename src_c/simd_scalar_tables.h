/*
 * One lane's polynomials by table. On CUDA the coefficients come from memory that the threads of a CUDA block share,
 * for there a table of constants is slow where the threads ask for different ones.
 */
/* Look-ups in a table of 16, which starts on a 64-byte boundary, by the low four bits of an index. */
typedef u32v table_index;
#if defined(PYI_SHARED)
/* Of a biased exponent from -15 to 0, which is all that asks. */
PYI_INLINE table_index index_table(u32v x) { return x - 112; }

/* The table in memory that a CUDA block's threads share, with the coefficients of a polynomial side by side. A row has
 * an odd number of 16 bytes, so that eight rows lie in different banks. Behind them is what takes a number of the row's
 * octave to [1, 2). */
PYI_SHARED PYI_ALIGN(16) float shared_table[16][12];
/* Makes it: all threads of a CUDA block together, before they part. */
PYI_INLINE void share_table(const PYI_CONSTANT float table[9][16], uint32_t thread, uint32_t threads)
{
    for (uint32_t i = thread; i < 9 * 16; i += threads)
        shared_table[i % 16][i / 16] = table[i / 16][i % 16];
    for (uint32_t i = thread; i < 16; i += threads)
        shared_table[i][9] = f32_from_bits((142 - i) << 23);
    __syncthreads();
}
/* 2 minus the significand of s, which is in [1, 2), without rounding; the index is of s's exponent. */
PYI_INLINE f32v two_minus_significand(f32v s, table_index i) { return fma_f32(-s, shared_table[i][9], 2.0f); }
/* A polynomial of degree 8 in x, the one of 16 that an index chooses; from the shared copy of the table. */
PYI_INLINE f32v table_polynomial(f32v x, table_index i, const PYI_CONSTANT float table[9][16])
{
    const float *row = shared_table[i];
    f32v y = row[8];
    (void)table;
    for (int k = 7; k >= 0; k--)
        y = fma_f32(y, x, row[k]);
    return y;
}
#else
PYI_INLINE table_index index_table(u32v x) { return x & 15; }
PYI_INLINE f32v look_up(table_index i, const PYI_CONSTANT float table[16]) { return table[i]; }
PYI_INLINE void share_table(const PYI_CONSTANT float table[9][16], uint32_t thread, uint32_t threads)
{
    (void)table, (void)thread, (void)threads;
}
#include "simd_look_up.h"

PYI_INLINE f32v table_polynomial(f32v x, table_index i, const PYI_CONSTANT float table[9][16])
{
    return polynomial_by_look_up(x, i, table);
}
#endif
