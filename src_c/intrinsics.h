/*
 * All intrinsics of x86. A file that PYI_TARGET_BEGIN compiles for an instruction set needs that set's intrinsics,
 * whatever flags it is built with. clang-cl's immintrin.h leaves out sets that neither flags nor these macros name.
 * Flags would not do: inline functions of other headers would then use that set too.
 */
#ifndef PYI_INTRINSICS_H
#define PYI_INTRINSICS_H

#if defined(_MSC_VER) && defined(__clang__) && !defined(__AVX512F__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wbuiltin-macro-redefined"
#pragma clang diagnostic ignored "-Wmacro-redefined"
#define __SSE3__ 1
#define __SSSE3__ 1
#define __SSE4_1__ 1
#define __SSE4_2__ 1
#define __AES__ 1
#define __AVX__ 1
#define __AVX2__ 1
#define __F16C__ 1
#define __FMA__ 1
#define __VAES__ 1
#define __AVX512F__ 1
#define __AVX512BF16__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#pragma clang diagnostic pop
#endif
#include <immintrin.h>

#endif
