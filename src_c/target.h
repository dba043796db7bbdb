/* Compiling one file's functions for an instruction set, whatever flags the file is built with. */
#ifndef PYI_TARGET_H
#define PYI_TARGET_H

#if defined(__FAST_MATH__)
#error "pyinit must not be built with -ffast-math: its bits are defined by IEEE arithmetic"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "pyinit needs float and double arithmetic without excess precision (x87: use -msse2 -mfpmath=sse)"
#endif

/* A multiply and an add are an fma where the source says so, whatever the flags: GCC's default is otherwise. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#define PYI_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PYI_TARGET_BEGIN(isa) PYI_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define PYI_TARGET_END PYI_PRAGMA(clang attribute pop)
#else
#define PYI_TARGET_BEGIN(isa) PYI_PRAGMA(GCC push_options) PYI_PRAGMA(GCC target(isa))
#define PYI_TARGET_END PYI_PRAGMA(GCC pop_options)
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define PYI_ALIGN(bytes) __declspec(align(bytes))
#else
#define PYI_ALIGN(bytes) __attribute__((aligned(bytes)))
#endif

/* Kernels are written as functions of constants and specialised by inlining. */
#if defined(_MSC_VER) && !defined(__clang__)
#define PYI_INLINE static __forceinline
#else
#define PYI_INLINE static inline __attribute__((always_inline))
#endif

#endif
