/*
 * All threads of a process use for the first time, at once, what they share, for ThreadSanitizer: the choice of a tier,
 * the number of threads, the setting for new memory, XLA's version, and a stream that is only read. It needs no
 * kernels, so it is built without them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core.h"
#include "xla.h"

const pyi_kernels pyi_kernels_scalar, pyi_kernels_avx2, pyi_kernels_avx512, pyi_kernels_avx512_bf16, pyi_kernels_neon,
    pyi_kernels_vector;

#define THREADS 8
#define ROUNDS 30
#define MAPPED ((size_t)1 << 22)
static pthread_barrier_t begin;
static void *memory;
static atomic_int failed;
static pyi_stream stream;

static void ask_for_version(void)
{
    xla_metadata metadata = {0};
    xla_metadata_request request = {0};
    xla_call call = {0};
    request.extension.type = XLA_METADATA;
    request.metadata = &metadata;
    call.extensions = &request.extension;
    pyi_xla_answer(1);
    failed |= pyi_xla_fill(&call) != NULL || metadata.version.minor != 1;
}

static void *meet(void *number)
{
    const size_t n = (size_t)number;
    const pyi_job job = {.dtype = PYI_BF16};
    unsigned step;
    pthread_barrier_wait(&begin);
    /* Each thread starts with a different one. */
    for (size_t i = n; i < n + ROUNDS; i++) {
        if (i % 6 == 0)
            failed |= !pyi_isa_available()[0];
        else if (i % 6 == 1)
            failed |= !strlen(pyi_isa_active());
        else if (i % 6 == 2)
            failed |= pyi_isa_select(n % 2 ? "scalar" : pyi_isa_available()[0]) != PYI_OK;
        else if (i % 6 == 3)
            failed |= pyi_dispatch(&job, &step) != NULL || !pyi_default_threads();
        else if (i % 6 == 4)
            failed |= !pyi_take_new_memory(memory, MAPPED);
        else
            ask_for_version();
        pyi_stream copy = stream, child;
        failed |= pyi_child(&child, &stream, "weight") != PYI_OK || pyi_skip_ahead(&copy, 1, 0) != PYI_OK;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    memory = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pthread_barrier_init(&begin, NULL, THREADS) ||
        pyi_stream_new(&stream, PYI_PHILOX4X32_10, 42, 0) != PYI_OK)
        return 2;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, meet, (void *)i))
            return 2;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return failed;
}
