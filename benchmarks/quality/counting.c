/*
 * Counts samples in memory for host.py, in one pass. A sample is a word, a float or a double; the cells are those of
 * cells.py, and a double is rounded to a float to find its cell.
 *
 * Powers and products are floats: their rounding errors are 10^-7 and of either sign, far below the uncertainty that
 * 10^10 samples leave. The sums of a block are floats too; those of all blocks are doubles.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define CELLS 65536
#define KEY_BITS 19 /* the bits of a key below its bucket */
#define POWERS 16
#define LAGS 8
#define TAILS 6
#define RADII 3
#define BLOCK 2048
#define WIDE 16 /* sums that a compiler can keep in vectors */

enum { WORDS, FLOATS, DOUBLES };

typedef struct {
    uint32_t cells[CELLS];
    uint32_t pairs[CELLS];    /* by the leading byte of the cells of samples 2 i and 2 i + 1 */
    double powers[POWERS];    /* sums of z, z^2, ... */
    double products[2][LAGS]; /* sums of products of z, and of z^2 - 1, of samples 1, 2, ... apart */
    uint64_t tails[TAILS];    /* |x| > 4, 4.5, ... */
    uint64_t radii[RADII];    /* pairs beyond 5.5, 6, 6.5 */
    uint64_t falls;           /* samples below the one before them */
} tally;

/* As in counting.cl. */
static inline uint32_t key_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0xffffffffu;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static inline uint32_t cell_of(uint32_t key, const uint32_t *buckets)
{
    const uint32_t bucket = buckets[key >> KEY_BITS];
    return (bucket >> 16) + ((key & ((1u << KEY_BITS) - 1)) * (bucket & 0xffffu) >> KEY_BITS);
}

static void add_tails(tally *t, double x, double y)
{
    const double radius = sqrt(x * x + y * y);
    for (int i = 0; i < TAILS; i++)
        t->tails[i] += (uint64_t)((fabs(x) > 4 + 0.5 * i) + (fabs(y) > 4 + 0.5 * i));
    for (int i = 0; i < RADII; i++)
        t->radii[i] += radius > 5.5 + 0.5 * i;
}

static void add_powers(tally *t, const float *z)
{
    float sums[POWERS][WIDE] = {{0}};
    for (size_t i = 0; i < BLOCK; i += WIDE) {
        float power[WIDE];
        memcpy(power, z + i, sizeof power);
        for (int k = 0; k < POWERS; k++)
            for (size_t j = 0; j < WIDE; j++) {
                sums[k][j] += power[j];
                power[j] *= z[i + j];
            }
    }
    for (int k = 0; k < POWERS; k++)
        for (int j = 0; j < WIDE; j++)
            t->powers[k] += sums[k][j];
}

/* The sum of a block's products with the numbers `lag` places earlier; LAGS places precede the block. */
static double products(const float *z, size_t lag)
{
    float sums[WIDE] = {0};
    double sum = 0;
    for (size_t i = 0; i < BLOCK; i += WIDE)
        for (size_t j = 0; j < WIDE; j++)
            sums[j] += z[LAGS + i + j] * z[LAGS + i + j - lag];
    for (int j = 0; j < WIDE; j++)
        sum += sums[j];
    return sum;
}

static inline __attribute__((always_inline)) void add_samples(const void *samples, size_t count,
                                                              const uint32_t *buckets, double mean, double scale,
                                                              tally *t, const int kind)
{
    float x[BLOCK], z[BLOCK + LAGS] = {0}, s[BLOCK + LAGS] = {0}, last = -INFINITY;
    uint32_t cells[BLOCK];
    for (size_t first = 0; first < count; first += BLOCK) {
        const size_t n = count - first < BLOCK ? count - first : BLOCK;
        for (size_t i = 0; i < n; i++) {
            if (kind == FLOATS) {
                x[i] = ((const float *)samples)[first + i];
                z[LAGS + i] = (x[i] - (float)mean) * (float)scale;
            } else {
                const double y =
                    kind == WORDS ? ((const uint32_t *)samples)[first + i] : ((const double *)samples)[first + i];
                x[i] = (float)y;
                z[LAGS + i] = (float)((y - mean) * scale);
            }
            s[LAGS + i] = z[LAGS + i] * z[LAGS + i] - 1;
        }
        for (size_t i = n; i < BLOCK; i++)
            z[LAGS + i] = s[LAGS + i] = 0;
        for (size_t i = 0; i < n; i++) {
            const uint32_t word = kind == WORDS ? ((const uint32_t *)samples)[first + i] : 0;
            cells[i] = cell_of(kind == WORDS ? word << 16 | word >> 16 : key_of(x[i]), buckets);
        }
        for (size_t i = 0; i < n; i += 2) {
            t->cells[cells[i]]++;
            t->cells[cells[i + 1]]++;
            t->pairs[(cells[i] & 0xff00u) | cells[i + 1] >> 8]++;
            if (kind != WORDS && x[i] * x[i] + x[i + 1] * x[i + 1] > 15.9f)
                add_tails(t, x[i], x[i + 1]);
        }
        t->falls += x[0] < last;
        for (size_t i = 1; i < n; i++)
            t->falls += x[i] < x[i - 1];
        last = x[n - 1];
        add_powers(t, z + LAGS);
        for (size_t lag = 1; lag <= LAGS; lag++) {
            t->products[0][lag - 1] += products(z, lag);
            t->products[1][lag - 1] += products(s, lag);
        }
        memcpy(z, z + BLOCK, LAGS * sizeof *z);
        memcpy(s, s + BLOCK, LAGS * sizeof *s);
    }
}

/* Adds an even number of samples to a tally; z is (x - mean) scale. Zeros before the first sample and after the last
 * add nothing to the products. */
EXPORT void add_words(const uint32_t *x, size_t count, const uint32_t *buckets, double mean, double scale, tally *t)
{
    add_samples(x, count, buckets, mean, scale, t, WORDS);
}
EXPORT void add_floats(const float *x, size_t count, const uint32_t *buckets, double mean, double scale, tally *t)
{
    add_samples(x, count, buckets, mean, scale, t, FLOATS);
}
EXPORT void add_doubles(const double *x, size_t count, const uint32_t *buckets, double mean, double scale, tally *t)
{
    add_samples(x, count, buckets, mean, scale, t, DOUBLES);
}

/* Counts how often each value of 8 or 16 bits occurs. */
EXPORT void add_values8(const uint8_t *x, size_t count, uint32_t *counts)
{
    for (size_t i = 0; i < count; i++)
        counts[x[i]]++;
}
EXPORT void add_values16(const uint16_t *x, size_t count, uint32_t *counts)
{
    for (size_t i = 0; i < count; i++)
        counts[x[i]]++;
}
