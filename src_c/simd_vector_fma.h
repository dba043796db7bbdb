/* The vector tier's fma for SSE2, which has no instruction for it, and the polynomials that need it. */

/*
 * Without an instruction, the fma uses doubles. A product of floats is exact as a double; its sum with a third is
 * rounded twice, to 53 bits and to 24. That is wrong only if the first rounding is inexact and ends on a tie of the
 * second. The last 29 bits show whether a sum is halfway between two floats. If the result is a subnormal float, any
 * sum may be a tie; but then the first rounding is exact unless the addend is subnormal, because the two cancel. Such
 * sums are rare and are computed again.
 */
typedef struct {
    f64v low, high;
} doubles;
PYI_INLINE doubles splat_doubles(double x)
{
    const doubles r = {splat_f64(x), splat_f64(x)};
    return r;
}
PYI_INLINE doubles widen(f32v x)
{
    const doubles r = {_mm_cvtps_pd(x), _mm_cvtps_pd(_mm_movehl_ps(x, x))};
    return r;
}
PYI_INLINE f32v narrow(doubles x) { return _mm_movelh_ps(_mm_cvtpd_ps(x.low), _mm_cvtpd_ps(x.high)); }
PYI_INLINE doubles multiply_add(doubles a, doubles b, doubles c)
{
    const doubles r = {a.low * b.low + c.low, a.high * b.high + c.high};
    return r;
}
/* Whether any lane is not 0. */
PYI_INLINE int any_u32(u32v x) { return __builtin_expect(_mm_movemask_epi8((__m128i)x), 0); }

/* The rounding error of a sum: D. Knuth's two-sum. */
PYI_INLINE f64v rest_of_sum(f64v a, f64v b, f64v sum)
{
    const f64v b_rounded = sum - a;
    return (a - (sum - b_rounded)) + (b - b_rounded);
}
/* A sum rounded to odd: towards 0, then up to an odd last bit unless it is exact. A second rounding is then correct (S.
 * Boldo, G. Melquiond, "When double rounding is odd", IMACS 2005). */
PYI_INLINE f64v add_to_odd(f64v a, f64v b)
{
    const f64v sum = a + b, rest = rest_of_sum(a, b, sum);
    const u64v inexact = (u64v)(rest != splat_f64(0.0));
    const u64v too_far = inexact & (((u64v)rest ^ (u64v)sum) >> 63);
    return (f64v)(((u64v)sum - too_far) | (inexact & splat_u64(1)));
}
static __attribute__((noinline, cold, unused)) f32v fma_to_odd(f32v a, f32v b, f32v c)
{
    const doubles x = widen(a), y = widen(b), z = widen(c);
    const doubles r = {add_to_odd(x.low * y.low, z.low), add_to_odd(x.high * y.high, z.high)};
    return narrow(r);
}
PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c)
{
    const doubles sum = multiply_add(widen(a), widen(b), widen(c));
    const u32v ends = PYI_SHUFFLE32((u32v)sum.low, (u32v)sum.high, 0, 2, 4, 6);
    const u32v ties = (u32v)((ends << 3) == splat_u32(0x80000000u));
    const u32v magnitude = (u32v)c & splat_u32(0x7fffffffu);
    const u32v subnormal = (u32v)(magnitude != splat_u32(0)) & (u32v)((i32v)magnitude < (i32v)splat_u32(0x00800000u));
    return any_u32(ties | subnormal) ? fma_to_odd(a, b, c) : narrow(sum);
}

#define PYI_OWN_EXACT_FMAS
PYI_INLINE f32v exact_product_fma_f32(f32v a, f32v b, f32v c) { return a * b + c; }
PYI_INLINE f32v exact_sum_fma_f32(f32v a, f32v b, f32v c) { return narrow(multiply_add(widen(a), widen(b), widen(c))); }

/*
 * A double to add to a product and c, so that the last bit of the sum weighs the same as a float's: 2^29 - 1 times B,
 * the power of 2 nearest to c, with c's sign. If the result is below B, the sum is below 2^29 B, where the last bit
 * weighs half as much.
 */
