/* Compares the vector tier's fma of floats, and its polynomials, with the C library's fmaf, where roundings are hard.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "target.h"

#include "simd_vector.h"

#include "elementary.h"

#define CASES 1000000
#define DEGREE 5

static uint64_t state = 88172645463325252u;
/* xorshift64* of S. Vigna. */
static uint32_t next(void)
{
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1Du >> 32);
}

/* Floats of `exponents` exponents from a biased one on, of few bits, so that sums often end halfway between two
 * floats, or of many. */
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

int main(void)
{
    /* Of every size; about 1; such that results, or the addend too, are subnormal; such that they overflow. */
    static const uint32_t RANGES[][4] = {{0, 255, 0, 255}, {103, 48, 100, 48}, {60, 8, 0, 3},
                                         {55, 12, 0, 1},   {48, 8, 0, 1},      {185, 10, 250, 5}};
    long fmas = 0, polynomials = 0;

    for (long n = 0; n < CASES; n++) {
        const uint32_t *range = RANGES[n % 6];
        const f32v a = some_floats(range[0], range[1]), c = some_floats(range[2], range[3]);
        const f32v x = some_floats(110, 20);
        f32v b = some_floats(range[0], range[1]);
        if (n % 6 == 4) /* a product next to 2^-150, half of the least float, but seldom equal to it */
            b = splat_f32(0x1p-75f) / a * splat_f32(0x1p-75f);
        float p[DEGREE + 1];
        f32v expected;
        for (int i = 0; i < 4; i++)
            expected[i] = fmaf(a[i], b[i], c[i]);
        fmas += differ(fma_f32(a, b, c), expected);
        for (int k = 0; k <= DEGREE; k++)
            p[k] = some_floats(110, 20)[0];
        for (int i = 0; i < 4; i++) {
            float y = p[DEGREE];
            for (int k = DEGREE - 1; k >= 0; k--)
                y = fmaf(y, x[i], p[k]);
            expected[i] = y;
        }
        polynomials += differ(horner_f32(x, p, DEGREE), expected);
    }
    printf("of %d, other than the C library's: %ld fmas, %ld polynomials\n", CASES, fmas, polynomials);
    return fmas || polynomials;
}
