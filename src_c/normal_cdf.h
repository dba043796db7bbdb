/*
 * Probabilities of the standard normal distribution, in double: below, above and between two values. The samples'
 * constants come from them, so they use no function of the platform's library.
 */
/* e^x. Valid range: -708 <= x <= 0. Max error: 1 ulp. */
static double exp_f64(double x)
{
    static const double P[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    const int k = (int)(x * 0x1.71547652b82fep+0 - 0.5);
    const double r = fma(-k, 0x1.abc9e3b39803fp-56, fma(-k, 0x1.62e42fefa39efp-1, x)); /* ln 2 in two parts */
    return horner_f64(r, P, 13) * f64_from_bits((uint64_t)(1023 + k) << 52);
}

/* The standard normal's density, corrected for the rounding error of x^2; 0 beyond 37. Max error: 4 ulp. */
static double density(double x)
{
    const double square = x * x, rest = fma(x, x, -square);
    return fabs(x) > 37 ? 0 : exp_f64(-square / 2) * (1 - rest / 2) * 0x1.9884533d43651p-2; /* (2 pi)^-1/2 */
}

/*
 * The probability above x, divided by the density (Mills' ratio). Valid range: 0 <= x <= 40. Max error: 4 ulp.
 * Multiplied by 1 + x it goes from 1.25 to 1, and is a polynomial in (x - 4) / (x + 4).
 * Source: M. M. Shepherd, J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < oo",
 * Mathematics of Computation 36 (1981), 249-253. src_c/tools/coefficients.py prints the coefficients.
 */
static double mills_ratio(double x)
{
    static const double P[] = {
        0x1.2eea40b9abcabp+0,  -0x1.f06f3d0b9e635p-3,  0x1.1f7901bed4285p-5,   0x1.25a4eb031bfdap-4,
        -0x1.4a947b618e13dp-4, 0x1.704e20a1b44ebp-5,   -0x1.9ae19ffb03496p-7,  -0x1.775d4f00c5d4ap-11,
        0x1.c89d7d967e977p-10, -0x1.f0662356fb582p-13, -0x1.cdd339d49d18bp-13, 0x1.bed2fe7fe5eeap-15,
        0x1.1e896a0ce613ep-15, -0x1.20a14b8149d32p-17, -0x1.b7962f90a7b55p-18, 0x1.0f3e28657fa95p-20,
        0x1.73a7d0a174b1dp-20, 0x1.3cdd5570c4e18p-27,  -0x1.2ada665d5523ap-22, -0x1.dd69434aa5869p-25,
        0x1.73462ed03c188p-25, 0x1.4629676c89ceap-26,  -0x1.77802f910c041p-29, -0x1.85c959b9d7051p-29,
        -0x1.bd27cd904def6p-32};
    return horner_f64((x - 4) / (x + 4), P, 24) / (1 + x);
}

/* The probability above x. Valid range: x >= 0, infinity too. Max error: 2^-50 of it. */
static double tail(double x) { return x > 37 ? 0 : density(x) * mills_ratio(x); }

/* The probability between 0 and x. Valid range: x >= 0. Near 0, its ratio to the density is the series x + x^3/3 +
 * x^5/(3 5) + ... Max error: 2^-50 of it. */
static double centre(double x)
{
    double term = x, sum = x;
    if (x > 1)
        return 0.5 - tail(x);
    for (int n = 3; n < 40; n += 2) {
        term *= x * x / n;
        sum += term;
    }
    return density(x) * sum;
}

/* The probability below x, at most 1/2. Valid range: x <= 0. */
static double below(double x) { return tail(-x); }

static double between(double a, double b)
{
    return a >= 0 ? tail(a) - tail(b) : b <= 0 ? below(b) - below(a) : centre(-a) + centre(b);
}
