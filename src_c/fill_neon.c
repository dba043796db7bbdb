#include "core.h"

#if defined(PYI_NEON)
#if defined(__clang__) && __clang_major__ < 16 && !defined(__ARM_FEATURE_AES)
#define __ARM_FEATURE_AES 1 /* otherwise arm_neon.h declares the AES intrinsics only if the whole file may use them */
#endif
#include <arm_neon.h>
#include <string.h>

#include "target.h"

#if defined(__clang__)
PYI_TARGET_BEGIN("aes")
#else
PYI_TARGET_BEGIN("+crypto")
#endif
#include "simd_neon.h"
#define PYI_NAME(f) f##_neon
#include "fill.inc.h"
PYI_TARGET_END
#endif
