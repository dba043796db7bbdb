/*
 * Random short jobs on every kernel that the machine has, with ordinary and with streaming stores, into
 * buffers of exactly their size at any alignment, against the scalar kernel. Built with the sanitizers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

static uint64_t random64(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 7 ^ state << 57;
}

static pyi_distribution random_distribution(void)
{
    static const pyi_distribution ALL[] = {{.sampler = PYI_BITS},
                                           {PYI_UNIFORM, {0.25, 2.25}},
                                           {PYI_NORMAL, {0.25, 2.0}},
                                           {PYI_NORMAL_ICDF, {0.25, 2.0}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, -2.0, 1.5}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, 6.0, 40.0}},
                                           {PYI_TRUNCATED_NORMAL, {0.25, 2.0, -0.3, -0.29}}};
    return ALL[random64() % (sizeof ALL / sizeof *ALL)];
}

int main(void)
{
    for (int i = 0; i < 20000; i++) {
        pyi_job job;
        const pyi_distribution distribution = random_distribution();
        const pyi_dtype dtype = distribution.sampler == PYI_BITS ? PYI_U32 : (pyi_dtype)(1 + random64() % 4);
        if (pyi_describe(&distribution, dtype, &job) != PYI_OK)
            return 2;
        job.generator = random64() % PYI_GENERATORS;
        job.seed = random64();
        job.id = random64();
        job.block = random64() % 2 ? random64() : 0xffffffff00000000u - random64() % 40;
        const size_t size = pyi_sample_size(dtype), count = random64() % 150, bytes = count * size;
        const size_t shift = random64() % 64;
        const uint64_t first = random64() % 1000;
        job.skip = (uint32_t)(random64() % (4 / pyi_sample_words(dtype)));
        char *expected = malloc(bytes + 1), *memory = malloc(shift + bytes + 1);
        pyi_isa_select("scalar");
        pyi_dispatch (&job)(&job, &(pyi_part){.first = first, .count = count, .rows = 1}, expected);
        for (const char *const *name = pyi_isa_available(); *name; name++) {
            job.stream = (int)(random64() % 2);
            pyi_isa_select(*name);
            /* The last byte of the allocation stays free: what a fill writes there is an error by itself. */
            memory[shift + bytes] = 0x55;
            pyi_dispatch (&job)(&job, &(pyi_part){.first = first, .count = count, .rows = 1}, memory + shift);
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
