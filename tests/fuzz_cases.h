/*
 * Cases for fuzz.c, which makes them at random, and for fuzzing/core.c, which makes them from a fuzzer's bytes: short
 * jobs on every kernel of the machine, with ordinary and streaming stores, into buffers of exact size at any alignment,
 * compared with the scalar kernel; and windows, in memory of exactly their extent, compared with the scalar fill of the
 * whole tensor. fuzz_items.h has more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* Whoever includes this says where numbers come from. */
static uint64_t random64(void);

static size_t below(size_t n) { return (size_t)(random64() % n); }

static pyi_distribution random_distribution(void)
{
    static const pyi_distribution ALL[] = {{.sampler = PYI_BITS},
                                           {PYI_UNIFORM, {0.25, 2.25}},
                                           {PYI_NORMAL, {0.25, 2.0}},
                                           {PYI_NORMAL_ICDF, {0.25, 2.0}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, -2.0, 1.5}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, 6.0, 40.0}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 0.0, 6.0, 40.0}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, -0.3, -0.29}},
                                           {.sampler = PYI_CONSTANT, {0.3}}};
    return ALL[random64() % (sizeof ALL / sizeof *ALL)];
}

/* Uses the kernel of the current tier. */
static void make(const pyi_job *job, uint64_t first, size_t count, char *out)
{
    pyi_task task = {.job = *job};
    task.kernel = pyi_dispatch(job, &task.step);
    pyi_fill_rows(&task, &(pyi_part){.first = first, .count = count, .rows = 1}, out);
}

static int jobs(int number)
{
    for (int i = 0; i < number; i++) {
        pyi_job job;
        const pyi_distribution distribution = random_distribution();
        const pyi_dtype dtype =
            distribution.sampler == PYI_BITS ? PYI_U32 : (pyi_dtype)(1 + random64() % (PYI_DTYPES - 1));
        if (pyi_describe(&distribution, dtype, &job) != PYI_OK)
            return 2;
        job.generator = random64() % PYI_GENERATORS;
        job.seed = random64();
        job.id = random64();
        job.block = random64() % 2 ? random64() : 0xffffffff00000000u - random64() % 40;
        const size_t size = pyi_sample_bytes(dtype), count = random64() % 150, bytes = count * size;
        const size_t shift = random64() % 64;
        const uint64_t first = random64() % 1000;
        job.skip = (uint32_t)(random64() % (4 / pyi_sample_words(dtype)));
        char *expected = malloc(bytes + 1), *memory = malloc(shift + bytes + 1);
        pyi_isa_select("scalar");
        make(&job, first, count, expected);
        for (const char *const *name = pyi_isa_available(); *name; name++) {
            job.stream = (int)(random64() % 2);
            pyi_isa_select(*name);
            /* The last byte of the allocation stays free: a fill that writes there is wrong. */
            memory[shift + bytes] = 0x55;
            make(&job, first, count, memory + shift);
            if (memcmp(memory + shift, expected, bytes) || memory[shift + bytes] != 0x55) {
                printf("%s: generator %d, method %d, dtype %d, block %llu, skip %u, first %llu, count %zu, stream %d, "
                       "shift %zu\n",
                       *name, job.generator, job.method, job.dtype, (unsigned long long)job.block, job.skip,
                       (unsigned long long)first, count, job.stream, shift);
                return 1;
            }
        }
        free(expected);
        free(memory);
    }
    return 0;
}

#define DIMS 5

/* A window of random shape, offset and layout: axes in any order in memory, with gaps, forwards or backwards. */
typedef struct {
    int ndim, order[DIMS];
    size_t shape[DIMS], global[DIMS], offset[DIMS], elements, total, extent, start;
    ptrdiff_t strides[DIMS];
} random_window;

