/*
 * Checks that the functions of elementary.h keep their stated errors, against long double.
 * Prints one line per function: name, largest error found, bound, unit. Exits with 1 if an error exceeds its bound.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "core.h"
#include "target.h"

#include "simd_scalar.h"

#include "elementary.h"

static const long double PI = 3.14159265358979323846264338327950288L;
static int failed;

static void report(const char *name, long double worst, long double bound, const char *unit)
{
    printf("%s %.3Lf %.3Lf %s\n", name, worst, bound, unit);
    failed |= !(worst <= bound);
}

/* |got - exact| in units in the last place of `exact`, at `digits` bits. */
static long double ulps(long double got, long double exact, int digits)
{
    int exponent;
    frexpl(exact, &exponent);
    return fabsl(got - exact) / ldexpl(1, exponent - digits);
}

static uint64_t random64(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state ^ state >> 29;
}

static void f32_functions(void)
{
    long double log_worst = 0, cos_worst = 0, sin_worst = 0;
    for (uint32_t bits = 0x2f000000u; bits < 0x3f800000u; bits++) { /* every float in [2^-33, 1) */
        long double e = ulps(minus_two_log_f32(f32_from_bits(bits)), -2 * log((double)f32_from_bits(bits)), 24);
        log_worst = e > log_worst ? e : log_worst;
    }
    for (uint64_t w = 1; w < (uint64_t)1 << 32; w += 211) {
        float c, s;
        uint32_t sign;
        cos_sin_f32((uint32_t)w, &c, &s, &sign);
        double angle = 2 * (double)PI * (double)w / 0x1p32, flip = sign >> 31 ? -1 : 1;
        long double e = fabsl(c - flip * cos(angle)) * 0x1p22L;
        cos_worst = e > cos_worst ? e : cos_worst;
        if (fabs(sin(angle)) > 1e-6) { /* near a half turn, the double sine is noise */
            e = ulps(s, flip * sin(angle), 24);
            sin_worst = e > sin_worst ? e : sin_worst;
        }
    }
    report("minus_two_log_f32", log_worst, 4, "ulp");
    report("cos_f32", cos_worst, 1, "2^-22");
    report("sin_f32", sin_worst, 3, "ulp");
}

static void f64_functions(void)
{
    long double log_worst = 0, cos_worst = 0, sin_worst = 0;
    for (int i = 0; i < 2000000; i++) {
        /* All exponents from -65 to -1 equally often; below, also w near 0 and near half turns. */
        double u = ldexp(1 + (double)(random64() >> 12) * 0x1p-52, -1 - i % 65);
        long double e = ulps(minus_two_log_f64(u), -2 * logl(u), 53);
        log_worst = e > log_worst ? e : log_worst;
        uint64_t w = random64() >> i % 40, sign;
        double c, s;
        cos_sin_f64(w, &c, &s, &sign);
        long double angle = 2 * PI * (long double)w * 0x1p-64L, flip = sign >> 63 ? -1 : 1;
        e = fabsl(c - flip * cosl(angle)) * 0x1p51L;
        cos_worst = e > cos_worst ? e : cos_worst;
        if (fabsl(sinl(angle)) > 1e-3L || angle < 1) {
            e = ulps(s, flip * sinl(angle), 53);
            sin_worst = e > sin_worst ? e : sin_worst;
        }
    }
    report("minus_two_log_f64", log_worst, 2, "ulp");
    report("cos_f64", cos_worst, 1, "2^-51");
    report("sin_f64", sin_worst, 3, "ulp");
}

int main(void)
{
    if (minus_two_log_f32(1.0f) != 0.0f || minus_two_log_f64(1.0) != 0.0)
        return 1;
    f32_functions();
#if LDBL_MANT_DIG >= 64
    f64_functions();
#endif
    return failed;
}
