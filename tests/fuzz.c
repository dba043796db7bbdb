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

int main(void)
{
    static const size_t SIZES[PYI_SAMPLERS] = {4, 4, 8, 4, 8};
    for (int i = 0; i < 20000; i++) {
        pyi_job job = {.generator = random64() % PYI_GENERATORS,
                       .sampler = random64() % PYI_SAMPLERS,
                       .seed = random64(),
                       .id = random64(),
                       .block = random64() % 2 ? random64() : 0xffffffff00000000u - random64() % 40,
                       .f32 = {0.25f, 2.0f, 2.24f},
                       .f64 = {0.25, 2.0, 2.24}};
        const size_t size = SIZES[job.sampler], count = random64() % 150, bytes = count * size;
        const size_t shift = random64() % 64;
        const uint64_t first = random64() % 1000;
        job.skip = (uint32_t)(random64() % (16 / size));
        char *expected = malloc(bytes + 1), *memory = malloc(shift + bytes + 1);
        pyi_isa_select("scalar");
        pyi_dispatch(job.generator, job.sampler)(&job, first, count, expected);
        for (const char *const *name = pyi_isa_available(); *name; name++) {
            job.stream = (int)(random64() % 2);
            pyi_isa_select(*name);
            /* The last byte of the allocation stays free: what a fill writes there is an error by itself. */
            memory[shift + bytes] = 0x55;
            pyi_dispatch(job.generator, job.sampler)(&job, first, count, memory + shift);
            if (memcmp(memory + shift, expected, bytes) || memory[shift + bytes] != 0x55) {
                printf(
                    "%s: generator %d, sampler %d, block %llu, skip %u, first %llu, count %zu, stream %d, shift %zu\n",
                    *name, job.generator, job.sampler, (unsigned long long)job.block, job.skip,
                    (unsigned long long)first, count, job.stream, shift);
                return 1;
            }
        }
        free(expected);
        free(memory);
    }
    return 0;
}
