/* src_c/fill.cu as a C file, and functions that run its kernels on the host. */
#include "cuda_on_host.h"

#include "fpenv.h"

#include "fill.cu"

/* For each row of each table. */
#define DEFINE(generator, method, dtype, number, name, bytes, words, digits, least, largest) \
    PYI_CUDA_RUN(generator, method, dtype)                                                   \
    PYI_CUDA_ITEMS(generator, method, dtype)
#define DEFINE_METHOD(generator, method, number) PYI_EACH_DTYPE(DEFINE, generator, method)
#define DEFINE_GENERATOR(a, b, generator, number, name) PYI_EACH_METHOD(DEFINE_METHOD, generator)
PYI_EACH_GENERATOR(DEFINE_GENERATOR, , )

typedef void run_kernel(const pyi_job job, char *out, uint64_t first, uint64_t count);
typedef void items_kernel(const pyi_job job, char *memory, const char *table, uint64_t jobs, uint64_t windows,
                          uint32_t count, uint64_t tiles);
typedef struct {
    const char *table;
    uint64_t jobs, windows, count, tiles;
} arguments;
typedef struct {
    run_kernel *run;
    items_kernel *items;
} kernels;
#define ENTRY(generator, method, dtype, number, name, bytes, words, digits, least, largest)                        \
    [generator][method][dtype] = {PYI_HAS_KERNEL(method, dtype, words) ? generator##_##method##_##dtype##_run : 0, \
                                  PYI_HAS_KERNEL(method, dtype, words) ? generator##_##method##_##dtype##_items : 0},
#define ENTRY_METHOD(generator, method, number) PYI_EACH_DTYPE(ENTRY, generator, method)
#define ENTRY_GENERATOR(a, b, generator, number, name) PYI_EACH_METHOD(ENTRY_METHOD, generator)
static const kernels KERNELS[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES] = {PYI_EACH_GENERATOR(ENTRY_GENERATOR, , )};

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT size_t job_size(void) { return sizeof(pyi_job); }
EXPORT size_t window_size(void) { return sizeof(pyi_cuda_window); }
EXPORT int cuda_threads(void) { return PYI_CUDA_THREADS; }
EXPORT int cuda_blocks(void) { return PYI_CUDA_BLOCKS; }

/* The launch of a grid of `blocks` with `threads` each; of these blocks those of [from, to), in falling order if
 * `backwards`: the order must not matter. `items` null: one run of `count` samples from `first` on. */
EXPORT void launch(const pyi_job *job, char *out, uint64_t first, uint64_t count, const arguments *items,
                   unsigned blocks, unsigned threads, unsigned from, unsigned to, int backwards)
{
    const pyi_fpenv saved = pyi_fpenv_enter();
    gridDim.x = blocks;
    blockDim.x = threads;
    for (unsigned b = from; b < to; b++)
        for (unsigned t = 0; t < threads; t++) {
            blockIdx.x = backwards ? to - 1 - (b - from) : b;
            threadIdx.x = backwards ? threads - 1 - t : t;
            if (items)
                KERNELS[job->generator][job->method][job->dtype].items(
                    *job, NULL, items->table, items->jobs, items->windows, (uint32_t)items->count, items->tiles);
            else
                KERNELS[job->generator][job->method][job->dtype].run(*job, out, first, count);
        }
    pyi_fpenv_leave(saved);
}
