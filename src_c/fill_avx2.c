#include "core.h"

#if defined(PYI_X86)
#include "intrinsics.h"
#include <string.h>

#include "target.h"

PYI_TARGET_BEGIN("avx2,fma,f16c,aes")
#include "simd_avx2.h"
#define PYI_NAME(f) f##_avx2
#include "fill.inc.h"
PYI_TARGET_END
#endif
