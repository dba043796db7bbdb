/* Polynomials by table, for those instruction sets that have `look_up`. */
/* 2 minus the significand of s, which is in [1, 2); the index is of s's exponent. */
PYI_INLINE f32v two_minus_significand(f32v s, table_index i)
{
    (void)i;
    return splat_f32(2.0f) - f32_from_bits((bits_f32(s) & splat_u32(0x007fffffu)) | splat_u32(0x3f800000u));
}
/* A polynomial of degree 8 in x, the one of 16 that an index chooses. */
PYI_INLINE f32v polynomial_by_look_up(f32v x, table_index i, const PYI_CONSTANT float table[9][16])
{
    f32v y = look_up(i, table[8]);
    for (int k = 7; k >= 0; k--)
        y = fma_f32(y, x, look_up(i, table[k]));
    return y;
}
