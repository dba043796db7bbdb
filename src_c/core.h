/* What the files of the core share: how a job is made and run, and the tables of kernels that can do it. */
#ifndef PYI_CORE_H
#define PYI_CORE_H

#include <stdatomic.h>

#include "job.h"

/* Which fast tiers there are: those of compilers with GCC's vectors, which clang has as clang-cl too, though it does
 * not define __GNUC__ then. GCC for Windows keeps vectors of 32 bytes at addresses that are multiples of 16 alone,
 * which ends the process: its bugs 49001 and 54412. */
#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && !defined(_WIN32)))
#define PYI_X86
#elif defined(__aarch64__) && (defined(__clang__) || defined(__GNUC__)) && !defined(__AARCH64EB__)
#define PYI_NEON
#endif

/* A shared library exports what is in pyinit.h, and nothing else. */
#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility push(hidden)
#define PYI_HIDDEN __attribute__((visibility("hidden")))
#else
#define PYI_HIDDEN
#endif

/* Whether the target has vectors of 16 bytes that GCC and clang can use, and whose bits are tested: SSE2, NEON, and
 * those of z14. Elsewhere their vector types are made of scalars, which is slower than one lane. */
#if defined(__GNUC__) && (defined(__SSE2__) || (defined(__aarch64__) && !defined(__AARCH64EB__)) || \
                          (defined(__s390x__) && defined(__VX__) && defined(__ARCH__) && __ARCH__ >= 12))
#define PYI_HAS_VECTORS
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
    int more; /* whether another part follows, of the same thread: stores past the cache need no fence yet */
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

/* The id of a child. `person`, BLAKE2b's personalisation, is null for children, and set for streams of pyinit's own, so
 * that no name can reach them. */
uint64_t pyi_child_id(uint64_t parent, const char *name, size_t length, const char person[16]);

/* Sets the method and the constants of a job; PYI_BAD_VALUE if a parameter is outside its valid range. */
pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job);

/* Sets the rest of a job that pyi_describe made: where it begins. */
void pyi_job_begin(pyi_job *job, const pyi_stream *claimed);

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

/* A dimension: how many elements, the bytes and the samples from one to the next. */
typedef struct {
    size_t length;
    ptrdiff_t stride;
    uint64_t step;
} pyi_axis;

/* A window as rows of columns, cut into tiles. */
typedef struct {
    pyi_axis outer[PYI_MAX_DIMS];
    int outers;
    pyi_axis row, column; /* `column` goes along a run, whose samples follow each other */
    uint64_t first;       /* the sample of element 0 */
    size_t tile_rows, tile_columns, row_tiles, column_tiles;
    int in_place;
} pyi_plan;

/* An item that is ready to be filled: `units`, each of `unit_bytes` or less, that can be done in any order. */
typedef struct {
    const pyi_item *item; /* null: none yet */
    pyi_job job;
    pyi_kernel *kernel;
    unsigned step;
    uint64_t units;
    size_t unit_bytes;
    int is_run; /* whether the samples follow each other in the tensor and in memory, as all but some windows' do: */
    uint64_t first; /* of a run, the number of its first sample */
    size_t count;   /* and how many there are */
    pyi_plan plan;  /* of what is no run */
} pyi_task;

/* What a thread takes at once: several times what its start costs. */
#define PYI_CHUNK_BYTES ((size_t)1 << 19)

/* Fills an item that has been checked, whose words are claimed, and whose distribution is described in the task. */
pyi_status pyi_fill_described(pyi_task *task, const pyi_item *item, const pyi_options *options);

/* The elements of a window and of its tensor, or the status of one that is not valid. */
pyi_status pyi_count_elements(const pyi_window *window, uint64_t *elements, uint64_t *global);

/* Makes the plan and the units of a valid window; the job is described. */
void pyi_plan_window(pyi_task *task, const pyi_window *window);

/* Fills `count` of a window's units, which are tiles, from `first` on. */
void pyi_fill_tiles(const pyi_task *task, uint64_t first, uint64_t count);

/* Fills items that have been checked; `places` has room for all. */
pyi_status pyi_fill_checked(const pyi_item *items, size_t n, pyi_place *places, const pyi_options *options);

/* The numbers of two items that share memory, in `pair`; 0 if there are none. It needs a place for each item. */
int pyi_find_overlap(const pyi_item *items, size_t n, pyi_place *places, size_t pair[2]);

/* Fills rows of samples that lie side by side: a row is [first, first + count), the next one `row_step` samples and
 * `row_stride` bytes further on. */
void pyi_fill_rows(const pyi_task *task, const pyi_part *part, char *out);

/* Smaller arrays are not checked for new memory. */
#define PYI_LARGE_MEMORY ((uint64_t)1 << 22)
/* Whether no page of large memory has been touched since the system gave it; asks for huge pages there. */
int pyi_take_new_memory(void *memory, size_t bytes);

/* What a fill has seen of new memory: how many huge pages in turn came slowly, and the end of the item of which the
 * rest is left to small ones. */
typedef struct {
    atomic_int slow;
    _Atomic uintptr_t given_up;
} pyi_new_memory;

/* Called ahead of the first write to a part of such memory, of which so many bytes follow: goes over to small pages if
 * huge ones come slowly. */
void pyi_touch_new_memory(void *memory, size_t bytes, size_t left, pyi_new_memory *seen);

/* A clock's. */
uint64_t pyi_microseconds(void);

/* Reads whether the environment wants that; the first fill does so otherwise. */
int pyi_memory_init(void);

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

/* `bytes` of work that can be done in any order, `run` doing [first, first + count) of them. */
typedef struct pyi_work pyi_work;
struct pyi_work {
    void (*run)(const pyi_work *work, uint64_t first, uint64_t count, pyi_task *own);
    uint64_t bytes;
    size_t chunk; /* that a thread takes at once, */
    size_t phase; /* and of which the first one lacks so many */
    const void *plan;
};

/* Does all the work, on several threads where that pays. Each has a task of its own; `own` is the caller's. */
pyi_status pyi_run(const pyi_work *work, pyi_task *own, const pyi_options *options);

#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility pop
#endif

#endif
