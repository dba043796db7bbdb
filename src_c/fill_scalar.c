#include "core.h"
#include "target.h"

#include "simd_scalar.h"
#define PYI_NAME(f) f##_scalar
#include "fill.inc.h"
