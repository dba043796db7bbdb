/*
 * Turns a distribution into a job: checks its parameters and computes the constants of the method that suits them.
 * Everything is done in double by the core's own functions: library functions, and thus the bits, differ between
 * platforms.
 */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core.h"
#include "fpenv.h"
#include "target.h"

#include "simd_scalar.h"

#include "elementary.h"

#include "box_muller.h"

#include "inverse_cdf.h"

#include "normal_cdf.h"

/* The float nearest to x. Volatile, because GCC 11 and 12 drop a rounding to float and back when they vectorise. */
static double round_to_float(double x)
{
    volatile float nearest = (float)x;
    return nearest;
}
/* x as a constant for samples of a type; narrow types are computed as floats. */
static double rounded(double x, pyi_dtype dtype) { return pyi_sample_words(dtype) == 2 ? x : round_to_float(x); }

/* Rounds the constants to float. */
static void round_constants(pyi_job *job)
{
    double from[sizeof job->f64 / sizeof(double)];
    float to[sizeof job->f32 / sizeof(float)];
    memcpy(from, &job->f64, sizeof from);
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        to[i] = (float)from[i];
    memcpy(&job->f32, to, sizeof to);
}

/* The type's least number not below x (`up`), or its largest not above x. Returns x itself for doubles and
 * infinities. */
static double outermost(double x, pyi_dtype dtype, int up)
{
    const pyi_dtype_row *row = &pyi_dtypes[dtype];
    const int above_0 = x > 0, exponent = (int)(bits_f64(x) >> 52 & 0x7ff) - 1023 - (int)row->digits + 1;
    const double unit = f64_from_bits((uint64_t)(1023 + (exponent > row->least ? exponent : row->least)) << 52);
    int64_t units;
    if (row->words == 2 || x - x != 0)
        return x;
    if (fabs(x) > row->largest)
        return (up == above_0 ? INFINITY : row->largest) * (above_0 ? 1 : -1);
    units = (int64_t)(x / unit);
    if ((double)units * unit != x && up == above_0)
        units += up ? 1 : -1;
    return (double)units * unit;
}

/* Sets the outermost samples: the type's numbers between two bounds, bounds included; `inside` if there are none. */
static void set_bounds(pyi_job *job, double low, double high, double inside)
{
    pyi_constants_f64 *c = &job->f64;
    c->low = outermost(low, job->dtype, 1);
    c->high = outermost(high, job->dtype, 0);
    if (c->low > c->high)
        c->low = c->high = rounded(inside, job->dtype);
}

static void describe_uniform(pyi_job *job, double low, double high)
{
    pyi_constants_f64 *c = &job->f64;
    c->base = low;
    c->scale = high - low;
    if (low == high)
        c->low = c->high = low;
    else
        set_bounds(job, low, nextafter(high, -DBL_MAX), low + (high - low) / 2);
    job->method = PYI_METHOD_UNIFORM;
}

/* Sets the mean, in two parts, to the place of a standard normal z among the samples; returns 0 if it is beyond them
 * all. */
static int set_place(pyi_job *job, double z)
{
    pyi_constants_f64 *c = &job->f64;
    const double product = c->std * z, sum = product + c->mean, added = sum - c->mean;
    const double lost = (product - added) + (c->mean - (sum - added)) + fma(c->std, z, -product);
    c->mean = rounded(sum, job->dtype);
    c->mean_low = sum - c->mean + lost;
    return c->mean - c->mean == 0;
}

/* The series of truncated.h, around the middle m of [a, b]. */
static int describe_narrow(pyi_job *job, double a, double b)
{
    pyi_constants_f64 *c = &job->f64;
    const double std = c->std, h = b - a, m = a + h / 2, m2 = m * m;
    /* The integral of the density, divided by the density at the middle, from its even derivatives there. Then, from
     * the odd ones and divided by that integral, the excess of Phi's mean over the ends over Phi(m): half of the mass
     * is not below m. */
    const double width = h * (1 + h * h / 24 * ((m2 - 1) + h * h / 80 * ((m2 - 6) * m2 + 3)));
    const double excess = -h * m / 8 * (1 + h * h / 48 * (m2 - 3)) * (h / width);

    job->method = PYI_METHOD_TRUNCATED_NARROW;
    /* In x / width, because the step could be subnormal for a tiny interval. */
    c->step = pyi_sample_words(job->dtype) == 2 ? 0x1p-64 : 0x1p-32;
    c->half_step = excess + c->step / 2;
    c->series[0] = std * width;
    c->series[1] = c->series[0] * width * (m / 2);
    c->series[2] = c->series[0] * width * width * ((2 * m2 + 1) / 6);
    c->series[3] = c->series[0] * width * width * width * (m * (6 * m2 + 7) / 24);
    c->series[4] = c->series[0] * width * width * width * width * (((24 * m2 + 46) * m2 + 7) / 120);
    return set_place(job, m);
}

/* Lowers the last coefficient of a tail's polynomial until its rounded value at d = 1, the start of the next octave, is
 * not above the value there. */
