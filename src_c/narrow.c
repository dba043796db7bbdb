/* Rounds floats to a narrower type, for values that no kernel makes. */
#include "core.h"
#include "fpenv.h"
#include "target.h"

#include "simd_scalar.h"

#include "narrow.h"

void pyi_round(pyi_dtype dtype, const float *values, void *out, size_t count)
{
    const pyi_fpenv saved = pyi_fpenv_enter();
    for (size_t i = 0; i < count; i++)
        if (dtype == PYI_F16)
            ((uint16_t *)out)[i] = f16_from_f32(values[i]);
        else if (dtype == PYI_BF16)
            ((uint16_t *)out)[i] = (uint16_t)(round_bf16(bits_f32(values[i])) >> 16);
        else
            ((uint8_t *)out)[i] = (uint8_t)round_f8(bits_f32(values[i]), dtype);
    pyi_fpenv_leave(saved);
}
