/* Functions built from an instruction set's own operations, the same for each. */

/* The bfloat16 nearest to a float, ties to even, as the upper half. In integers, since processors' conversions flush
 * subnormals. Valid range: no nan. */
PYI_INLINE u32v round_bf16(u32v x) { return x + splat_u32(0x7fff) + (x >> 16 & splat_u32(1)); }

PYI_INLINE f32v negate_where_f32(mask32v m, f32v x)
{
    return f32_from_bits(bits_f32(x) ^ select_u32(m, splat_u32(0x80000000u), splat_u32(0)));
}

/* fma_f32 if the product is exact as a float, or the sum as a double: simpler for tiers without an fma instruction. */
#if !defined(PYI_OWN_EXACT_FMAS)
PYI_INLINE f32v exact_product_fma_f32(f32v a, f32v b, f32v c) { return fma_f32(a, b, c); }
PYI_INLINE f32v exact_sum_fma_f32(f32v a, f32v b, f32v c) { return fma_f32(a, b, c); }
#endif

/* The root of a number that is not 0, which is simpler on CUDA. */
#if !defined(PYI_OWN_SQRT_ABOVE_0)
PYI_INLINE f32v sqrt_above_0_f32(f32v x) { return sqrt_f32(x); }
#endif

#if !defined(PYI_SHARED) /* for a CUDA block, simd_scalar_tables.h has these */
/* 2 minus the significand of s, which is in [1, 2); the index is that of s's exponent. */
PYI_INLINE f32v two_minus_significand(f32v s, table_index i)
{
    (void)i;
    return splat_f32(2.0f) - f32_from_bits((bits_f32(s) & splat_u32(0x007fffffu)) | splat_u32(0x3f800000u));
}
/* A polynomial in x, the one of 16 that the index chooses; one function for each address space of the table, for
 * OpenCL. */
#define PYI_POLYNOMIAL(name, space)                                                                                \
    PYI_INLINE f32v name(f32v x, table_index i, const space float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES]) \
    {                                                                                                              \
        f32v y = look_up(i, table[PYI_QUANTILE_TERMS - 1]);                                                        \
        for (int k = PYI_QUANTILE_TERMS - 2; k >= 0; k--)                                                          \
            y = fma_f32(y, x, look_up(i, table[k]));                                                               \
        return y;                                                                                                  \
    }
PYI_POLYNOMIAL(polynomial_by_look_up, PYI_CONSTANT_SPACE)
#if !defined(PYI_OWN_TABLE_POLYNOMIAL)
#define table_polynomial polynomial_by_look_up
#endif
/* The same for a table in the job. */
#if defined(__OPENCL_VERSION__)
PYI_POLYNOMIAL(job_polynomial, )
#else
#define job_polynomial table_polynomial
#endif
#endif
