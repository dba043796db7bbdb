/* Samples of chosen words, by the one-lane kernel. In a stream, such words would have to be searched for. */
#include "core.h"
#include "fpenv.h"
#include "target.h"

#include "simd_scalar.h"

#include "samples.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Writes the samples of `count` words (64 bits for a double, otherwise their lower 32 bits), halves as floats. Returns
 * the method chosen, or -1. */
EXPORT int samples_of_words(int sampler, const double *parameters, int dtype, const uint64_t *words, size_t count,
                            double *out)
{
    const pyi_distribution distribution = {(pyi_sampler)sampler,
                                           {parameters[0], parameters[1], parameters[2], parameters[3]}};
    pyi_job job;
    if (pyi_describe(&distribution, (pyi_dtype)dtype, &job) != PYI_OK)
        return -1;
    pyi_fpenv saved = pyi_fpenv_enter();
    for (size_t i = 0; i < count; i++)
        out[i] = dtype == PYI_F64 ? f64_from_bits(sample_f64(words[i], &job, job.method))
                                  : f32_from_bits(sample_f32((uint32_t)words[i], &job, job.method, job.dtype));
    pyi_fpenv_leave(saved);
    return (int)job.method;
}
