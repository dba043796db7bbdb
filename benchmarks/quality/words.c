/*
 * The samples of given words, for host.py, by the core's kernels; for AVX2 if QUALITY_AVX2 is defined.
 */
#include <string.h>

#include "core.h"
#include "fpenv.h"
#include "target.h"

#if defined(QUALITY_AVX2)
#include <immintrin.h>

PYI_TARGET_BEGIN("avx2,fma,f16c,aes")
#include "simd_avx2.h"
#else
#include "simd_scalar.h"
#endif

#include "samples.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* The samples of `count` words, a multiple of PYI_LANES, for a job whose sampler takes one word per sample. */
EXPORT void samples_of_words(const pyi_job *job, const uint32_t *words, size_t count, uint32_t *samples)
{
    pyi_fpenv saved = pyi_fpenv_enter();
    for (size_t i = 0; i < count; i += PYI_LANES) {
        u32v w;
        memcpy(&w, words + i, sizeof w);
        w = sample_f32(w, job, job->method, job->dtype);
        memcpy(samples + i, &w, sizeof w);
    }
    pyi_fpenv_leave(saved);
}
#if defined(QUALITY_AVX2)
PYI_TARGET_END
#endif
