/*
 * pyinit: random samples written straight into memory.
 *
 * A stream is a generator, a seed, an id and a position, counted in 32-bit words. What a sample is
 * depends on these alone: not on the processor, the number of threads, or how a buffer is split.
 *
 * A fill writes `count` samples and moves the stream behind them. It allocates nothing and keeps no
 * state but the stream; distinct streams may be used from distinct threads.
 */
#ifndef PYINIT_H
#define PYINIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PYI_PHILOX4X32_10 = 0, /* Philox4x32, 10 rounds; the words of MKL's VSL_BRNG_PHILOX4X32X10 */
    PYI_ARS4X32_5 = 1      /* ARS4x32, 5 rounds of AES; the words of MKL's VSL_BRNG_ARS5 */
} pyi_generator;

typedef enum {
    PYI_OK = 0,
    PYI_BAD_VALUE = 1,   /* an unknown generator, or parameters outside the valid range */
    PYI_EXHAUSTED = 2,   /* the samples would end beyond position 2^66; nothing was written */
    PYI_INTERRUPTED = 3, /* `interrupted` said so; the buffer is partly written */
    PYI_UNAVAILABLE = 4  /* this machine does not have that instruction set */
} pyi_status;

typedef struct {
    pyi_generator generator;
    uint64_t seed;
    uint64_t id;    /* 0 for the root stream; the high half of the counter */
    uint64_t block; /* position div 4 */
    uint32_t word;  /* position mod 4 */
    uint32_t end;   /* 1 at position 2^66, where block is 0 again */
} pyi_stream;

/* How a fill runs; a null pointer stands for all zeros. */
typedef struct {
    unsigned threads;              /* at most so many; 0: one for each processor that the process may use */
    int (*interrupted)(void *arg); /* if not null, asked by the calling thread about every 50 ms; not 0 ends the fill */
    void *arg;
} pyi_options;

/* A new stream at position 0. */
pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id);

/* Moves the stream forward by 4 * blocks + words words. */
pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words);

/*
 * Moves the stream behind `count` samples of `size` bytes (4 or 8) and sets `claimed` to where they begin, so
 * that a stream shared by threads is locked for the claim alone; the fill then works on `claimed`.
 */
pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, size_t count, size_t size);

/* The words themselves, 32 uniformly random bits each. */
pyi_status pyi_fill_bits_u32(pyi_stream *stream, uint32_t *out, size_t count, const pyi_options *options);

/*
 * Uniform samples of [low, high); all `low` where the two are equal. The parameters are first rounded to the
 * type of the samples. Valid range: low <= high; low, high and high - low finite.
 */
pyi_status pyi_fill_uniform_f32(pyi_stream *stream, float *out, size_t count, double low, double high,
                                const pyi_options *options);
pyi_status pyi_fill_uniform_f64(pyi_stream *stream, double *out, size_t count, double low, double high,
                                const pyi_options *options);

/* Normal samples by Box-Muller, parameters rounded likewise. Valid range: mean and std finite, std >= 0. */
pyi_status pyi_fill_normal_f32(pyi_stream *stream, float *out, size_t count, double mean, double std,
                               const pyi_options *options);
pyi_status pyi_fill_normal_f64(pyi_stream *stream, double *out, size_t count, double mean, double std,
                               const pyi_options *options);

/* The instruction sets: names of the tiers that this machine can run, best first, ended by a null. */
const char *const *pyi_isa_available(void);
/* The tier in use. Chosen at first use: the best, unless the environment's PYINIT_ISA names another. */
const char *pyi_isa_active(void);
/* Makes `name` the tier in use, for the whole process; a fill that is running keeps its own. */
pyi_status pyi_isa_select(const char *name);

#ifdef __cplusplus
}
#endif

#endif
