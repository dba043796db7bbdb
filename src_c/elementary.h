/*
 * The elementary functions that samplers need, from integer operations, + - * fma and sqrt alone, in a fixed order, so
 * that every tier computes the same bits. src_c/tools/coefficients.py prints the coefficients.
 */

/* p[0] + x (p[1] + x (p[2] + ...)). The one of simd_vector_fma.h takes only sums that are close to p[0], to p[1], and
 * so on. */
#if !defined(PYI_OWN_HORNER)
PYI_INLINE f32v horner_f32(f32v x, const float *p, int degree)
{
    f32v y = splat_f32(p[degree]);
    for (int i = degree - 1; i >= 0; i--)
        y = fma_f32(y, x, splat_f32(p[i]));
    return y;
}
#endif
PYI_INLINE f64v horner_f64(f64v x, const double *p, int degree)
{
    f64v y = splat_f64(p[degree]);
    for (int i = degree - 1; i >= 0; i--)
        y = fma_f64(y, x, splat_f64(p[i]));
    return y;
}

/*
 * -2 ln u. Valid range: normal u in (0, 1]; exactly 0 at 1. Max error: 4 ulp.
 *
 * u = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): subtracting the bits of sqrt(1/2) puts e into the
 * exponent field, as a multiple of 2^23 that converts exactly.
 * Source: the reduction of fdlibm's e_log.c (Sun Microsystems, 1993).
 */
PYI_INLINE f32v minus_two_log_f32(f32v u)
{
    PYI_COEFFICIENTS float P[] = {-0x1.fffffep+0f, 0x1.00007ap+0f, -0x1.5559f6p-1f, 0x1.ff62bap-2f,
                                  -0x1.9789ecp-2f, 0x1.6142b2p-2f, -0x1.4c565p-2f,  0x1.9e6b62p-3f};
    u32v e = (bits_f32(u) - splat_u32(0x3f3504f3u)) & splat_u32(0xff800000u);
    f32v f = f32_from_bits(bits_f32(u) - e) - splat_f32(1.0f);
    return exact_sum_fma_f32(f32_from_i32(e), splat_f32(-0x1.62e43p-23f), f * horner_f32(f, P, 7));
}

/*
 * -2 ln u. Valid range: normal u in (0, 1]; exactly 0 at 1. Max error: 2 ulp.
 *
 * ln(1 + f) = 2 atanh(s), s = f / (2 + f), written as f - s (f - s^2 R(s^2)) to keep the rounding of s
 * out of the leading term; ln 2 is in two parts, the first short enough that e times it is exact.
 * Source: fdlibm's e_log.c (Sun Microsystems, 1993).
 */
PYI_INLINE f64v minus_two_log_f64(f64v u)
{
    PYI_COEFFICIENTS double R[] = {0x1.5555555555555p-1, 0x1.999999999a266p-2, 0x1.249249235e7a1p-2,
                                   0x1.c71c73c35b0c4p-3, 0x1.745c4d36cf45ap-3, 0x1.3b3dd7da3affap-3,
                                   0x1.0c7b6b7552afdp-3, 0x1.2bd0bdfb51b85p-3};
    u64v e = (bits_f64(u) - splat_u64(0x3fe6a09e667f3bcdu)) & splat_u64(0xfff0000000000000u);
    f64v f = f64_from_bits(bits_f64(u) - e) - splat_f64(1.0);
    f64v s = f / (f + splat_f64(2.0));
    f64v z = s * s;
    f64v log1p = fma_f64(s + s, fma_f64(-z, horner_f64(z, R, 7), f), -(f + f)); /* times -2 */
    f64v exponent = f64_from_i64(e);                                            /* times 2^52 */
    f64v low = fma_f64(exponent, splat_f64(0x1.8432a1b0e2634p-94), log1p);
    return fma_f64(exponent, splat_f64(-0x1.62e42fefa4p-52), low);
}

/*
 * cos and sin of the angle 2 pi w / 2^32, each without the same sign, which is bit 31 of `sign` (its other bits are
 * noise). Max error: 2^-22 for the cosine, 3 ulp for the sine.
 *
 * Doubling w drops the half turn, whose only effect is the sign: x = 2 w / 2^32 as a signed fraction is the angle in
 * half turns, in [-1/2, 1/2).
 */
PYI_INLINE void cos_sin_f32(u32v w, f32v *cosine, f32v *sine, u32v *sign)
{
    PYI_COEFFICIENTS float C[] = {0x1p+0f, -0x1.3bd3bp+2f, 0x1.03bd9ep+2f, -0x1.5502d2p+0f, 0x1.c2a53p-3f};
    PYI_COEFFICIENTS float S[] = {0x1.921fb6p+1f, -0x1.4abbeep+2f, 0x1.466ee4p+1f, -0x1.32e03cp-1f, 0x1.466de4p-4f};
    u32v doubled = w + w;
    f32v x = f32_from_i32(doubled) * splat_f32(0x1p-32f);
    f32v y = x * x;
    *cosine = fma_f32(horner_f32(y, C + 1, 3), y, splat_f32(C[0]));
    *sine = x * horner_f32(y, S, 4);
    *sign = w ^ doubled;
}

/* The same for 2 pi w / 2^64, with the sign in bit 63. Max error: 2^-51 for the cosine, 3 ulp for the sine. */
PYI_INLINE void cos_sin_f64(u64v w, f64v *cosine, f64v *sine, u64v *sign)
{
    PYI_COEFFICIENTS double C[] = {0x1p+0,
                                   -0x1.3bd3cc9be45dcp+2,
                                   0x1.03c1f081b599ap+2,
                                   -0x1.55d3c7e3bf6a4p+0,
                                   0x1.e1f50680df88ep-3,
                                   -0x1.a6d1efa67621ep-6,
                                   0x1.f9d247b43aa5cp-10,
                                   -0x1.b69332fa4a00dp-14,
                                   0x1.164f919e5bcc4p-18};
    PYI_COEFFICIENTS double S[] = {0x1.921fb54442d18p+1,  -0x1.4abbce625be10p+2,  0x1.466bc677580b9p+1,
                                   -0x1.32d2cce4e4297p-1, 0x1.507833ea7a959p-4,   -0x1.e306fd2bc37e5p-8,
                                   0x1.e8dbf68fc47c2p-12, -0x1.6bee105558de7p-16, 0x1.2d3a8d9c75f50p-21};
    u64v doubled = w + w;
    f64v x = f64_from_i64(doubled) * splat_f64(0x1p-64);
    f64v y = x * x;
    *cosine = horner_f64(y, C, 8);
    *sine = x * horner_f64(y, S, 8);
    *sign = w ^ doubled;
}
