/* Compiles a file's functions for an instruction set, whatever flags the build has. */
#ifndef PYI_TARGET_H
#define PYI_TARGET_H

#if defined(__FAST_MATH__) || defined(__FAST_RELAXED_MATH__) || defined(__ASSOCIATIVE_MATH__) || \
    defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__) ||                              \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "pyinit must not be built with -ffast-math or a part of it: its bits are defined by IEEE arithmetic"
#endif
/* 16 concerns _Float16 alone. */
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "pyinit needs arithmetic without excess precision (x87: -msse2 -mfpmath=sse; GCC on s390x: -std=gnu11, not c11)"
#endif

/* Only the source decides where a multiply and an add become an fma; GCC's default is otherwise. clang's flag
 * -ffp-contract=fast overrides the pragma, and neither it nor the parts of -ffast-math define a macro to check: do not
 * use them. */
#if defined(__CUDACC__)
/* pyinit/kernels/ has the flags. */
#elif defined(__OPENCL_VERSION__)
#pragma OPENCL FP_CONTRACT OFF
#elif defined(__clang__)
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

/* Kernels are functions of constants, specialised by inlining. Without optimisation, inlining would only make code
 * longer. */
#if defined(__CUDACC__)
#define PYI_INLINE static __device__ __forceinline__ __attribute__((unused))
#elif defined(_MSC_VER) && !defined(__clang__)
#define PYI_INLINE static __forceinline
#elif !defined(__OPTIMIZE__)
#define PYI_INLINE static inline __attribute__((unused))
#else
#define PYI_INLINE static inline __attribute__((always_inline))
#endif

/* The qualifiers of a table outside of functions, of the target of a pointer to one, and of a table in a function. */
#if defined(__CUDACC__)
#define PYI_TABLE static __device__ const
#elif defined(__OPENCL_VERSION__)
#define PYI_TABLE __constant
#else
#define PYI_TABLE static const
#endif
#if defined(__OPENCL_VERSION__) /* OpenCL has no static variables in functions */
#define PYI_CONSTANT_SPACE __constant
#define PYI_COEFFICIENTS const
#else
#define PYI_CONSTANT_SPACE
#define PYI_COEFFICIENTS static const
#endif

#endif
