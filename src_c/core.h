/* What the files of the core share: a fill as a job, and the tables of kernels that can do it. */
#ifndef PYI_CORE_H
#define PYI_CORE_H

#include "pyinit.h"

typedef enum {
    PYI_BITS_U32,
    PYI_UNIFORM_F32,
    PYI_UNIFORM_F64,
    PYI_NORMAL_F32,
    PYI_NORMAL_F64,
} pyi_sampler;

#define PYI_GENERATORS 2
#define PYI_SAMPLERS 5

/* Sample 0 of a job is number `skip` of those that `block` gives. */
typedef struct {
    pyi_generator generator;
    pyi_sampler sampler;
    uint64_t seed, id, block;
    uint32_t skip;
    int stream;    /* write past the cache: worth it for buffers that are larger */
    float f32[3];  /* normal: mean, std; uniform: low, high - low, the largest value below high */
    double f64[3]; /* the same, for the samplers of doubles */
} pyi_job;

/* Writes samples [first, first + count) of the job. */
typedef void pyi_kernel(const pyi_job *job, uint64_t first, size_t count, void *out);
typedef pyi_kernel *const pyi_kernel_table[PYI_GENERATORS][PYI_SAMPLERS];

extern pyi_kernel_table pyi_kernels_scalar, pyi_kernels_avx2, pyi_kernels_avx512, pyi_kernels_neon;

/* The kernel of the active tier. */
pyi_kernel *pyi_dispatch(pyi_generator generator, pyi_sampler sampler);

/* Chooses the tier: that of PYINIT_ISA, or the best. */
pyi_status pyi_isa_init(void);

/* Runs a kernel over `count` samples of `size` bytes, on several threads where that pays. */
pyi_status pyi_run(const pyi_job *job, size_t count, size_t size, void *out, const pyi_options *options);

#endif