static random_window new_window(size_t size)
{
    /* Few long axes, or many short ones; sometimes one too large for a tile. */
    static const size_t LONGEST[DIMS + 1] = {1, 6000, 150, 24, 12, 8};
    random_window w = {.ndim = (int)below(DIMS + 1), .elements = 1, .total = 1};
    for (int i = 0; i < w.ndim; i++) {
        w.global[i] = 1 + below(LONGEST[w.ndim]);
        w.offset[i] = below(2) ? 0 : below(w.global[i] + 1);
        w.shape[i] = below(2) ? w.global[i] - w.offset[i] : below(w.global[i] - w.offset[i] + 1);
        w.elements *= w.shape[i];
        w.total *= w.global[i];
        w.order[i] = i;
    }
    for (int i = w.ndim - 1; i > 0 && below(2); i--) {
        const int j = (int)below((size_t)i + 1), swapped = w.order[i];
        w.order[i] = w.order[j];
        w.order[j] = swapped;
    }
    /* From the innermost axis on, each stride is larger than the extent of the axes before it. */
    w.extent = size;
    for (int k = w.ndim - 1; k >= 0; k--) {
        const int i = w.order[k];
        const size_t stride = w.extent + (below(4) ? 0 : below(20));
        const size_t reach = w.shape[i] ? (w.shape[i] - 1) * stride : 0;
        const int back = below(4) == 0;
        w.strides[i] = back ? -(ptrdiff_t)stride : (ptrdiff_t)stride;
        if (back)
            w.start += reach;
        w.extent += reach;
    }
    if (!w.elements)
        w.extent = w.start = 0;
    return w;
}

/* A generator, a dtype and a sampler with the first invalid number. */
static int claims_unknown(void)
{
    pyi_stream stream, unknown, claimed;
    pyi_stream_new(&stream, PYI_PHILOX4X32_10, 1, 0);
    unknown = stream;
    unknown.generator = (pyi_generator)PYI_GENERATORS;
    return pyi_claim(&unknown, &claimed, PYI_NORMAL, PYI_F32, 4) != PYI_BAD_VALUE ||
           pyi_claim(&stream, &claimed, PYI_NORMAL, (pyi_dtype)PYI_DTYPES, 4) != PYI_BAD_VALUE ||
           pyi_claim(&stream, &claimed, (pyi_sampler)PYI_SAMPLERS, PYI_F32, 4) != PYI_BAD_VALUE || stream.block;
}

/* Windows outside their tensor, tensors that are too large, and the largest valid tensor. */
static int limits(void)
{
    static const struct {
        size_t shape[2], global[2], offset[2];
        pyi_status status;
    } CASES[] = {{{1, 2}, {4, 4}, {5, 0}, PYI_BAD_VALUE},
                 {{2, 2}, {4, 4}, {3, 0}, PYI_BAD_VALUE},
                 {{0, 1}, {4, 4}, {0, SIZE_MAX}, PYI_BAD_VALUE},
                 {{1, 1}, {(size_t)1 << 32, (size_t)1 << 31}, {0, 0}, PYI_EXHAUSTED},
                 {{(size_t)1 << 40, (size_t)1 << 40}, {(size_t)1 << 40, (size_t)1 << 40}, {0, 0}, PYI_EXHAUSTED},
                 {{1, 2}, {7, INT64_MAX / 7}, {6, INT64_MAX / 7 - 2}, PYI_OK}};
    const pyi_distribution distribution = {.sampler = PYI_BITS};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint32_t out[4] = {7, 7, 7, 7};
        const pyi_window window = {2, CASES[i].shape, NULL, CASES[i].global, CASES[i].offset};
        pyi_stream stream, start;
        pyi_stream_new(&stream, PYI_PHILOX4X32_10, 1, 0);
        start = stream;
        const pyi_status status = pyi_fill_window(&stream, &distribution, PYI_U32, out, &window, NULL);
        const int untouched = out[0] == 7 && !memcmp(&stream, &start, sizeof start);
        if (status != CASES[i].status || untouched == (status == PYI_OK))
            return 1;
    }
    return 0;
}

/* The children with names of up to 399 letters: their ids combined into one number, which Python's hashlib.blake2b
 * confirms. */
static int children(void)
{
    char name[400] = {0};
    uint64_t sum = 0;
    pyi_stream parent, child;
    pyi_stream_new(&parent, PYI_PHILOX4X32_10, 1, 0);
    for (size_t n = 0; n < sizeof name; name[n++] = 'a') {
        if (pyi_child(&child, &parent, name) != PYI_OK)
            return 1;
        sum = sum * 31 + child.id;
    }
    return sum != 0x31ad271127dbf6d6u;
}

