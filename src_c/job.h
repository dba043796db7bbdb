/* A fill as a job: all that a kernel must know of it, on whatever processor. */
#ifndef PYI_JOB_H
#define PYI_JOB_H

#include "pyinit.h"

/* How samples are computed; the truncated normal has three ways (truncated.h). */
typedef enum {
    PYI_METHOD_BITS,
    PYI_METHOD_UNIFORM,
    PYI_METHOD_BOX_MULLER,
    PYI_METHOD_ICDF,
    PYI_METHOD_TRUNCATED_CENTRE,
    PYI_METHOD_TRUNCATED_TAIL,
    PYI_METHOD_TRUNCATED_NARROW
} pyi_method;

#define PYI_GENERATORS 2
#define PYI_METHODS 7
#define PYI_DTYPES 5
#define PHILOX_ROUNDS 10

/* The constants of a method; each uses some. They are what the samplers' structures of the same names hold. */
#define PYI_CONSTANTS(real)                                          \
    struct {                                                         \
        real mean, std, low, high, scale;                            \
        real step, end_below, end_above, median_below, median_above; \
        real log, first, mean_low, half_step, series[5];             \
    }
typedef PYI_CONSTANTS(float) pyi_constants_f32;
#if defined(__OPENCL_VERSION__) && !defined(cl_khr_fp64)
typedef PYI_CONSTANTS(uint64_t) pyi_constants_f64; /* the room they take, on a device without doubles */
#else
typedef PYI_CONSTANTS(double) pyi_constants_f64;
#endif

/* Sample 0 of a job is number `skip` of those that `block` gives. */
typedef struct {
    pyi_generator generator;
    pyi_method method;
    pyi_dtype dtype;
    uint64_t seed, id, block;
    uint32_t skip;
    uint32_t round_keys[PHILOX_ROUNDS][2]; /* of Philox */
    int subnormals;                        /* whether a sample, as a float, may be subnormal */
    int stream;                            /* write past the cache: worth it for buffers that are larger */
    /* Truncated normals: as words of 64 bits, or the upper half for those of 32. What follows from another is given
     * too, where GCC would else compute ~x, by an instruction that waits for the former value of its register. */
    uint64_t flip, unflip, median, above;
    pyi_constants_f32 f32;
    pyi_constants_f64 f64;
} pyi_job;

#endif
