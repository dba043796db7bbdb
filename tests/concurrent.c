/* Fills of every kind from many threads at once, which help each other, for ThreadSanitizer. Each must write what one
 * thread writes alone. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyinit.h"

#define CALLERS 12
#define ROWS 700
#define COLUMNS 1024 /* 2.8 MB of floats: enough for five threads */
#define SIZE ((size_t)ROWS * COLUMNS)
#define KINDS 7
#define ITEMS 150

static float *expected[KINDS];
static atomic_int nested;
static int nests(void *unused, double done);

static void fill(int kind, unsigned threads, void *out)
{
    const pyi_distribution normal = {PYI_NORMAL, {0, 1}}, bounded = {PYI_TRUNCATED_NORMAL, {0, 1, -2, 2}};
    const size_t shape[] = {COLUMNS, ROWS}, whole[] = {COLUMNS, 2 * ROWS}, at[] = {0, ROWS};
    const ptrdiff_t transposed[] = {sizeof(float), COLUMNS * sizeof(float)};
    const pyi_window window = {2, shape, transposed, whole, at};
    const size_t rows[] = {ROWS / 4, COLUMNS};
    const pyi_window quarter = {.ndim = 2, .shape = rows};
    const pyi_distribution one = {PYI_CONSTANT, {1}};
    const pyi_options options = {threads, nests, NULL};
    pyi_stream stream;
    pyi_stream_new(&stream, kind % 2 ? PYI_ARS4X32_5 : PYI_PHILOX4X32_10, 42, (uint64_t)kind);
    /* A large array, a window, and many small arrays in the rest. */
    pyi_place places[ITEMS];
    pyi_item items[ITEMS] = {{stream, normal, PYI_F32, out, SIZE / 2, NULL},
                             {stream, bounded, PYI_F32, (float *)out + SIZE / 2, 0, &quarter}};
    for (size_t i = 2; i < ITEMS; i++)
        items[i] = (pyi_item){stream, i % 3 ? normal : one, PYI_F32, (float *)out + SIZE / 4 * 3 + i * 1000, 999, NULL};
    const pyi_status status = kind == 0   ? pyi_fill_uniform_f32(&stream, out, SIZE, -1, 1, &options)
                              : kind == 1 ? pyi_fill_normal_f32(&stream, out, SIZE, 0, 1, &options)
                              : kind == 2 ? pyi_fill(&stream, &bounded, PYI_F32, out, SIZE, &options)
                              : kind == 3 ? pyi_fill(&stream, &normal, PYI_BF16, out, 2 * SIZE, &options)
                              : kind == 4 ? pyi_fill_normal_f64(&stream, out, SIZE / 2, 0, 1, &options)
                              : kind == 5 ? pyi_fill_many(items, ITEMS, places, NULL, &options)
                                          : pyi_fill_window(&stream, &normal, PYI_F32, out, &window, &options);
    if (status != PYI_OK)
        exit(2);
}

static void check(int kind, unsigned threads, float *out)
{
    memset(out, 0xff, SIZE * sizeof *out);
    fill(kind, threads, out);
    if (memcmp(out, expected[kind], SIZE * sizeof *out)) {
        fprintf(stderr, "a fill of kind %d is wrong\n", kind);
        exit(1);
    }
}

/* A long fill calls this now and then; a signal handler may fill as well. */
static int nests(void *unused, double done)
{
    static _Thread_local int inside;
    if (done > 1)
        exit(3);
    if (!unused && !inside++ && expected[KINDS - 1]) {
        float *out = malloc(SIZE * sizeof *out);
        check(nested++ % KINDS, 3, out);
        free(out);
    }
    inside--;
    return 0;
}

static void *call(void *number)
{
    const unsigned n = (unsigned)(size_t)number;
    float *out = malloc(SIZE * sizeof *out);
    for (unsigned i = 0; i < 2 * KINDS; i++)
        check((int)((i + n) % KINDS), i % 4 ? 1 + (i + n) % 5 : 0, out);
    free(out);
    return NULL;
}

int main(void)
{
    pthread_t callers[CALLERS];
    for (int kind = 0; kind < KINDS; kind++) {
        float *out = malloc(SIZE * sizeof *out);
        memset(out, 0xff, SIZE * sizeof *out); /* as before each check, because some elements are not filled */
        fill(kind, 1, out);
        expected[kind] = out;
    }
    for (size_t i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i], NULL, call, (void *)i))
            return 2;
    for (size_t i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    printf("%d nested\n", nested);
    return 0;
}
