/*
 * The inverse of the normal CDF: maps one word to one normal, monotonically.
 *
 * By symmetry one tail is enough: the quantile of p is -z(p) below 1/2 and z(1 - p) above, with z >= 0 on (0, 1/2].
 * Around the median z is computed from the distance to 1/2, which has no rounding error there; elsewhere from p.
 */

/* The coefficients of quantile_f32, by octaves of s. src_c/tools/coefficients.py prints them. */
PYI_TABLE float QUANTILE_F32[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES] = {
    {0x1.87ba78p+2f, 0x1.795744p+2f, 0x1.6a69a4p+2f, 0x1.5ae102p+2f, 0x1.4aa938p+2f, 0x1.39a966p+2f, 0x1.27c24p+2f,
     0x1.14cb7ap+2f, 0x1.008fbap+2f, 0x1.d58bdp+1f, 0x1.a60a6ep+1f, 0x1.715c7cp+1f, 0x1.357294p+1f, 0x1.dcdcp+0f,
     0x1.267d4cp+0f, 0x1.40d932p-2f},
    {0x1.464cb4p-3f, 0x1.521ed4p-3f, 0x1.5f4d7ep-3f, 0x1.6e206ep-3f, 0x1.7ef5bp-3f, 0x1.924b6ap-3f, 0x1.a8cf5ep-3f,
     0x1.c3788ep-3f, 0x1.e3b416p-3f, 0x1.05dc32p-2f, 0x1.1f966ap-2f, 0x1.42503ep-2f, 0x1.74a96p-2f, 0x1.c6a994p-2f,
     0x1.36e654p-1f, 0x1.4ffac6p-8f},
    {0x1.365efp-5f, 0x1.40676p-5f, 0x1.4b71c6p-5f, 0x1.57aadep-5f, 0x1.654a8p-5f, 0x1.74972p-5f, 0x1.85ea8ep-5f,
     0x1.99b802p-5f, 0x1.b0930cp-5f, 0x1.cb3408p-5f, 0x1.ea6af8p-5f, 0x1.076054p-4f, 0x1.1b4808p-4f, 0x1.299c2ap-4f,
     0x1.ee296ap-5f, 0x1.72866cp-13f},
    {0x1.8a9ca8p-7f, 0x1.96d468p-7f, 0x1.a43832p-7f, 0x1.b2f9a2p-7f, 0x1.c35622p-7f, 0x1.d59a92p-7f, 0x1.ea283ep-7f,
     0x1.00bddcp-6f, 0x1.0e1b0ep-6f, 0x1.1d94bcp-6f, 0x1.2fb4ap-6f, 0x1.45332ap-6f, 0x1.5f356p-6f, 0x1.81dd08p-6f,
     0x1.e4626cp-6f, 0x1.d04ep-18f},
    {0x1.8720c2p-8f, 0x1.9286b6p-8f, 0x1.9ef39ap-8f, 0x1.ac9028p-8f, 0x1.bb8e1ep-8f, 0x1.cc2adcp-8f, 0x1.deb2ccp-8f,
     0x1.f385f2p-8f, 0x1.058ef4p-7f, 0x1.130a92p-7f, 0x1.229756p-7f, 0x1.34acacp-7f, 0x1.49ca94p-7f, 0x1.61c5d4p-7f,
     0x1.6451e6p-7f, 0x1.58c768p-21f},
    {-0x1.ef3c7p-10f, -0x1.fb2918p-10f, -0x1.03f61p-9f, -0x1.0ace32p-9f, -0x1.12298cp-9f, -0x1.1a15bp-9f,
     -0x1.22a08cp-9f, -0x1.2bd6fep-9f, -0x1.35c1a6p-9f, -0x1.405db2p-9f, -0x1.4b8c22p-9f, -0x1.56e73ap-9f,
     -0x1.6146bep-9f, -0x1.66d686p-9f, -0x1.43a1fp-9f, -0x1.20a02p-24f},
    {0x1.999558p-8f, 0x1.a4a7fp-8f, 0x1.b0a566p-8f, 0x1.bdaeb8p-8f, 0x1.cbeb5ep-8f, 0x1.db8adap-8f, 0x1.ecc6ap-8f,
     0x1.ffe456p-8f, 0x1.0a9c14p-7f, 0x1.16932ap-7f, 0x1.241074p-7f, 0x1.334c32p-7f, 0x1.445ed2p-7f, 0x1.56c0c2p-7f,
     0x1.65645ep-7f, 0x1.fb8306p-27f},
    {-0x1.0f1302p-8f, -0x1.1657bap-8f, -0x1.1e354ap-8f, -0x1.26c0fap-8f, -0x1.301438p-8f, -0x1.3a4d8ep-8f,
     -0x1.4591e4p-8f, -0x1.520dep-8f, -0x1.5ff774p-8f, -0x1.6f8ed6p-8f, -0x1.811d4ep-8f, -0x1.94ebf4p-8f,
     -0x1.ab1df8p-8f, -0x1.c3142cp-8f, -0x1.d78d62p-8f, -0x1.4383p-30f},
    {0x1.cba1e6p-10f, 0x1.d82076p-10f, 0x1.e5aa76p-10f, 0x1.f46612p-10f, 0x1.02409ap-9f, 0x1.0b19c2p-9f, 0x1.14e078p-9f,
     0x1.1fbe7ap-9f, 0x1.2be752p-9f, 0x1.399a84p-9f, 0x1.492558p-9f, 0x1.5ae14ap-9f, 0x1.6f2504p-9f, 0x1.85f9f6p-9f,
     0x1.9d4996p-9f, 0x1.b98bf6p-35f},
};

