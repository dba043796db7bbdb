/* What the core's files share: how jobs are made and run, and the tables of kernels. */
#ifndef PYI_CORE_H
#define PYI_CORE_H

#include <stdatomic.h>

#include "job.h"

/* The fast tiers need a compiler with GCC's vector types. clang-cl has them too, although it does not define __GNUC__.
 * GCC for Windows is left out: it aligns vectors of 32 bytes to 16 bytes only, which crashes the process (GCC's bugs
 * 49001 and 54412). */
#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && !defined(_WIN32)))
#define PYI_X86
#elif defined(__aarch64__) && (defined(__clang__) || defined(__GNUC__)) && !defined(__AARCH64EB__)
#define PYI_NEON
#endif

/* A shared library exports only what pyinit.h declares. */
#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility push(hidden)
#define PYI_HIDDEN __attribute__((visibility("hidden")))
#else
#define PYI_HIDDEN
#endif

/* Whether the target has 16-byte vectors that GCC and clang can use and that the tests cover: those of SSE2, NEON and
 * z14. On other targets vector types are emulated by scalars, which is slower than one lane. */
#if defined(__GNUC__) && (defined(__SSE2__) || (defined(__aarch64__) && !defined(__AARCH64EB__)) || \
                          (defined(__s390x__) && defined(__VX__) && defined(__ARCH__) && __ARCH__ >= 12))
#define PYI_HAS_VECTORS
#endif

/* The methods' enumerators as text, in the order of their numbers. */
extern const char *const pyi_methods[];

/* The most blocks that a kernel makes at once. */
#define PYI_LARGEST_STEP 8
/* The alignment that every tier's stores past the cache need. */
#define PYI_STREAM_ALIGNMENT 64

/*
 * What a kernel does in one call. It works in whole steps; a step is the tier's own number of blocks, a power of 2.
 * First it writes, in each of `rows` rows, the blocks that pyi_body_of finds in the samples [first, first + count). The
 * next row's `first` is `row_step` samples further on, its place `row_stride` bytes. Then it writes all samples of the
 * listed blocks to `scratch`, rounded up to whole steps.
 */
typedef struct {
    uint64_t first;
    size_t count, rows;
    uint64_t row_step;
    ptrdiff_t row_stride;
    const uint64_t *blocks;
    size_t listed;
    char *scratch;
    int more; /* whether the same thread has another part to do: stores past the cache need no fence yet */
} pyi_part;

typedef void pyi_kernel(const pyi_job *job, const pyi_part *part, void *out);

/* A tier's kernels, and the blocks that they make at once. */
typedef struct {
    unsigned step;
    pyi_kernel *of[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES];
} pyi_kernels;

/* The kernel of the active tier, and its step. */
pyi_kernel *pyi_dispatch(const pyi_job *job, unsigned *step);

/* Chooses the tier that PYINIT_ISA names, or the best. If there is no such tier, chooses the best and returns
 * PYI_UNAVAILABLE. */
pyi_status pyi_isa_init(void);

/* The id of a child. `person` is BLAKE2b's personalisation: null for children, and set for pyinit's own streams, so
 * that no name can reach them. */
uint64_t pyi_child_id(uint64_t parent, const char *name, size_t length, const char person[16]);

/* Sets the method and the constants of a job; PYI_BAD_VALUE if a parameter is outside its valid range. */
pyi_status pyi_describe(const pyi_distribution *distribution, pyi_dtype dtype, pyi_job *job);

/* Sets where a job begins, after pyi_describe has set the rest. */
void pyi_job_begin(pyi_job *job, const pyi_stream *claimed);

/* The part of a row that a kernel writes in place: `blocks` whole blocks, a multiple of the tier's step, from number
 * `block` on. Its first sample is `lead` samples into the row. The samples before and after it are the edges. */
typedef struct {
    uint64_t block;
    size_t lead, blocks;
    int stream; /* whether to write past the cache */
} pyi_body;

/* log2 of the samples in a block. */
static inline unsigned pyi_block_shift(pyi_dtype dtype) { return pyi_sample_words(dtype) == 2 ? 1 : 2; }

/* `row` is the place of sample `first`. Stores past the cache must be aligned; the body moves to an aligned place if
 * whole blocks lead there. */
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

/* A dimension: its length, and the bytes and samples from one element to the next. */
typedef struct {
    size_t length;
    ptrdiff_t stride;
    uint64_t step;
} pyi_axis;

