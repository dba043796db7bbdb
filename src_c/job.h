/* A fill as a job: all that a kernel needs to know, on any processor. */
#ifndef PYI_JOB_H
#define PYI_JOB_H

#include "pyinit.h"
#include "target.h"

/* The bytes and the words of a sample; constant if the type is. */
#define PYI_ADD_BYTES(a, b, enumerator, number, name, bytes, words, digits, least, largest) \
    +((a) == (enumerator)) * bytes
#define PYI_ADD_WORDS(a, b, enumerator, number, name, bytes, words, digits, least, largest) \
    +((a) == (enumerator)) * words
PYI_INLINE uint32_t pyi_sample_bytes(pyi_dtype dtype) { return (uint32_t)(PYI_EACH_DTYPE(PYI_ADD_BYTES, dtype, )); }
PYI_INLINE uint32_t pyi_sample_words(pyi_dtype dtype) { return (uint32_t)(PYI_EACH_DTYPE(PYI_ADD_WORDS, dtype, )); }

/* Whether a method makes samples of a type that takes `words` words: raw words for PYI_U32, floats for the others. The
 * tail's method makes samples of one word only. */
#define PYI_HAS_KERNEL(method, dtype, words) \
    (((method) == PYI_METHOD_BITS) == ((dtype) == PYI_U32) && ((method) != PYI_METHOD_TRUNCATED_TAIL || (words) == 1))

#define PHILOX_ROUNDS 10

/* The coefficients of a quantile function: 16 polynomials, one an octave, of 9 coefficients each (inverse_cdf.h). */
#define PYI_QUANTILE_TERMS 9
#define PYI_QUANTILE_OCTAVES 16

/* The constants of all methods; each uses some. The samplers' structures have members of the same names. `low` and
 * `high` are the outermost samples. */
#define PYI_CONSTANTS(real)                                          \
    struct {                                                         \
        real mean, std, low, high, base, scale;                      \
        real step, end_below, end_above, median_below, median_above; \
        real first, mean_low, half_step, series[5];                  \
    }
typedef PYI_CONSTANTS(float) pyi_constants_f32;
#if defined(__OPENCL_VERSION__) && !defined(cl_khr_fp64)
typedef PYI_CONSTANTS(uint64_t) pyi_constants_f64; /* as large as the constants, on a device without doubles */
#else
typedef PYI_CONSTANTS(double) pyi_constants_f64;
#endif

/* Sample 0 of a job is number `skip` of the samples from block `block` on. */
typedef struct {
    pyi_generator generator;
    pyi_method method;
    pyi_dtype dtype;
    uint64_t seed, id, block;
    uint32_t skip;
    uint32_t round_keys[PHILOX_ROUNDS][2]; /* of Philox */
    int subnormals;                        /* whether a sample, as a float, may be subnormal */
    int stream;                            /* write past the cache: pays for buffers that are larger */
    /* Truncated normals: words of 64 bits; samples of 32 bits use the upper half. `unflip` and `above` are stored
     * because GCC's ~x waits for its destination's old value. */
    uint64_t flip, unflip, median, above;
    pyi_constants_f32 f32;
    pyi_constants_f64 f64;
    /* The quantile function of a tail (truncated.h); not set for other methods. */
    float tail[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES];
} pyi_job;

/* What a CUDA block takes at once of an array when one launch fills many: several turns of its loop. Counted in samples
 * of a run, or units of a window. */
#define PYI_TILE_SAMPLES 16384
#define PYI_TILE_UNITS 4096

/* One of these arrays. These members, and the constants in a job of its own, are all that differs between arrays. */
typedef struct {
    uint64_t tile;      /* the number of its first tile, over all arrays */
    uint64_t out;       /* its address; on OpenCL, the byte offset in its buffer */
    uint64_t count;     /* samples, or a window's units */
    uint64_t id, block; /* as in a job; so is `skip` */
    uint32_t skip;
    uint32_t constants; /* the number of that job */
    uint32_t window;    /* 1 + the number of its window; 0: a run without gaps */
    uint32_t unused;
} pyi_device_item;

#endif
