/*
 * Truncated normals: the quantile of Phi(lower) + u (Phi(upper) - Phi(lower)), u = (w + 1/2) / 2^32 or 2^64 for a word
 * w. A sample takes one word; nothing is rejected, and the bounds get no mass. distribution.c chooses one of three
 * methods by the interval and computes its constants.
 *
 * Every method makes a standard normal and applies `std` and `mean`. If rounding moves a sample beyond a bound, it
 * becomes `low` or `high`, the outermost numbers between the bounds.
 */
typedef struct {
    f32v mean, std, low, high;
    u32v flip, unflip; /* one is all zeros, the other all ones: flipped words count from the other end */
} truncated_f32;

typedef struct {
    f64v mean, std, low, high;
    u64v flip, unflip;
} truncated_f64;

PYI_INLINE f32v between_f32(f32v x, const truncated_f32 *d) { return min_f32(max_f32(x, d->low), d->high); }
PYI_INLINE f64v between_f64(f64v x, const truncated_f64 *d) { return min_f64(max_f64(x, d->low), d->high); }

/*
 * The common method, for intervals with the median inside or nearby; for doubles, for all that are not narrow. Words up
 * to `median` are below the median of the untruncated normal, the others above it. On either side, let p be the tail's
 * probability: 2 p is linear in the distance to the end, and 1 - 2 p in the distance to the median (both times 4 for
 * floats). Max error, before mean and std: 4.5 2^-24 of z; but a float's outermost words, with p below 2^-33, give
 * 6.338, the z of 2^-33. For a double 16 2^-53 of z, or of the interval's length up to 1, if that is larger.
 */
typedef struct {
    truncated_f32 bounds;
    u32v median, above; /* the last word below the median, and the next */
    f32v step, end_below, end_above, median_below, median_above;
} truncated_centre_f32;

typedef struct {
    truncated_f64 bounds;
    u64v median, above;
    f64v step, end_below, end_above, median_below, median_above;
} truncated_centre_f64;

PYI_INLINE f32v sample_truncated_centre_f32(u32v word, const truncated_centre_f32 *d)
{
    const u32v w = word ^ d->bounds.flip;
    const mask32v below = le_u32(w, d->median);
    const f32v from_end = f32_from_u32(select_u32(below, w, word ^ d->bounds.unflip));
    const f32v from_median = f32_from_u32(select_u32(below, d->median - w, w - d->above));
    const f32v v = fma_f32(from_end, d->step, select_f32(below, d->end_below, d->end_above));
    const f32v t = fma_f32(from_median, d->step, select_f32(below, d->median_below, d->median_above));
    const f32v z = quantile_f32(max_f32(v, splat_f32(0x1p-30f)), t);
    return between_f32(fma_f32(negate_where_f32(below, z), d->bounds.std, d->bounds.mean), &d->bounds);
}

PYI_INLINE f64v sample_truncated_centre_f64(u64v word, const truncated_centre_f64 *d)
{
    const u64v w = word ^ d->bounds.flip;
    const mask64v below = le_u64(w, d->median);
    const f64v from_end = f64_from_u64(select_u64(below, w, word ^ d->bounds.unflip));
    const f64v from_median = f64_from_u64(select_u64(below, d->median - w, w - d->above));
    const f64v v = fma_f64(from_end, d->step, select_f64(below, d->end_below, d->end_above));
    const f64v t = fma_f64(from_median, d->step, select_f64(below, d->median_below, d->median_above));
    const f64v z = quantile_f64(minus_two_log_f64(v * splat_f64(0.5)), t);
    const u64v sign = select_u64(below, splat_u64(0x8000000000000000u), splat_u64(0));
    return between_f64(fma_f64(f64_from_bits(bits_f64(z) ^ sign), d->bounds.std, d->bounds.mean), &d->bounds);
}

/*
 * The method for intervals beyond 0.5: p = p_near r, where p_near is the probability beyond the bound nearer to 0, and
 * r in (0, 1] is linear in the word. In each octave of s = sqrt(r), the sample's distance from that bound is a
 * polynomial, like z in quantile_f32; distribution.c computes its coefficients for the interval. So samples next to the
 * bound are as exact as their distance from it, and a larger word never gives a smaller sample. The bound's place is
 * the sum of `mean` and `mean_low`, the smaller part. Max error: 2 2^-24 of z, below 1 up to 4.5 2^-24, where s is
 * coarser than the samples; but the outermost word gives the sample of 2^-32 p_near.
 */
#define TAIL_FIRST 111 /* the biased exponent of 2^-16 */

typedef struct {
    truncated_f32 bounds;
    f32v mean_low, step, first;
} truncated_tail_f32;

PYI_INLINE f32v sample_truncated_tail_f32(u32v word, const truncated_tail_f32 *d,
                                          const float tail[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES])
{
    const f32v r = fma_f32(f32_from_u32(word ^ d->bounds.flip), d->step, d->first);
    const f32v within = max_f32(min_f32(r, splat_f32(0x1.fffffep-1f)), splat_f32(0x1p-32f));
    const f32v s = sqrt_above_0_f32(within);
    const table_index octave = index_table(bits_f32(s) >> 23, TAIL_FIRST);
    const f32v distance = job_polynomial(two_minus_significand(s, octave), octave, tail);
    return between_f32(fma_f32(distance, d->bounds.std, d->mean_low) + d->bounds.mean, &d->bounds);
}

/*
 * The method for narrow intervals, where probabilities would lose the digits that distinguish the samples: the Taylor
 * series of the quantile about the interval's middle, x = (u - 1/2) (Phi(upper) - Phi(lower)) / phi(middle). The sum is
 * rounded once, because the mean has two parts, `mean` and the smaller `mean_low`. The constants are the coefficients
 * of the powers of x / (Phi(upper) - Phi(lower)) phi(middle) instead; half_step is the distance of the median from the
 * middle. Max error: 1 ulp of the larger bound.
 */
typedef struct {
    truncated_f32 bounds;
    f32v mean_low, step, half_step, series[5];
} truncated_narrow_f32;

typedef struct {
    truncated_f64 bounds;
    f64v mean_low, step, half_step, series[5];
} truncated_narrow_f64;

PYI_INLINE f32v sample_truncated_narrow_f32(u32v word, const truncated_narrow_f32 *d)
{
    const f32v i = f32_from_i32(word ^ splat_u32(0x80000000u));
    const f32v x = fma_f32(i, d->step, d->half_step);
    f32v z = d->series[4];
    for (int k = 3; k >= 0; k--)
        z = fma_f32(z, x, d->series[k]);
    return between_f32(fma_f32(z, x, d->mean_low) + d->bounds.mean, &d->bounds);
}

PYI_INLINE f64v sample_truncated_narrow_f64(u64v word, const truncated_narrow_f64 *d)
{
    const f64v i = f64_from_i64(word ^ splat_u64(0x8000000000000000u));
    const f64v x = fma_f64(i, d->step, d->half_step);
    f64v z = d->series[4];
    for (int k = 3; k >= 0; k--)
        z = fma_f64(z, x, d->series[k]);
    return between_f64(fma_f64(z, x, d->mean_low) + d->bounds.mean, &d->bounds);
}