PYI_INLINE double float_rounder(float c)
{
    uint32_t bits;
    memcpy(&bits, &c, sizeof bits);
    bits = (bits + 0x004afb0du) & 0xff800000u; /* up from sqrt(2) on */
    memcpy(&c, &bits, sizeof bits);
    return (double)c * (0x1p29 - 1);
}
/* Each step is rounded once, as a float, though its sum is a double. Valid range: the result of a step with the
 * coefficient c has c's sign, and is at least B / 2 and less than 2 B. */
#define PYI_OWN_HORNER
PYI_INLINE f32v horner_f32(f32v x, const float *p, int degree)
{
    const doubles by = widen(x);
    doubles y = splat_doubles(p[degree]);
    for (int i = degree - 1; i >= 0; i--) {
        const double rounder = float_rounder(p[i]);
        y = multiply_add(y, by, splat_doubles(p[i] + rounder));
        y.low -= splat_f64(rounder);
        y.high -= splat_f64(rounder);
    }
    return narrow(y);
}

/*
 * A table's polynomials go through 0. Their steps are rounded to 24 bits as integers, up from halfway; ties are noted
 * in `ties`, in the low half of each double, and the whole is then computed again. Valid range: coefficients that are 0
 * or at least 2^-60; next to these, the rounding of a step that is a subnormal float makes no difference. The last step
 * is rounded as a float.
 */
PYI_INLINE f64v round_to_24_bits(f64v x, u32v *ties)
{
    const u64v up = (u64v)x + splat_u64(0x10000000u), r = up & splat_u64(0xffffffffe0000000u);
    /* An intrinsic: with `|`, GCC would keep all operands until later. */
    *ties = (u32v)_mm_or_ps((f32v)*ties, (f32v)((u32v)up == (u32v)r));
    return (f64v)r;
}
PYI_INLINE doubles polynomial_step(doubles y, doubles x, doubles coefficient, u32v *ties)
{
    const doubles r = {round_to_24_bits(y.low, ties), round_to_24_bits(y.high, ties)};
    return multiply_add(r, x, coefficient);
}
PYI_INLINE int polynomial_is_sure(doubles y, u32v ties)
{
    round_to_24_bits(y.low, &ties);
    round_to_24_bits(y.high, &ties);
    return !any_u32(ties & (u32v){0xffffffffu, 0, 0xffffffffu, 0});
}
#define PYI_OWN_TABLE_POLYNOMIAL

/*
 * The fma of doubles, in parts. The product is an exact sum of two (T. J. Dekker). Its sum with the third number is
 * rounded to odd except for the largest part (S. Boldo, G. Melquiond, "Emulation of a FMA and correctly rounded sums:
 * proved algorithms using rounding to odd", IEEE Transactions on Computers 57 (2008), 462-471). A C library without the
 * instruction takes 25 times as long; it gets only the cases in which parts underflow, overflow or give 0.
 */
PYI_INLINE f64v fma_by_library(f64v a, f64v b, f64v c) { return (f64v){fma(a[0], b[0], c[0]), fma(a[1], b[1], c[1])}; }
PYI_INLINE f64v upper_half(f64v x)
{
    const f64v scaled = x * splat_f64(0x1p27 + 1);
    return scaled - (scaled - x);
}
static __attribute__((noinline, unused)) f64v fma_f64(f64v a, f64v b, f64v c)
{
    const f64v a_high = upper_half(a), a_low = a - a_high, b_high = upper_half(b), b_low = b - b_high, product = a * b;
    const f64v rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    const f64v low = c + rest, high = product + low;
    const f64v sum = high + add_to_odd(rest_of_sum(c, rest, low), rest_of_sum(product, low, high));
    const f64v magnitude = (f64v)((u64v)product & splat_u64(0x7fffffffffffffffu));
    const u64v small = (u64v)(magnitude < splat_f64(0x1p-960)) & (u64v)(a != splat_f64(0)) & (u64v)(b != splat_f64(0));
    const u64v finite = (u64v)(sum > splat_f64(0)) | (u64v)(sum < splat_f64(0)); /* neither 0 nor nan */
    return any_u32((u32v)(small | ~finite)) ? fma_by_library(a, b, c) : sum;
}
