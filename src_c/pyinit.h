/*
 * pyinit: random samples written straight into memory.
 *
 * A stream is a generator, a seed, an id and a position, counted in 32-bit words. A sample depends on these alone, not
 * on the processor, the number of threads, or how a buffer is split.
 *
 *     pyi_stream stream;
 *     pyi_stream_new(&stream, PYI_ARS4X32_5, 42, 0);
 *     pyi_fill_normal_f32(&stream, weights, 5000 * 10000, 0.0, 0.02, NULL);
 *
 * A fill writes `count` samples and moves the stream past them. It allocates nothing and keeps no state but the stream:
 * every function is reentrant, and distinct streams may be used from distinct threads. The whole process shares two
 * settings: the instruction set, below, and the default number of threads. The latter is the environment's
 * PYINIT_NUM_THREADS at first use, or one for each processor that the affinity mask and the container's quota allow.
 *
 * On Linux, a fill asks for huge pages (madvise) if memory of 4 MiB or more seems untouched since the system gave it
 * (three of its pages are checked), to meet fewer page faults. Only the size of pages changes; if huge pages come
 * slowly, the fill goes on with small ones. In the environment, PYINIT_MADVISE_HUGEPAGE=0 turns this off and 1 insists
 * on huge pages; it is read once.
 *
 * If a status is neither PYI_OK nor PYI_INTERRUPTED, no byte was written and no stream moved.
 */
#ifndef PYINIT_H
#define PYINIT_H

#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of pyinit. */
#define PYI_VERSION_MAJOR 0
#define PYI_VERSION_MINOR 1
#define PYI_VERSION_PATCH 0
#define PYI_VERSION "0.1.0"

/*
 * The version of the stream contract, which fixes the bits that a seed gives. The bits of a version never change.
 */
#define PYI_CONTRACT_VERSION 1

typedef enum {
    PYI_OK = 0,
    PYI_BAD_VALUE = 1,   /* an argument outside its valid range */
    PYI_EXHAUSTED = 2,   /* the samples would end beyond position 2^66, or there are 2^63 or more */
    PYI_INTERRUPTED = 3, /* `interrupted` ended the fill; the buffer is partly written */
    PYI_UNAVAILABLE = 4, /* this machine does not have that instruction set */
    PYI_OVERLAP = 5      /* two arrays share memory */
} pyi_status;

typedef struct {
    pyi_generator generator;
    uint64_t seed;
    uint64_t id;    /* 0 for the root stream; the high half of the counter */
    uint64_t block; /* position div 4 */
    uint32_t word;  /* position mod 4 */
    uint32_t end;   /* 1 at position 2^66, where block is 0 again */
} pyi_stream;

/*
 * A sampler and its parameters, in the order of the table. All but lower and upper are first rounded to the type of the
 * samples (to float for narrower types). Valid range: low <= high; low, high and high - low finite in the type; mean
 * and std finite in it, 0 <= std <= 1/16 of the largest float or double; lower < upper, either of which may be
 * infinite, the one nearer to 0 at most PYI_FARTHEST_BOUND from it: a normal exceeds that with probability 2^-890.
 */
#define PYI_FARTHEST_BOUND 35.0
typedef struct {
    pyi_sampler sampler;
    double parameters[4];
} pyi_distribution;

#define PYI_MAX_DIMS 64

/* GPU kernels use only the types above, and OpenCL has no pointers to functions. */
#if !defined(__CUDACC_RTC__) && !defined(__OPENCL_VERSION__)

/* How a fill runs; a null pointer stands for all zeros. */
typedef struct {
    unsigned threads; /* at most; 0: PYINIT_NUM_THREADS, or one for each usable processor */
    /* If not null, the calling thread calls it about every 50 ms, with the fraction of the work taken so far, 0 to 1. A
     * result other than 0 ends the fill. */
    int (*interrupted)(void *arg, double done);
    void *arg;
} pyi_options;

/*
 * An array in memory that is a block of a larger tensor. The tensor's shape is `global_shape`; the block begins at the
 * tensor's multi-index `offset`. The element with row-major index g in the tensor takes sample g of the fill, wherever
 * it is in memory.
 * Valid range: ndim <= PYI_MAX_DIMS; offset + shape <= global_shape in each dimension; elements do not overlap.
 */
