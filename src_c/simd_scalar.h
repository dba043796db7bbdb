/*
 * One lane, for any machine. The other simd_*.h headers must agree with this one.
 *
 * A step of a kernel works on PYI_BLOCKS blocks of four words. As 32-bit words a step is 2 * PYI_PAIR_VECTORS vectors,
 * as 64-bit words two u64v. "Even" and "odd" are the two words of a pair. Each tier chooses the order of pairs within
 * the lanes; only block_numbers, zip and unzip know it.
 */
#ifndef PYI_SIMD_SCALAR_H
#define PYI_SIMD_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define PYI_BLOCKS 1
#define PYI_LANES 1
#define PYI_PAIR_VECTORS 2
#define PYI_AES_VECTORS 1

typedef uint32_t u32v;
typedef int32_t i32v;
typedef uint64_t u64v;
typedef int64_t i64v;
typedef float f32v;
typedef double f64v;
typedef int mask32v; /* results of comparing 32-bit lanes, and 64-bit ones */
typedef int mask64v;

PYI_INLINE u32v splat_u32(uint32_t x) { return x; }
PYI_INLINE u64v splat_u64(uint64_t x) { return x; }
PYI_INLINE f32v splat_f32(float x) { return x; }
PYI_INLINE f64v splat_f64(double x) { return x; }

PYI_INLINE u32v bits_f32(f32v x)
{
    u32v r;
    memcpy(&r, &x, sizeof r);
    return r;
}
PYI_INLINE f32v f32_from_bits(u32v x)
{
    f32v r;
    memcpy(&r, &x, sizeof r);
    return r;
}
PYI_INLINE u64v bits_f64(f64v x)
{
    u64v r;
    memcpy(&r, &x, sizeof r);
    return r;
}
PYI_INLINE f64v f64_from_bits(u64v x)
{
    f64v r;
    memcpy(&r, &x, sizeof r);
    return r;
}

PYI_INLINE f32v f32_from_u32(u32v x) { return (f32v)x; }
PYI_INLINE f32v f32_from_i32(u32v x) { return (f32v)(i32v)x; }
PYI_INLINE f64v f64_from_u64(u64v x) { return (f64v)x; }
PYI_INLINE f64v f64_from_i64(u64v x) { return (f64v)(i64v)x; }

/* From the C library, unless the compiler has an instruction. MinGW's rounds twice. */
#if defined(__MINGW32__) && !(defined(__FMA__) && defined(__OPTIMIZE__)) && !defined(__aarch64__)
#error "MinGW's fma is not exact, so bits would differ: compile with -O2 -mfma, or for Windows with clang-cl"
#endif
PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c) { return fmaf(a, b, c); }
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return fma(a, b, c); }
#if defined(__CUDA_ARCH__)
/* The assembler's own sequence for sqrt.rn.f32, without its branch for other numbers: from nearly the reciprocal root
 * of x, one step gives the nearest number. Valid range: x = 0, or 2^-100 and above. */
PYI_INLINE f32v sqrt_by_reciprocal(f32v x, f32v not_0)
{
    f32v reciprocal, root;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(not_0));
    root = x * reciprocal;
    return fmaf(fmaf(-root, root, x), reciprocal * 0.5f, root);
}
PYI_INLINE f32v sqrt_f32(f32v x) { return sqrt_by_reciprocal(x, fmaxf(x, 0x1p-100f)); }
#define PYI_OWN_SQRT_ABOVE_0
PYI_INLINE f32v sqrt_above_0_f32(f32v x) { return sqrt_by_reciprocal(x, x); }
#else
PYI_INLINE f32v sqrt_f32(f32v x) { return sqrtf(x); }
#endif
PYI_INLINE f64v sqrt_f64(f64v x) { return sqrt(x); }
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return x < limit ? x : limit; }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return x < limit ? x : limit; }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return x > limit ? x : limit; }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return x > limit ? x : limit; }

/* Comparisons of unsigned integers and of numbers; then masks of all ones for lanes whose bit 31 or 63 is set. */
PYI_INLINE mask32v le_u32(u32v a, u32v b) { return a <= b; }
PYI_INLINE mask64v le_u64(u64v a, u64v b) { return a <= b; }
PYI_INLINE mask32v ge_f32(f32v a, f32v b) { return a >= b; }
PYI_INLINE mask64v ge_f64(f64v a, f64v b) { return a >= b; }
PYI_INLINE u32v sign_u32(u32v x) { return 0 - (x >> 31); }
PYI_INLINE u64v sign_u64(u64v x) { return 0 - (x >> 63); }
PYI_INLINE u32v select_u32(mask32v m, u32v yes, u32v no) { return m ? yes : no; }
PYI_INLINE u64v select_u64(mask64v m, u64v yes, u64v no) { return m ? yes : no; }
PYI_INLINE f32v select_f32(mask32v m, f32v yes, f32v no) { return m ? yes : no; }
PYI_INLINE f64v select_f64(mask64v m, f64v yes, f64v no) { return m ? yes : no; }

#include "simd_scalar_tables.h"

#include "simd_shared.h"

/* The product of the low halves. */
#if defined(__CUDACC__) /* an intrinsic, since the compiler would multiply all 64 bits */
PYI_INLINE u64v mul_low32(u64v a, u64v b)
{
    u64v product;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"((uint32_t)a), "r"((uint32_t)b));
    return product;
}
#else
PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (a & 0xffffffffu) * (b & 0xffffffffu); }
#endif
/* Moves the high half down; the new high half is undefined. */
PYI_INLINE u64v high32(u64v x) { return x >> 32; }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c) { return a ^ b ^ c; }

