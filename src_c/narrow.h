/*
 * Rounds floats to 8 bits, to nearest, ties to even, as ml_dtypes does. Valid range: no nan. A type is described by the
 * bits that its significand keeps and its exponent's bias. A result above `largest`, compared as bits, becomes
 * `overflow`: infinity in e5m2, nan in e4m3fn, which has no infinity.
 */
PYI_INLINE u32v round_to_8_bits(u32v x, const int digits, const int bias, const uint32_t largest,
                                const uint32_t overflow)
{
    const int cut = 23 - digits;
    const u32v sign = x >> 24 & splat_u32(0x80u), magnitude = x & splat_u32(0x7fffffffu);
    /* Normal numbers: add half of the last bit kept, less one if that bit is even. Others: add a float whose last bit
     * has the same weight as theirs. */
    const u32v even = magnitude >> cut & splat_u32(1);
    const u32v normal = (magnitude + even + splat_u32((1u << (cut - 1)) - 1 - ((uint32_t)(127 - bias) << 23))) >> cut;
    const f32v grid = splat_f32((float)((uint32_t)1 << (24 - digits - bias)));
    const u32v subnormal = bits_f32(f32_from_bits(magnitude) + grid) - bits_f32(grid);
    const u32v least = splat_u32((uint32_t)(128 - bias) << 23); /* the least normal number */
    const u32v finite = select_u32(le_u32(least, magnitude), normal, subnormal);
    return sign | select_u32(le_u32(finite, splat_u32(largest)), finite, splat_u32(overflow));
}

PYI_INLINE u32v round_f8(u32v x, const pyi_dtype dtype)
{
    return dtype == PYI_F8_E4M3FN ? round_to_8_bits(x, 3, 7, 0x7e, 0x7f) : round_to_8_bits(x, 2, 15, 0x7b, 0x7c);
}