typedef struct {
    int ndim;
    const size_t *shape;
    const ptrdiff_t *strides;   /* in bytes, of any sign; null: C order without gaps */
    const size_t *global_shape; /* null: the array is the whole tensor */
    const size_t *offset;       /* null: all zeros */
} pyi_window;

/* The meaning of a status, in English: a static string, also for numbers that are no status. */
const char *pyi_strerror(pyi_status status);

/* A new stream at position 0. */
pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id);

/*
 * The child stream of a name, in UTF-8, at position 0. `initialize` fills each parameter from the child of its name.
 * The id is the 8-byte BLAKE2b hash, read as a little-endian number, of the parent's id as 8 little-endian bytes and
 * the name.
 */
pyi_status pyi_child(pyi_stream *child, const pyi_stream *parent, const char *name);

/* Moves the stream forward by 4 * blocks + words words. */
pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words);

/*
 * Moves the stream past the words of `count` samples and sets `claimed` to their start. Threads that share a stream
 * lock it for the claim alone; the fill then works on `claimed`. No two claims share a word: samples of two words begin
 * at an even position, and samples made together begin and end on whole groups.
 */
pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count);

/* Fills `count` elements at `out` (aligned to their type or not), and moves the stream past them. */
pyi_status pyi_fill(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out, size_t count,
                    const pyi_options *options);

/* Fills an array whose first element (index 0, 0, ...) is at `out`, and moves the stream past the whole tensor. */
pyi_status pyi_fill_window(pyi_stream *stream, const pyi_distribution *distribution, pyi_dtype dtype, void *out,
                           const pyi_window *window, const pyi_options *options);

/*
 * One of many arrays: `count` elements at `out`, or a window whose first element is there. Its samples begin at the
 * position of `stream`, rounded up to the next whole group as pyi_claim does. The stream itself does not move.
 */
typedef struct {
    pyi_stream stream;
    pyi_distribution distribution;
    pyi_dtype dtype;
    void *out;
    size_t count;             /* without a window */
    const pyi_window *window; /* null: none */
} pyi_item;

/* Scratch space, one for each item; it need not be initialised. */
typedef struct {
    uint64_t begin, reach;
    size_t item;
} pyi_place;

/*
 * Fills many arrays, such as the parameters of a model, in one call: the threads share all of them, whatever their
 * sizes. All items are checked before the first byte is written; no two may share memory. `places` has room for `n`. On
 * an error, `wrong`, if not null, gets the number of the item, twice, or the numbers of the two that overlap.
 * Valid range: the items take less than 2^63 bytes.
 */
pyi_status pyi_fill_many(const pyi_item *items, size_t n, pyi_place *places, size_t wrong[2],
                         const pyi_options *options);

/* pyi_fill, by sampler and type. */
pyi_status pyi_fill_bits_u32(pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options);
pyi_status pyi_fill_uniform_f32(pyi_stream *stream, float *out, size_t count, double low, double high,
                                const pyi_options *options);
pyi_status pyi_fill_uniform_f64(pyi_stream *stream, double *out, size_t count, double low, double high,
                                const pyi_options *options);
pyi_status pyi_fill_normal_f32(pyi_stream *stream, float *out, size_t count, double mean, double std,
                               const pyi_options *options);
pyi_status pyi_fill_normal_f64(pyi_stream *stream, double *out, size_t count, double mean, double std,
                               const pyi_options *options);

/* The tables as arrays, in the order of their numbers. */
typedef struct {
    const char *enumerator, *name;
} pyi_generator_row;
typedef struct {
    const char *enumerator, *name;
    size_t bytes;
    unsigned words, digits;
    int least;
    double largest;
} pyi_dtype_row;
typedef struct {
    const char *enumerator, *name, *parameters;
    unsigned together;
} pyi_sampler_row;
extern const pyi_generator_row pyi_generators[];
extern const pyi_dtype_row pyi_dtypes[];
extern const pyi_sampler_row pyi_samplers[];

/* The instruction sets: names of the tiers that this machine can run, best first, then a null. */
const char *const *pyi_isa_available(void);
/* The tier in use. Chosen at first use: the best, unless the environment's PYINIT_ISA names another. */
const char *pyi_isa_active(void);
/* Makes `name` the tier in use, for the whole process; a running fill keeps its own. */
pyi_status pyi_isa_select(const char *name);

#endif

#ifdef __cplusplus
}
#endif

#endif