PYI_INLINE u64v block_numbers(uint64_t first) { return first; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks) { return *blocks; }

/* The low halves of a and b as the words of pairs: a's of even pairs, b's of odd ones. */
PYI_INLINE void pack_low32(u64v a, u64v b, u32v out[PYI_PAIR_VECTORS])
{
    out[0] = (u32v)a;
    out[1] = (u32v)b;
}
PYI_INLINE u64v join_low32(u64v low, u64v high) { return (low & 0xffffffffu) | high << 32; }

PYI_INLINE void unzip_u32(const u32v in[2 * PYI_PAIR_VECTORS], u32v even[PYI_PAIR_VECTORS], u32v odd[PYI_PAIR_VECTORS])
{
    even[0] = in[0], odd[0] = in[1];
    even[1] = in[2], odd[1] = in[3];
}
PYI_INLINE void zip_u32(const u32v even[PYI_PAIR_VECTORS], const u32v odd[PYI_PAIR_VECTORS],
                        u32v out[2 * PYI_PAIR_VECTORS])
{
    out[0] = even[0], out[1] = odd[0];
    out[2] = even[1], out[3] = odd[1];
}
PYI_INLINE void words64(const u32v in[2 * PYI_PAIR_VECTORS], u64v out[2])
{
    out[0] = join_low32(in[0], in[1]);
    out[1] = join_low32(in[2], in[3]);
}
PYI_INLINE void unzip_u64(const u64v in[2], u64v *even, u64v *odd) { *even = in[0], *odd = in[1]; }
PYI_INLINE void zip_u64(u64v even, u64v odd, u64v out[2]) { out[0] = even, out[1] = odd; }

/* Stores take any address aligned to the element; streams need one aligned to a whole vector. */
PYI_INLINE void store_u32(void *p, u32v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void store_u64(void *p, u64v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void stream_u32(void *p, u32v x) { store_u32(p, x); }
PYI_INLINE void stream_u64(void *p, u64v x) { store_u64(p, x); }
PYI_INLINE void stream_fence(void) {}

/* Rounds to binary16, to nearest, ties to even. In the sum with 1/2 the last bit is 2^-24, as in subnormals. */
PYI_INLINE uint16_t f16_from_f32(f32v x)
{
    const uint32_t sign = bits_f32(x) >> 16 & 0x8000u, magnitude = bits_f32(x) & 0x7fffffffu;
    if (magnitude >= 0x47800000u) /* 2^16 */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) /* 2^-14 */
        return (uint16_t)(sign | (bits_f32(f32_from_bits(magnitude) + 0.5f) - 0x3f000000u));
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13);
}
PYI_INLINE void store_f16(void *p, f32v x)
{
    const uint16_t half = f16_from_f32(x);
    memcpy(p, &half, sizeof half);
}
PYI_INLINE void stream_f16(void *p, f32v x) { store_f16(p, x); }
/* The low byte of each lane. */
PYI_INLINE void store_u8(void *p, u32v x)
{
    const uint8_t byte = (uint8_t)x;
    memcpy(p, &byte, sizeof byte);
}
PYI_INLINE void stream_u8(void *p, u32v x) { store_u8(p, x); }

/* A pair of floats as halves, the first one in the low half of a word. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 /* PTX ISA, cvt: to nearest, ties to even, subnormals kept */
PYI_INLINE u32v pair_f16(f32v first, f32v second)
{
    u32v pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}
PYI_INLINE u32v pair_bf16(u32v first, u32v second)
{
    u32v pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(f32_from_bits(second)), "f"(f32_from_bits(first)));
    return pair;
}
#else
PYI_INLINE u32v pair_f16(f32v first, f32v second) { return f16_from_f32(first) | (u32v)f16_from_f32(second) << 16; }
PYI_INLINE u32v pair_bf16(u32v first, u32v second)
{
    return round_bf16(first) >> 16 | (round_bf16(second) & 0xffff0000u);
}
#endif

/* Packs the floats of pairs as bfloat16, in memory order. */
PYI_INLINE void pack_bf16(const u32v even[PYI_PAIR_VECTORS], const u32v odd[PYI_PAIR_VECTORS],
                          u32v out[PYI_PAIR_VECTORS])
{
    for (int i = 0; i < PYI_PAIR_VECTORS; i++) {
        const uint16_t pair[2] = {(uint16_t)(round_bf16(even[i]) >> 16), (uint16_t)(round_bf16(odd[i]) >> 16)};
        memcpy(&out[i], pair, sizeof pair);
    }
}

#include "aes_table.h"

PYI_INLINE void aes_counters(uint64_t block, uint64_t id, aesv out[PYI_AES_VECTORS]) { out[0] = aes_splat(block, id); }
PYI_INLINE void aes_load_counters(const uint64_t *blocks, uint64_t id, aesv out[PYI_AES_VECTORS])
{
    out[0] = aes_splat(*blocks, id);
}
PYI_INLINE void aes_next(aesv counter[PYI_AES_VECTORS])
{
    uint64_t block = join_low32(counter[0].word[0], counter[0].word[1]) + PYI_BLOCKS;
    counter[0].word[0] = (uint32_t)block;
    counter[0].word[1] = (uint32_t)(block >> 32);
}
PYI_INLINE void aes_words(const aesv in[PYI_AES_VECTORS], u32v out[2 * PYI_PAIR_VECTORS])
{
    memcpy(out, in[0].word, sizeof in[0].word);
}

#endif
