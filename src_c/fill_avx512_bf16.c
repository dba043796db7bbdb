/* The AVX-512 tier's bfloat16 kernels for processors with their own conversion, which flushes subnormals. */
#include "core.h"

#if defined(PYI_X86)
#include "intrinsics.h"
#include <string.h>

#include "target.h"

PYI_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,vaes")
#define PYI_AVX512_BF16
#include "simd_avx512.h"
#define PYI_NAME(f) f##_avx512_bf16
#define PYI_TIER_HAS(method, dtype, words) \
    ((dtype) == PYI_BF16 &&                \
     ((method) == PYI_METHOD_UNIFORM || (method) == PYI_METHOD_BOX_MULLER || (method) == PYI_METHOD_ICDF))
#include "fill.inc.h"
PYI_TARGET_END
#endif