/* A null array, which is valid only for a window without elements. */
static int nowhere(void)
{
    const pyi_distribution distribution = {.sampler = PYI_BITS};
    const pyi_window one = {1, (size_t[]){1}, NULL, NULL, NULL}, none = {1, (size_t[]){0}, NULL, NULL, NULL};
    pyi_stream stream;
    pyi_stream_new(&stream, PYI_PHILOX4X32_10, 1, 0);
    return pyi_fill_window(&stream, &distribution, PYI_U32, NULL, &one, NULL) != PYI_BAD_VALUE || stream.block ||
           stream.word || pyi_fill_window(&stream, &distribution, PYI_U32, NULL, &none, NULL) != PYI_OK;
}

/* A column with more rows than one tile takes; each row begins a block. */
static int tall(void)
{
    enum { ROWS = 3000, COLUMNS = 4 };
    static uint32_t whole[ROWS * COLUMNS], column[ROWS];
    const pyi_distribution distribution = {.sampler = PYI_BITS};
    const pyi_window window = {2, (size_t[]){ROWS, 1}, NULL, (size_t[]){ROWS, COLUMNS}, (size_t[]){0, 1}};
    pyi_stream stream, same;
    pyi_stream_new(&stream, PYI_PHILOX4X32_10, 1, 0);
    same = stream;
    if (pyi_fill(&stream, &distribution, PYI_U32, whole, ROWS * COLUMNS, NULL) != PYI_OK ||
        pyi_fill_window(&same, &distribution, PYI_U32, column, &window, NULL) != PYI_OK)
        return 1;
    for (size_t i = 0; i < ROWS; i++)
        if (column[i] != whole[i * COLUMNS + 1])
            return 1;
    return 0;
}

static int windows(int number)
{
    if (limits() || nowhere() || children() || tall() || claims_unknown())
        return 4;
    for (int i = 0; i < number; i++) {
        const pyi_distribution distribution = random_distribution();
        const pyi_dtype dtype =
            distribution.sampler == PYI_BITS ? PYI_U32 : (pyi_dtype)(1 + random64() % (PYI_DTYPES - 1));
        const size_t size = pyi_sample_bytes(dtype);
        const random_window w = new_window(size);
        const pyi_window window = {w.ndim, w.shape, w.strides, w.global, w.offset};
        const pyi_options options = {.threads = (unsigned)below(4)};
        pyi_stream start, stream, whole_stream;
        pyi_stream_new(&start, random64() % PYI_GENERATORS, random64(), random64());
        pyi_skip_ahead(&start, below(2) ? random64() >> 2 : 0xffffffffu - below(60), below(4));
        char *whole = malloc(w.total * size + 1), *memory = malloc(w.extent + 1);
        unsigned char *seen = calloc(w.extent + 1, 1);
        whole_stream = start;
        pyi_isa_select("scalar");
        if (pyi_fill(&whole_stream, &distribution, dtype, whole, w.total, NULL) != PYI_OK)
            return 2;
        for (const char *const *name = pyi_isa_available(); *name; name++) {
            int wrong = 0;
            pyi_isa_select(*name);
            memset(memory, 0x55, w.extent + 1);
            memset(seen, 0, w.extent + 1);
            stream = start;
            if (pyi_fill_window(&stream, &distribution, dtype, memory + w.start, &window, &options) != PYI_OK)
                return 3;
            wrong |= memcmp(&stream, &whole_stream, sizeof stream);
            for (size_t e = 0; e < w.elements; e++) {
                size_t rest = e, g = 0, step = 1;
                ptrdiff_t at = (ptrdiff_t)w.start;
                for (int k = w.ndim - 1; k >= 0; k--) {
                    const size_t index = rest % w.shape[k];
                    rest /= w.shape[k];
                    g += (w.offset[k] + index) * step;
                    step *= w.global[k];
                    at += (ptrdiff_t)index * w.strides[k];
                }
                wrong |= memcmp(memory + at, whole + g * size, size);
                memset(seen + at, 1, size);
            }
            for (size_t b = 0; b <= w.extent; b++)
                wrong |= !seen[b] && memory[b] != 0x55;
            if (wrong) {
                printf("%s: case %d, sampler %d, dtype %d, %d dimensions\n", *name, i, distribution.sampler, dtype,
                       w.ndim);
                return 1;
            }
        }
        free(whole);
        free(memory);
        free(seen);
    }
    return 0;
}
