/*
 * The inverse normal CDF over the 2^32 words of a float32 sample: prints its largest relative error, and checks that a
 * larger word never gives a smaller value. Usage: quantile [STRIDE]; it checks one of every STRIDE runs of 2^16 words.
 * The reference is the double function, whose error accuracy.c checks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "target.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
PYI_TARGET_BEGIN("avx2,fma,f16c,aes")
#include "simd_avx2.h"
#else
#include "simd_scalar.h"
#endif

#include "elementary.h"

#include "box_muller.h"

#include "inverse_cdf.h"

#define RUN 65536

static float z[RUN];
static double exact[RUN];

static void walk(uint32_t first)
{
    const normal_f32 standard = {splat_f32(0.0f), splat_f32(1.0f)};
    const normal_f64 standard64 = {splat_f64(0.0), splat_f64(1.0)};
    uint32_t lanes[PYI_LANES];
    for (int i = 0; i < PYI_LANES; i++)
        lanes[i] = (uint32_t)i;
    for (uint32_t i = 0; i < RUN; i += PYI_LANES) {
        u32v w;
        memcpy(&w, lanes, sizeof w);
        w += splat_u32(first + i);
        const f32v value = normal_icdf_f32(w, &standard);
        memcpy(z + i, &value, sizeof value);
        for (int part = 0; part < (int)(sizeof(u32v) * 2 / sizeof(u64v)); part++) {
            uint64_t wide[sizeof(u64v) / 8];
            u64v w64;
            for (int j = 0; j < (int)(sizeof(u64v) / 8); j++) /* (w + 1/2) / 2^32 as the middle of 2^32 words */
                wide[j] = (uint64_t)(first + i + (uint32_t)(part * (int)(sizeof(u64v) / 8) + j)) << 32 | 0x7fffffffu;
            memcpy(&w64, wide, sizeof w64);
            const f64v reference = normal_icdf_f64(w64, &standard64);
            memcpy(exact + i + part * (int)(sizeof(u64v) / 8), &reference, sizeof reference);
        }
    }
}
#if defined(__x86_64__) && defined(__GNUC__)
PYI_TARGET_END
#endif

int main(int argc, char **argv)
{
    const uint32_t stride = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    float last = -1e9f;
    double worst = 0;
    uint32_t where = 0;
    unsigned long long falls = 0;
    for (uint32_t run = 0; run < 65536; run++) {
        if (run % stride && run > 1 && run < 65534 && run != 8191 && run != 8192 && run != 32767 && run != 32768)
            continue;
        walk(run * RUN);
        for (uint32_t i = 0; i < RUN; i++) {
            const double error = (z[i] - exact[i]) / exact[i], magnitude = error < 0 ? -error : error;
            if (magnitude > worst)
                worst = magnitude, where = run * RUN + i;
            if (z[i] < last && !falls++)
                printf("falls at %u: %.9g after %.9g\n", run * RUN + i, z[i], last);
            last = z[i];
        }
    }
    printf("largest relative error %.3f 2^-24 at word %u, %llu falls\n", worst * 0x1p24, where, falls);
    return falls || worst > 4.2 * 0x1p-24;
}
