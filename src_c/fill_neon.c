#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)
#include <arm_neon.h>
#include <string.h>

#include "core.h"
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
