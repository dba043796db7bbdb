/*
 * Uniform samples of [low, high): the leading bits of a word as a fraction u of that many bits, then
 * low + scale u with one rounding. The rounding can reach high; `last`, the largest value below it, bounds it.
 */
typedef struct {
    f32v low, scale, last;
} uniform_f32;

typedef struct {
    f64v low, scale, last;
} uniform_f64;

/* 24 bits. */
PYI_INLINE f32v sample_uniform_f32(u32v w, const uniform_f32 *d)
{
    f32v u = f32_from_i32(w >> 8) * splat_f32(0x1p-24f);
    return min_f32(fma_f32(u, d->scale, d->low), d->last);
}

/* 53 bits. */
PYI_INLINE f64v sample_uniform_f64(u64v w, const uniform_f64 *d)
{
    f64v u = f64_from_u64(w >> 11) * splat_f64(0x1p-53);
    return min_f64(fma_f64(u, d->scale, d->low), d->last);
}
