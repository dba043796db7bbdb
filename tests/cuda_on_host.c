/* src_c/fill.cu as a C file, and its kernels run on the host. */
#include "cuda_on_host.h"

#include "fpenv.h"

#include "fill.cu"

#define DEFINE_PHILOX(method, dtype) PYI_CUDA_KERNELS(PYI_PHILOX4X32_10, method, dtype)
#define DEFINE_ARS(method, dtype) PYI_CUDA_KERNELS(PYI_ARS4X32_5, method, dtype)
PYI_EACH_KERNEL(DEFINE_PHILOX)
PYI_EACH_KERNEL(DEFINE_ARS)

typedef void run_kernel(const pyi_job job, char *out, uint64_t first, uint64_t count);
typedef void window_kernel(const pyi_job job, char *out, const pyi_cuda_window window);
#define RUN_PHILOX(method, dtype) [PYI_PHILOX4X32_10][method][dtype] = PYI_PHILOX4X32_10##_##method##_##dtype##_run,
#define RUN_ARS(method, dtype) [PYI_ARS4X32_5][method][dtype] = PYI_ARS4X32_5##_##method##_##dtype##_run,
#define WINDOW_PHILOX(method, dtype) \
    [PYI_PHILOX4X32_10][method][dtype] = PYI_PHILOX4X32_10##_##method##_##dtype##_window,
#define WINDOW_ARS(method, dtype) [PYI_ARS4X32_5][method][dtype] = PYI_ARS4X32_5##_##method##_##dtype##_window,
static run_kernel *const RUNS[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES] = {PYI_EACH_KERNEL(RUN_PHILOX)
                                                                              PYI_EACH_KERNEL(RUN_ARS)};
static window_kernel *const WINDOWS[PYI_GENERATORS][PYI_METHODS][PYI_DTYPES] = {PYI_EACH_KERNEL(WINDOW_PHILOX)
                                                                                    PYI_EACH_KERNEL(WINDOW_ARS)};

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
 * `backwards`: the order must not matter. `window` null: one run of `count` samples from `first` on. */
EXPORT void launch(const pyi_job *job, char *out, uint64_t first, uint64_t count, const pyi_cuda_window *window,
                   unsigned blocks, unsigned threads, unsigned from, unsigned to, int backwards)
{
    const pyi_fpenv saved = pyi_fpenv_enter();
    gridDim.x = blocks;
    blockDim.x = threads;
    for (unsigned t = 0; t < threads; t++) /* what they do together on a device: there they wait for each other */
        share_table(QUANTILE_F32, t, threads);
    for (unsigned b = from; b < to; b++)
        for (unsigned t = 0; t < threads; t++) {
            blockIdx.x = backwards ? to - 1 - (b - from) : b;
            threadIdx.x = backwards ? threads - 1 - t : t;
            if (window)
                WINDOWS[job->generator][job->method][job->dtype](*job, out, *window);
            else
                RUNS[job->generator][job->method][job->dtype](*job, out, first, count);
        }
    pyi_fpenv_leave(saved);
}