static void end_before(pyi_job *job, int index, float next)
{
    float *last = &job->tail[PYI_QUANTILE_TERMS - 1][index], value;
    for (;;) {
        value = *last;
        for (int k = PYI_QUANTILE_TERMS - 2; k >= 0; k--)
            value += job->tail[k][index];
        if (value <= next)
            return;
        *last -= value - next;
    }
}

/*
 * The polynomials of truncated.h's tails, for the octaves of s that hold an r of at least `least`. Each interpolates,
 * in d = 2 - s / 2^e, the distances from the bound at nine d from 0 to 1. `log_near` is -2 ln p_near.
 */
static void set_tail(pyi_job *job, double near, double log_near, double least)
{
    enum { NODES = PYI_QUANTILE_TERMS };
    /* d = (1 - cos(pi i / 8)) / 2, and -4 ln(1 - d / 2). */
    static const double D[NODES] = {0.0, 0x1.37ca1866b95cfp-5, 0x1.2bec333018867p-3, 0x1.3c10eaca8ab4fp-2,
                                    0.5, 0x1.61f78a9abaa59p-1, 0x1.b504f333f9de6p-1, 0x1.ec835e79946a3p-1,
                                    1.0};
    static const double LOG[NODES] = {0.0,
                                      0x1.3acb581418286p-4,
                                      0x1.37787a9e5650dp-2,
                                      0x1.574bcd989a128p-1,
                                      0x1.269621134db92p+0,
                                      0x1.b253024ae8624p+0,
                                      0x1.1ceaefdbc7723p+1,
                                      0x1.4fc426003d9e2p+1,
                                      0x1.62e42fefa39efp+1};
    const double bound = quantile_f64(log_near, 1 - 2 * near);
    double octave = 1; /* the largest r in it, 4^(e + 1) */
    memset(job->tail, 0, sizeof job->tail);
    for (int e = -1; e >= -PYI_QUANTILE_OCTAVES && octave > least; e--, octave /= 4) {
        const int index = (127 + e) % PYI_QUANTILE_OCTAVES;
        double c[NODES];
        for (int i = 0; i < NODES; i++) {
            const double s = 1 - D[i] / 2, log = LOG[i] - (e + 1) * 0x1.62e42fefa39efp+1; /* 4 ln 2 */
            c[i] = quantile_f64(log_near + log, 1 - 2 * (near * (s * s * octave))) - bound;
        }
        /* Newton's divided differences, then from them the powers of d. */
        for (int k = 1; k < NODES; k++)
            for (int i = NODES - 1; i >= k; i--)
                c[i] = (c[i] - c[i - 1]) / (D[i] - D[i - k]);
        for (int k = NODES - 2; k >= 0; k--)
            for (int i = k; i < NODES - 1; i++)
                c[i] -= D[k] * c[i + 1];
        for (int k = 0; k < NODES; k++)
            job->tail[k][index] = (float)c[k];
        if (e < -1)
            end_before(job, (index + 1) % PYI_QUANTILE_OCTAVES, job->tail[0][index]);
    }
}

/* For an interval [a, b] that is not above 0; if std is negative, for its mirror image. */
static int describe_tail(pyi_job *job, double a, double b)
{
    pyi_constants_f64 *c = &job->f64;
    const double near = below(b), ratio = below(a) / near;
    job->method = PYI_METHOD_TRUNCATED_TAIL;
    c->std = -c->std; /* the kernel makes the tail above 0 */
    c->step = (1 - ratio) * 0x1p-32;
    c->first = ratio + c->step / 2;
    /* -2 ln of the density and of Mills' ratio; the constant is ln 2 pi. */
    set_tail(job, near, b * b + 0x1.d67f1c864beb5p+0 + minus_two_log_f64(mills_ratio(-b)), c->first);
    return set_place(job, -b);
}

static void describe_centre(pyi_job *job, double a, double b)
{
    pyi_constants_f64 *c = &job->f64;
    const int bits = pyi_sample_words(job->dtype) == 2 ? 64 : 32;
    const double words = bits == 64 ? 0x1p64 : 0x1p32, mass = between(a, b);
    const double scale = bits == 64 ? 2 : 8, step = scale * mass / words; /* quantile_f32 takes 8 p instead of 2 p */

    job->method = PYI_METHOD_TRUNCATED_CENTRE;
    c->step = step;
    c->end_below = scale * below(a < 0 ? a : 0) + step / 2;
    if (b <= 0) {
        job->median = UINT64_MAX;
        c->median_below = scale * centre(-b) + step / 2;
    } else {
        /* Words below the median: at least one, and t goes through 0 with it. */
        const double crossing = centre(-a) / mass * words;
        const int all = crossing + 0.5 >= words;
        const uint64_t count = all ? 0 : crossing < 1 ? 1 : (uint64_t)(crossing + 0.5);
        const double past = (all ? words : (double)count) - crossing; /* of the count, which is exact as a double */
        c->end_above = scale * tail(b) + step / 2;
        c->median_below = step * (0.5 - past);
        c->median_above = step * (0.5 + past);
        job->median = (count - 1) << (64 - bits);
    }
    job->above = job->median + ((uint64_t)1 << (64 - bits));
}

