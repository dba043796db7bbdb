/*
 * Uniform samples in [low, high): the leading bits of a word are a fraction u of that many bits, and base + scale u is
 * rounded once. That can reach `high`, so it is limited to `last`, the type's largest number below `high`. Narrower
 * types round once more, which can leave the interval at either end; `first` is their least number not below `low`.
 */
typedef struct {
    f32v base, scale, first, last;
} uniform_f32;

typedef struct {
    f64v base, scale, last;
} uniform_f64;

/* u has 24 bits. */
PYI_INLINE f32v sample_uniform_f32(u32v w, const uniform_f32 *d, const int narrower)
{
    f32v u = f32_from_i32(w >> 8) * splat_f32(0x1p-24f);
    f32v x = min_f32(fma_f32(u, d->scale, d->base), d->last);
    return narrower ? max_f32(x, d->first) : x;
}

/* u has 53 bits. */
PYI_INLINE f64v sample_uniform_f64(u64v w, const uniform_f64 *d)
{
    f64v u = f64_from_u64(w >> 11) * splat_f64(0x1p-53);
    return min_f64(fma_f64(u, d->scale, d->base), d->last);
}
