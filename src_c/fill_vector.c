#include "core.h"

#if defined(PYI_HAS_VECTORS)
#include "target.h"

#include "simd_vector.h"
#define PYI_NAME(f) f##_vector
#include "fill.inc.h"
#endif