#define QUANTILE_FIRST 112 /* the biased exponent of 2^-15 */

/*
 * z from v = 8 p or, around the median (p >= 1/8), from t = 4 - 8 p. Valid range: v >= 2^-30. Max error: 4.2 2^-24 of
 * z. Monotone: a step of s, 2^-23 of its octave, moves z further than rounding does.
 *
 * The tail has 15 octaves of s = sqrt(v). In each, z is a polynomial of degree 8 in d = 2 - s / 2^e. The exponent e of
 * s, from -15 to 0, selects a column of the table; the last column is the median's: z / t as a polynomial in t^2.
 */
PYI_INLINE f32v quantile_f32(f32v v, f32v t)
{
    const f32v s =
        sqrt_above_0_f32(min_f32(v, splat_f32(0x1.fffffep+1f))); /* v may round to 4, but s = 2 is in another octave */
    const mask32v centre = ge_f32(s, splat_f32(1.0f));
    const table_index octave = index_table(bits_f32(s) >> 23, QUANTILE_FIRST);
    const f32v x = select_f32(centre, t * t, two_minus_significand(s, octave));
    const f32v z = table_polynomial(x, octave, QUANTILE_F32);
    return select_f32(centre, z * t, z);
}

/* z from L = -2 ln p and t = 1 - 2 p, in three ranges: the median, t < 0.85; the tail up to r = sqrt(-ln p) = 5; and
 * beyond. Valid range: L <= 1400. Max error: 16 ulp.
 * Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37
 * (1988), 477-484; the routine PPND16. */
