/* Compares the vector tier's fma of floats, and its polynomials, with the C library's fmaf on hard cases of rounding;
 * and the functions of elementary.h with those of one lane, which use fmaf. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "target.h"

#include "simd_vector.h"

#include "elementary.h"

#define CASES 1000000
#define DEGREE (PYI_QUANTILE_TERMS - 1)

float scalar_log(float u);
void scalar_cos_sin(uint32_t w, float *cosine, float *sine);

static uint64_t state = 88172645463325252u;
/* xorshift64* of S. Vigna. */
static uint32_t next(void)
{
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1Du >> 32);
}

/* Floats with `exponents` exponents, from a biased exponent up. Some have few bits, so that sums often end halfway
 * between two floats; others have many. */
static f32v some_floats(uint32_t first, uint32_t exponents)
{
    u32v x;
    for (int i = 0; i < 4; i++)
        x[i] = (next() & (0x80000000u | (0x007fffffu << next() % 24 & 0x007fffffu))) | (first + next() % exponents)
                                                                                           << 23;
    return f32_from_bits(x);
}

static int differ(f32v a, f32v b)
{
    for (int i = 0; i < 4; i++)
        if (bits_f32(a)[i] != bits_f32(b)[i])
            return 1;
    return 0;
}

/* The same for doubles. */
static f64v some_doubles(uint32_t first, uint32_t exponents)
{
    u64v x;
    for (int i = 0; i < 2; i++) {
        const uint64_t fraction = ((uint64_t)next() << 32 | next()) & 0x000fffffffffffffu & ~(uint64_t)0 << next() % 53;
        x[i] = fraction | (uint64_t)(next() & 1) << 63 | (uint64_t)(first + next() % exponents) << 52;
    }
    return f64_from_bits(x);
}
static int wrong_doubles(long n)
{
    /* All sizes; near 1; addends near the product's rest; underflow of the rest or of all; overflow. */
    static const uint32_t RANGES[][4] = {{0, 2047, 0, 2047}, {990, 60, 980, 80}, {1020, 4, 960, 20},
                                         {530, 20, 0, 90},   {490, 30, 0, 3},    {1520, 30, 2030, 17}};
    const uint32_t *range = RANGES[n % 6];
    const f64v a = some_doubles(range[0], range[1]), b = some_doubles(range[0], range[1]);
    f64v c = some_doubles(range[2], range[3]);
    if (n % 5 == 0) /* a sum that nearly cancels, or 0 */
        c = n % 2 ? -a * b : splat_f64(n % 3 ? 0.0 : -0.0);
    const f64v got = fma_f64(n % 35 ? a : a * splat_f64(0), b, c);
    for (int i = 0; i < 2; i++) {
        const double expected = fma(n % 35 ? a[i] : a[i] * 0, b[i], c[i]);
        if (memcmp(&expected, &(double){got[i]}, sizeof expected) && !(isnan(expected) && isnan(got[i])))
            return 1;
    }
    return 0;
}

/* A polynomial by fmaf; each lane has its own coefficients. */
static f32v by_steps(f32v x, const f32v *p)
{
    f32v y = p[DEGREE];
    for (int k = DEGREE - 1; k >= 0; k--)
        for (int i = 0; i < 4; i++)
            y[i] = fmaf(y[i], x[i], p[k][i]);
    return y;
}

/* A polynomial that each lane chooses (bit 0), and one for horner_f32 (bit 1), with coefficients from 1 to 2 and x
 * below 1/8, so that steps begin and end on either side of a power of 2. */
static long wrong_polynomials(void)
{
    float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES], p[DEGREE + 1];
    f32v chosen[DEGREE + 1], same[DEGREE + 1];
    const f32v x = some_floats(110, 20), small = some_floats(100, 24);
    u32v index;
    for (int i = 0; i < 4; i++)
        index[i] = next() % PYI_QUANTILE_OCTAVES;
    for (int k = 0; k <= DEGREE; k++) {
        const f32v c = some_floats(127, 1);
        for (int i = 0; i < PYI_QUANTILE_OCTAVES; i++)
            table[k][i] = some_floats(110, 20)[0];
        for (int i = 0; i < 4; i++)
            chosen[k][i] = table[k][index[i]];
        p[k] = c[0];
        same[k] = splat_f32(p[k]);
    }
    return differ(table_polynomial(x, index, table), by_steps(x, chosen)) |
           differ(horner_f32(small, p, DEGREE), by_steps(small, same)) << 1;
}

/* -2 ln u for all fractions of one octave, and for some of the others. */
static long wrong_logarithms(void)
{
    long wrong = 0;
    for (uint32_t bits = 0x2f000000u; bits < 0x3f800000u; bits += bits < 0x3f000000u ? 53 * 4 : 4) {
        const u32v u = splat_u32(bits) + (u32v){0, 1, 2, 3};
        f32v expected;
        for (int i = 0; i < 4; i++)
            expected[i] = scalar_log(f32_from_bits(u)[i]);
        wrong += differ(minus_two_log_f32(f32_from_bits(u)), expected);
    }
    return wrong;
}

/* Cosine and sine for all words near a quarter turn and near 0, and for some of the others. */
static long wrong_directions(void)
{
    long wrong = 0;
    for (uint32_t n = 0; n < 6000000; n++) {
        const uint32_t from = n < 500000 ? 4 * n - 1000000 : n < 1000000 ? 4 * n + 0x3fd00000u : 715 * n;
        const u32v w = splat_u32(from) + (u32v){0, 1, 2, 3};
        f32v cosine, sine, expected_cosine, expected_sine;
        u32v sign;
        cos_sin_f32(w, &cosine, &sine, &sign);
        for (int i = 0; i < 4; i++) {
            float c, s;
            scalar_cos_sin(w[i], &c, &s);
            expected_cosine[i] = c, expected_sine[i] = s;
        }
        wrong += differ(cosine, expected_cosine) | differ(sine, expected_sine);
    }
    return wrong;
}

int main(void)
{
    /* All sizes; near 1; subnormal results, and subnormal addends too; overflow. */
    static const uint32_t RANGES[][4] = {{0, 255, 0, 255}, {103, 48, 100, 48}, {60, 8, 0, 3},
                                         {55, 12, 0, 1},   {48, 8, 0, 1},      {185, 10, 250, 5}};
    long fmas = 0, of_doubles = 0, by_table = 0, by_constants = 0;

    for (long n = 0; n < CASES; n++) {
        const uint32_t *range = RANGES[n % 6];
        const f32v a = some_floats(range[0], range[1]), c = some_floats(range[2], range[3]);
        f32v b = some_floats(range[0], range[1]);
        if (n % 6 == 4) /* a product near 2^-150, half of the smallest float, but seldom equal to it */
            b = splat_f32(0x1p-75f) / a * splat_f32(0x1p-75f);
        f32v expected;
        for (int i = 0; i < 4; i++)
            expected[i] = fmaf(a[i], b[i], c[i]);
        fmas += differ(fma_f32(a, b, c), expected);
        of_doubles += wrong_doubles(n);
        const long wrong = wrong_polynomials();
        by_table += wrong & 1, by_constants += wrong >> 1;
    }
    const long logarithms = wrong_logarithms(), directions = wrong_directions();
    printf("other than the C library's or one lane's: %ld fmas, %ld of doubles, %ld polynomials by table, %ld by "
           "constants, "
           "%ld logarithms, %ld directions\n",
           fmas, of_doubles, by_table, by_constants, logarithms, directions);
    return fmas || of_doubles || by_table || by_constants || logarithms || directions;
}
