/*
 * Box-Muller: a pair of words gives a pair of independent normals, radius sqrt(-2 ln u) in a uniformly random
 * direction. It suits counter-based generators: without rejection, sample n needs only words near n.
 *
 * Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of Mathematical
 * Statistics 29 (1958), 610-611.
 */
typedef struct {
    f32v mean, std;
} normal_f32;

typedef struct {
    f64v mean, std;
} normal_f64;

/*
 * u = (w + 1/2) / 2^32, rounded, keeps all 32 bits near 0, in the tail: the radius is below 6.77. For the last 128
 * words u is 1, and both samples are the mean. The radius is multiplied by std first, then by the direction. Max error:
 * 6 ulp of the radius of the rounded u, in either component, at mean 0.
 */
PYI_INLINE void box_muller_f32(u32v even, u32v odd, const normal_f32 *d, f32v *first, f32v *second)
{
    f32v u = exact_product_fma_f32(f32_from_u32(even), splat_f32(0x1p-32f), splat_f32(0x1p-33f));
    f32v cosine, sine;
    u32v sign;
    f32v square = minus_two_log_f32(u);
    cos_sin_f32(odd, &cosine, &sine, &sign);
    u32v radius = bits_f32(sqrt_f32(square));
    f32v r = f32_from_bits(radius ^ (sign & splat_u32(0x80000000u))) * d->std;
    *first = fma_f32(r, cosine, d->mean);
    *second = fma_f32(r, sine, d->mean);
}

/* The same from 64-bit words: u = (w + 1/2) / 2^64, and a radius below 9.5. */
PYI_INLINE void box_muller_f64(u64v even, u64v odd, const normal_f64 *d, f64v *first, f64v *second)
{
    f64v u = fma_f64(f64_from_u64(even), splat_f64(0x1p-64), splat_f64(0x1p-65));
    f64v cosine, sine;
    u64v sign;
    cos_sin_f64(odd, &cosine, &sine, &sign);
    u64v radius = bits_f64(sqrt_f64(minus_two_log_f64(u)) * d->std);
    f64v r = f64_from_bits(radius ^ (sign & splat_u64(0x8000000000000000u)));
    *first = fma_f64(r, cosine, d->mean);
    *second = fma_f64(r, sine, d->mean);
}