PYI_INLINE f64v quantile_f64(f64v l, f64v t)
{
    PYI_COEFFICIENTS double NUMERATOR[8][3] = {
        {3.3871328727963666080e0, 1.42343711074968357734e0, 6.65790464350110377720e0},
        {1.3314166789178437745e+2, 4.63033784615654529590e0, 5.46378491116411436990e0},
        {1.9715909503065514427e+3, 5.76949722146069140550e0, 1.78482653991729133580e0},
        {1.3731693765509461125e+4, 3.64784832476320460504e0, 2.96560571828504891230e-1},
        {4.5921953931549871457e+4, 1.27045825245236838258e0, 2.65321895265761230930e-2},
        {6.7265770927008700853e+4, 2.41780725177450611770e-1, 1.24266094738807843860e-3},
        {3.3430575583588128105e+4, 2.27238449892691845833e-2, 2.71155556874348757815e-5},
        {2.5090809287301226727e+3, 7.74545014278341407640e-4, 2.01033439929228813265e-7}};
    PYI_COEFFICIENTS double DENOMINATOR[8][3] = {
        {1.0, 1.0, 1.0},
        {4.2313330701600911252e+1, 2.05319162663775882187e0, 5.99832206555887937690e-1},
        {6.8718700749205790830e+2, 1.67638483018380384940e0, 1.36929880922735805310e-1},
        {5.3941960214247511077e+3, 6.89767334985100004550e-1, 1.48753612908506148525e-2},
        {2.1213794301586595867e+4, 1.48103976427480074590e-1, 7.86869131145613259100e-4},
        {3.9307895800092710610e+4, 1.51986665636164571966e-2, 1.84631831751005468180e-5},
        {2.8729085735721942674e+4, 5.47593808499534494600e-4, 1.42151175831644588870e-7},
        {5.2264952788528545610e+3, 1.05075007164441684324e-9, 2.04426310338993978564e-15}};
    const f64v r = sqrt_f64(l * splat_f64(0.5)), q = t * splat_f64(0.5);
    const mask64v tail = ge_f64(t, splat_f64(0.85)), far = ge_f64(r, splat_f64(5.0));
    f64v x = r - select_f64(far, splat_f64(5.0), splat_f64(1.6));
    f64v above = splat_f64(0.0), below = splat_f64(0.0);
    x = select_f64(tail, x, splat_f64(0.180625) - q * q);
    for (int i = 7; i >= 0; i--) {
        const double *n = NUMERATOR[i], *d = DENOMINATOR[i];
        const f64v n_tail = select_f64(far, splat_f64(n[2]), splat_f64(n[1]));
        const f64v d_tail = select_f64(far, splat_f64(d[2]), splat_f64(d[1]));
        above = fma_f64(above, x, select_f64(tail, n_tail, splat_f64(n[0])));
        below = fma_f64(below, x, select_f64(tail, d_tail, splat_f64(d[0])));
    }
    return select_f64(tail, above, q * above) / below;
}

/* The normal of word w, at probability (w + 1/2) / 2^32: |z| < 6.34. Max error: that of quantile_f32, before mean and
 * std. */
PYI_INLINE f32v normal_icdf_f32(u32v w, const normal_f32 *d)
{
    const u32v i = w ^ splat_u32(0x80000000u); /* negative below the median */
    const u32v from_median = i ^ sign_u32(i), from_end = from_median ^ splat_u32(0x7fffffffu);
    const f32v v = exact_product_fma_f32(f32_from_i32(from_end), splat_f32(0x1p-29f), splat_f32(0x1p-30f));
    const f32v t = exact_product_fma_f32(f32_from_i32(from_median), splat_f32(0x1p-29f), splat_f32(0x1p-30f));
    const u32v z = bits_f32(quantile_f32(v, t)) ^ (i & splat_u32(0x80000000u));
    return fma_f32(f32_from_bits(z), d->std, d->mean);
}

/* The same from 64-bit words: |z| < 9.16. Max error: 16 ulp. */
PYI_INLINE f64v normal_icdf_f64(u64v w, const normal_f64 *d)
{
    const u64v i = w ^ splat_u64(0x8000000000000000u);
    const u64v from_median = i ^ sign_u64(i), from_end = from_median ^ splat_u64(0x7fffffffffffffffu);
    const f64v p = fma_f64(f64_from_i64(from_end), splat_f64(0x1p-64), splat_f64(0x1p-65));
    const f64v t = fma_f64(f64_from_i64(from_median), splat_f64(0x1p-63), splat_f64(0x1p-64));
    const u64v z = bits_f64(quantile_f64(minus_two_log_f64(p), t)) ^ (i & splat_u64(0x8000000000000000u));
    return fma_f64(f64_from_bits(z), d->std, d->mean);
}
