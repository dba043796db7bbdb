/* What the files of the core share: how a job is made and run, and the tables of kernels that can do it. */
#ifndef PYI_CORE_H
#define PYI_CORE_H

#include "job.h"

/* A shared library exports what is in pyinit.h, and nothing else. */
#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility push(hidden)
#define PYI_HIDDEN __attribute__((visibility("hidden")))
#else
#define PYI_HIDDEN
#endif

/* The methods' enumerators as text, in the order of their numbers. */
extern const char *const pyi_methods[];

/* The most blocks that a kernel makes at once. */
#define PYI_LARGEST_STEP 8
/* Of every tier's stores past the cache. */
#define PYI_STREAM_ALIGNMENT 64

/*
 * What a kernel does in one call, in whole steps of the tier's own number of blocks, a power of 2. In each of `rows`
 * rows, those that pyi_body_of finds in the samples [first, first + count); the next row's `first` is `row_step`
 * samples further on, and its place `row_stride` bytes. Then, to `scratch`, all samples of the listed blocks, rounded
 * up to whole steps.
 */
typedef struct {
    uint64_t first;
    size_t count, rows;
    uint64_t row_step;
    ptrdiff_t row_stride;
    const uint64_t *blocks;
    size_t listed;
    char *scratch;
} pyi_part;

typedef void pyi_kernel(const pyi_job *job, const pyi_part *part, void *out);

/* A tier's kernels, and the blocks that they make at once. */
typedef struct {
    unsigned step;
    pyi_kernel *of[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES];
} pyi_kernels;

/* The kernel of the active tier, and its step. */
pyi_kernel *pyi_dispatch(const pyi_job *job, unsigned *step);

/* Chooses the tier: that of PYINIT_ISA, or the best; PYI_UNAVAILABLE, and the best, if there is no such tier. */
pyi_status pyi_isa_init(void);

/* Sets the method and the constants of a job; PYI_BAD_VALUE if a parameter is outside its valid range. */
pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job);

/* Sets the rest of a job that pyi_describe made: where it begins. */
void pyi_job_begin(pyi_job *job, const pyi_stream *claimed);

/* Do a job: as pyi_fill and pyi_fill_window, but that the words are claimed already. */
pyi_status pyi_job_fill(pyi_job *job, void *out, size_t count, const pyi_options *options);
pyi_status pyi_job_fill_window(pyi_job *job, void *out, const pyi_window *window, const pyi_options *options);

/* Of a row of samples, what a kernel makes in place: `blocks` whole blocks from `block` on, a multiple of the tier's
 * step, the first one's first sample `lead` samples behind the row's beginning. The rest, before and behind, is the
 * edges. */
typedef struct {
    uint64_t block;
    size_t lead, blocks;
    int stream; /* whether to write past the cache */
} pyi_body;

/* log2 of the samples in a block. */
static inline unsigned pyi_block_shift(pyi_dtype dtype) { return pyi_sample_words(dtype) == 2 ? 1 : 2; }

/* `row` is the place of sample `first`. Writing past the cache needs an alignment, to which the body is brought where
 * whole blocks can do so. */
static inline pyi_body pyi_body_of(const pyi_job *job, uint64_t first, size_t count, const void *row, unsigned step)
{
    const unsigned shift = pyi_block_shift(job->dtype);
    const uint64_t sample = first + job->skip, per_block = (uint64_t)1 << shift;
    pyi_body body = {job->block + ((sample + per_block - 1) >> shift), (size_t)(-sample & (per_block - 1)), 0,
                     job->stream};

    if (body.stream) {
        const size_t size = pyi_sample_bytes(job->dtype);
        const size_t to_boundary = (size_t)(-((uintptr_t)row + body.lead * size) % PYI_STREAM_ALIGNMENT);
        body.stream = to_boundary % (size << shift) == 0;
        if (body.stream) {
            body.lead += to_boundary / size;
            body.block += to_boundary / (size << shift);
        }
    }
    if (body.lead < count)
        body.blocks = (count - body.lead) >> shift & ~((size_t)step - 1);
    return body;
}

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
    unsigned step;
    char *out;
    const void *plan; /* what else `run` needs */
};

/* Fills rows of samples that lie side by side: a row is [first, first + count), the next one `row_step` samples and
 * `row_stride` bytes further on. */
void pyi_fill_rows(const pyi_work *work, const pyi_part *part, char *out);

/* Rounds floats, none of which is nan, to numbers of a type of 16 or 8 bits. */
void pyi_round(pyi_dtype dtype, const float *values, void *out, size_t count);

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
