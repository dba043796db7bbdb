/* What the files of the core share: how a job is made and run, and the tables of kernels that can do it. */
#ifndef PYI_CORE_H
#define PYI_CORE_H

#include "job.h"

/* A shared library exports what is in pyinit.h, and nothing else. */
#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility push(hidden)
#endif

/*
 * The part of a job that a kernel does in one call: in each of `rows` rows the samples [first, first + count), where
 * the next row's `first` is `row_step` samples further on, and its place `row_stride` bytes. Or, if `blocks` is not
 * null, all samples of the blocks with these numbers: `count` blocks, a multiple of PYI_BLOCKS_MULTIPLE, in one row.
 */
typedef struct {
    uint64_t first;
    size_t count, rows;
    uint64_t row_step;
    ptrdiff_t row_stride;
    const uint64_t *blocks;
} pyi_part;

typedef void pyi_kernel(const pyi_job *job, const pyi_part *part, void *out);
typedef pyi_kernel *const pyi_kernel_table[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES];
#define PYI_BLOCKS_MULTIPLE 8

extern pyi_kernel_table pyi_kernels_scalar, pyi_kernels_avx2, pyi_kernels_avx512, pyi_kernels_neon;
/* bfloat16 kernels alone, for jobs of which no float is subnormal. */
extern pyi_kernel_table pyi_kernels_avx512_bf16;

/* Bytes of a sample, and how many words it takes. */
static inline size_t pyi_sample_size(pyi_dtype dtype)
{
    return dtype == PYI_F64 ? 8 : dtype == PYI_F16 || dtype == PYI_BF16 ? 2 : 4;
}
static inline uint32_t pyi_sample_words(pyi_dtype dtype) { return dtype == PYI_F64 ? 2 : 1; }

/* The kernel of the active tier. */
pyi_kernel *pyi_dispatch(const pyi_job *job);

/* Chooses the tier: that of PYINIT_ISA, or the best; PYI_UNAVAILABLE, and the best, if there is no such tier. */
pyi_status pyi_isa_init(void);

/* Sets the method and the constants of a job; PYI_BAD_VALUE if a parameter is outside its valid range. */
pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job);

/* What a thread takes at once: several times what its start costs. */
#define PYI_CHUNK_BYTES ((size_t)1 << 19)

/*
 * Whether a fill is so large that its stores had better go past the cache: beyond the last-level caches of most
 * machines, a store that reads no line first saves half the traffic.
 */
static inline int pyi_is_large(uint64_t count, size_t size) { return count > ((uint64_t)1 << 26) / size; }
/* Whether they do: what the system has just cleared is in the cache. */
static inline int pyi_streams(uint64_t count, size_t size, const pyi_options *options)
{
    return pyi_is_large(count, size) && !(options && options->fresh);
}

/* Claims `count` samples of the stream for a new job. Whatever is not PYI_OK has moved nothing. */
pyi_status pyi_job_new(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, size_t count,
                       pyi_job *job);

/* A fill as `units` that can be done in any order, `run` doing [first, first + count) of them. */
typedef struct pyi_work pyi_work;
struct pyi_work {
    void (*run)(const pyi_work *work, uint64_t first, size_t count);
    uint64_t units;
    size_t unit_bytes; /* that one of them writes */
    size_t chunk;      /* units that a thread takes at once, */
    size_t phase;      /* and of which the first one lacks so many */
    const pyi_job *job;
    pyi_kernel *kernel;
    char *out;
    const void *plan; /* what else `run` needs */
};

/* The processors that this process may use: those of its affinity mask, and no more than its container's quota. */
size_t pyi_processors(void);

/* The threads of a fill whose call does not say: those of PYINIT_NUM_THREADS, or one for each of these processors. */
size_t pyi_default_threads(void);

/* Reads PYINIT_NUM_THREADS and the quota; PYI_BAD_VALUE, and nothing from the environment, if it is not 1 or more. */
pyi_status pyi_threads_init(void);

/* The processors, begun ones counted whole, that the control groups of a process allow; UINT_MAX if there is no limit.
 * `process` is the folder of its files, /proc/self, and `root` goes before the mount points that they name. */
unsigned pyi_quota(const char *process, const char *root);

/* Does all the work, on several threads where that pays. */
pyi_status pyi_run(const pyi_work *work, const pyi_options *options);

#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility pop
#endif

#endif
