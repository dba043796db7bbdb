/*
 * Uniform samples of [low, high): the leading bits of a word as a fraction u of that many bits, then base + scale u
 * with one rounding, which can reach `high`: `last`, the largest number of the type below it, bounds that. Narrower
 * types round once more, and that may lead out at either end: `first` is their least number that is not below `low`.
 */
typedef struct {
    f32v base, scale, first, last;
} uniform_f32;

typedef struct {
    f64v base, scale, last;
} uniform_f64;

/* 24 bits. */
PYI_INLINE f32v sample_uniform_f32(u32v w, const uniform_f32 *d, const int narrower)
{
    f32v u = f32_from_i32(w >> 8) * splat_f32(0x1p-24f);
    f32v x = min_f32(fma_f32(u, d->scale, d->base), d->last);
    return narrower ? max_f32(x, d->first) : x;
}

/* 53 bits. */
PYI_INLINE f64v sample_uniform_f64(u64v w, const uniform_f64 *d)
{
    f64v u = f64_from_u64(w >> 11) * splat_f64(0x1p-53);
    return min_f64(fma_f64(u, d->scale, d->base), d->last);
}