/* Chooses the method of truncated.h. A wide interval above 0 is mirrored, and its words count from the other end. */
static int describe_truncated(pyi_job *job, double lower, double upper)
{
    pyi_constants_f64 *c = &job->f64;
    const int single = pyi_sample_words(job->dtype) == 1, mirrored = lower >= 0;
    const double a = mirrored ? -upper : lower, b = mirrored ? -lower : upper;

    if (!(lower < upper) || b < -PYI_FARTHEST_BOUND)
        return 0;
    if ((lower == -INFINITY && upper == INFINITY) || c->std == 0)
        return 1; /* not truncated, or no spread: all samples are the mean */
    set_bounds(job, fma(c->std, lower, c->mean), fma(c->std, upper, c->mean),
               fma(c->std, lower / 2 + upper / 2, c->mean));
    if ((b <= 0 && (b - a) * (1 - a) <= (single ? 0x1p-3 : 0x1p-8)) || b - a < 0x1p-90)
        return describe_narrow(job, lower, upper);
    job->unflip = UINT64_MAX;
    if (mirrored) {
        job->flip = UINT64_MAX;
        job->unflip = 0;
        c->std = -c->std;
    }
    if (single && b <= -0.5) /* from there on, r is as fine as the samples */
        return describe_tail(job, a, b);
    describe_centre(job, a, b);
    return 1;
}

/*
 * Whether a sample of the job may be subnormal as a float. It is not if every constant is 0 or at least 2^-60.
 * Constants and fractions have 24 bits, and a fraction is 0 or at least 2^-60: a product is then at least 2^-120, and
 * the rest of one that nearly cancels a constant of 2^-60 or more is at least 2^-109.
 */
static int may_be_subnormal(const pyi_job *job)
{
    const pyi_constants_f64 *c = &job->f64;
    const double constants[] = {c->mean, c->std, c->base, c->scale, c->low, c->high};
    if (job->method != PYI_METHOD_UNIFORM && job->method != PYI_METHOD_BOX_MULLER && job->method != PYI_METHOD_ICDF &&
        job->method != PYI_METHOD_CONSTANT)
        return 1;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (constants[i] != 0 && fabs(constants[i]) < 0x1p-60)
            return 1;
    return 0;
}

static pyi_status describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job)
{
    const double *p = distribution->parameters, largest = pyi_dtypes[dtype].largest;
    /* So std times a radius or a quantile is finite, and no sample is nan. */
    const double widest = (pyi_sample_words(dtype) == 2 ? DBL_MAX : FLT_MAX) / 16;
    const double a = rounded(p[0], dtype), b = rounded(p[1], dtype);
    int valid = fabs(p[0]) <= largest && fabs(p[1]) <= largest;

    switch (distribution->sampler) {
    case PYI_BITS:
        valid = 1;
        job->method = PYI_METHOD_BITS;
        break;
    case PYI_UNIFORM:
        valid = valid && p[0] <= p[1] && b - a <= largest;
        if (valid)
            describe_uniform(job, a, b);
        break;
    case PYI_NORMAL:
    case PYI_NORMAL_ICDF:
    case PYI_TRUNCATED_NORMAL:
        valid = valid && p[1] >= 0 && p[1] <= widest;
        job->f64.mean = a;
        job->f64.std = b;
        job->method = distribution->sampler == PYI_NORMAL ? PYI_METHOD_BOX_MULLER : PYI_METHOD_ICDF;
        if (distribution->sampler == PYI_TRUNCATED_NORMAL)
            valid = valid && describe_truncated(job, p[2], p[3]);
        break;
    case PYI_CONSTANT:
        valid = fabs(p[0]) <= largest || isinf(p[0]);
        job->f64.base = a;
        job->method = PYI_METHOD_CONSTANT;
        break;
    case PYI_SAMPLERS: /* pyi_describe refuses it */
        break;
    }
    if (!valid)
        return PYI_BAD_VALUE;
    job->subnormals = may_be_subnormal(job);
    round_constants(job);
    return PYI_OK;
}

pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job)
{
    /* Volatile, so that no compiler moves the arithmetic out of a fill's environment. */
    static pyi_status (*const volatile in_environment)(const pyi_distribution *, pyi_dtype, pyi_job *) = describe;
    pyi_fpenv saved;
    pyi_status status;

    if ((unsigned)dtype >= PYI_DTYPES || (unsigned)distribution->sampler >= PYI_SAMPLERS ||
        (distribution->sampler == PYI_BITS) != (dtype == PYI_U32))
        return PYI_BAD_VALUE;
    memset(job, 0, offsetof(pyi_job, tail));
    job->dtype = dtype;
    saved = pyi_fpenv_enter();
    status = in_environment(distribution, dtype, job);
    pyi_fpenv_leave(saved);
    return status;
}
