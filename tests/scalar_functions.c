/* The functions of elementary.h with one lane, as a reference for vector_fma.c. */
#include "job.h"
#include "target.h"

#include "simd_scalar.h"

#include "elementary.h"

float scalar_log(float u);
float scalar_log(float u) { return minus_two_log_f32(u); }

void scalar_cos_sin(uint32_t w, float *cosine, float *sine);
void scalar_cos_sin(uint32_t w, float *cosine, float *sine)
{
    uint32_t sign;
    cos_sin_f32(w, cosine, sine, &sign);
}