/* A window as rows of columns, cut into tiles. */
typedef struct {
    pyi_axis outer[PYI_MAX_DIMS];
    int outers;
    pyi_axis row, column; /* `column` goes along a run of consecutive samples */
    uint64_t first;       /* the sample of element 0 */
    size_t tile_rows, tile_columns, row_tiles, column_tiles;
    int in_place;
} pyi_plan;

/* An item ready to be filled, in `units` of at most `unit_bytes` each, which can be done in any order. */
typedef struct {
    const pyi_item *item; /* null: none yet */
    pyi_job job;
    pyi_kernel *kernel;
    unsigned step;
    uint64_t units;
    size_t unit_bytes;
    int is_run;     /* whether samples are consecutive both in the tensor and in memory; false for some windows only */
    uint64_t first; /* the number of a run's first sample */
    size_t count;   /* the number of samples of a run */
    pyi_plan plan;  /* for an item that is not a run */
} pyi_task;

/* The work that a thread takes at once: several times the cost of starting a thread. */
#define PYI_CHUNK_BYTES ((size_t)1 << 19)

/* Fills a checked item whose words are claimed and whose distribution is described in the task. */
pyi_status pyi_fill_described(pyi_task *task, const pyi_item *item, const pyi_options *options);

/* Counts the elements of a window and of its tensor; returns an error if the window is not valid. */
pyi_status pyi_count_elements(const pyi_window *window, uint64_t *elements, uint64_t *global);

/* Plans a valid window and its units; the job is already described. */
void pyi_plan_window(pyi_task *task, const pyi_window *window);

/* Fills `count` units (tiles) of a window, from `first` on. */
void pyi_fill_tiles(const pyi_task *task, uint64_t first, uint64_t count);

/* Fills checked items; `places` has room for all. */
pyi_status pyi_fill_checked(const pyi_item *items, size_t n, pyi_place *places, const pyi_options *options);

/* Finds two items that share memory and puts their numbers in `pair`; returns 0 if there are none. `places` has room
 * for all. */
int pyi_find_overlap(const pyi_item *items, size_t n, pyi_place *places, size_t pair[2]);

/* Fills rows of consecutive samples: a row is [first, first + count), and the next one begins `row_step` samples and
 * `row_stride` bytes further on. */
void pyi_fill_rows(const pyi_task *task, const pyi_part *part, char *out);

/* Smaller arrays are not checked for new memory. */
#define PYI_LARGE_MEMORY ((uint64_t)1 << 22)
/* Whether large memory seems untouched since the system gave it; if so, asks for huge pages. */
int pyi_take_new_memory(void *memory, size_t bytes);

/* What a fill has seen of new memory: how many huge pages in a row came slowly, and the end of the item whose rest gets
 * small pages. */
typedef struct {
    atomic_int slow;
    _Atomic uintptr_t given_up;
} pyi_new_memory;

/* Call it before the first write to a part of such memory; `left` bytes of the item follow. Changes to small pages if
 * huge ones come slowly. */
void pyi_touch_new_memory(void *memory, size_t bytes, size_t left, pyi_new_memory *seen);

/* The time of a clock. */
uint64_t pyi_microseconds(void);

/* Reads PYINIT_MADVISE_HUGEPAGE; without this call, the first fill does. */
int pyi_memory_init(void);

/* Rounds floats, none of them nan, to a type of 16 or 8 bits. */
void pyi_round(pyi_dtype dtype, const float *values, void *out, size_t count);

/* How many processors this process may use: those of its affinity mask, limited by its container's quota. */
size_t pyi_processors(void);

/* The default number of threads of a fill: PYINIT_NUM_THREADS, or one for each of these processors. */
size_t pyi_default_threads(void);

/* Reads PYINIT_NUM_THREADS and the quota. If the variable is not 1 or more, returns PYI_BAD_VALUE and ignores it. */
pyi_status pyi_threads_init(void);

/* How many processors a process's control groups allow, rounded up; UINT_MAX if there is no limit. `process` is the
 * folder of its files, /proc/self; `root` is put before the mount points that they name. */
unsigned pyi_quota(const char *process, const char *root);

/* `bytes` of work that can be done in any order; `run` does those of [first, first + count). */
typedef struct pyi_work pyi_work;
struct pyi_work {
    void (*run)(const pyi_work *work, uint64_t first, uint64_t count, pyi_task *own);
    uint64_t bytes;
    size_t chunk; /* the bytes that a thread takes at once */
    size_t phase; /* the bytes by which the first chunk is shorter */
    const void *plan;
};

/* Does all the work, on several threads if that pays. Each thread has its own task; `own` is the caller's. */
pyi_status pyi_run(const pyi_work *work, pyi_task *own, const pyi_options *options);

#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility pop
#endif

#endif
