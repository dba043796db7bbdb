#include "core.h"

#if defined(PYI_X86)
#include "intrinsics.h"
#include <string.h>

#include "target.h"

PYI_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,vaes")
#include "simd_avx512.h"
#define PYI_NAME(f) f##_avx512
#include "fill.inc.h"
PYI_TARGET_END
#endif
