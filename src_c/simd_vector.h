/*
 * Four lanes of the compiler's own vector types: for any target with 16-byte vectors, using only the instructions that
 * the compiler's flags allow. The operations are described in simd_scalar.h. GCC and clang turn a loop over lanes into
 * one instruction if there is one. The code names the instructions that GCC misses on x86-64.
 */
#ifndef PYI_SIMD_VECTOR_H
#define PYI_SIMD_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define PYI_BLOCKS 2
#define PYI_LANES 4
#define PYI_PAIR_VECTORS 1
#define PYI_AES_VECTORS 2

typedef uint32_t u32v __attribute__((vector_size(16)));
typedef int32_t i32v __attribute__((vector_size(16)));
typedef uint64_t u64v __attribute__((vector_size(16)));
typedef int64_t i64v __attribute__((vector_size(16)));
typedef float f32v __attribute__((vector_size(16)));
typedef double f64v __attribute__((vector_size(16)));
typedef u32v mask32v;
typedef u64v mask64v;

/* Shuffles the lanes of two vectors; the second one's numbers follow the first one's. */
#if defined(__clang__) || __GNUC__ >= 12
#define PYI_SHUFFLE32(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define PYI_SHUFFLE64(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#else
#define PYI_SHUFFLE32(a, b, i, j, k, l) __builtin_shuffle(a, b, (u32v){i, j, k, l})
#define PYI_SHUFFLE64(a, b, i, j) __builtin_shuffle(a, b, (u64v){i, j})
#endif
/* Swaps the 32-bit words of a 64-bit lane between its order and memory's, low word first. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define PYI_LOW_FIRST(x) ((x) << 32 | (x) >> 32)
#else
#define PYI_LOW_FIRST(x) (x)
#endif

PYI_INLINE u32v splat_u32(uint32_t x) { return (u32v){x, x, x, x}; }
PYI_INLINE u64v splat_u64(uint64_t x) { return (u64v){x, x}; }
PYI_INLINE f32v splat_f32(float x) { return (f32v){x, x, x, x}; }
PYI_INLINE f64v splat_f64(double x) { return (f64v){x, x}; }

PYI_INLINE u32v bits_f32(f32v x) { return (u32v)x; }
PYI_INLINE f32v f32_from_bits(u32v x) { return (f32v)x; }
PYI_INLINE u64v bits_f64(f64v x) { return (u64v)x; }
PYI_INLINE f64v f64_from_bits(u64v x) { return (f64v)x; }

PYI_INLINE f32v f32_from_u32(u32v x) { return __builtin_convertvector(x, f32v); }
PYI_INLINE f32v f32_from_i32(u32v x) { return __builtin_convertvector((i32v)x, f32v); }
PYI_INLINE f64v f64_from_u64(u64v x) { return __builtin_convertvector(x, f64v); }
PYI_INLINE f64v f64_from_i64(u64v x) { return __builtin_convertvector((i64v)x, f64v); }

PYI_INLINE u32v select_u32(mask32v m, u32v yes, u32v no) { return no ^ ((no ^ yes) & m); }
PYI_INLINE u64v select_u64(mask64v m, u64v yes, u64v no) { return no ^ ((no ^ yes) & m); }
PYI_INLINE f32v select_f32(mask32v m, f32v yes, f32v no) { return (f32v)select_u32(m, (u32v)yes, (u32v)no); }
PYI_INLINE f64v select_f64(mask64v m, f64v yes, f64v no) { return (f64v)select_u64(m, (u64v)yes, (u64v)no); }

PYI_INLINE mask32v le_u32(u32v a, u32v b) { return (u32v)(a <= b); }
PYI_INLINE mask64v le_u64(u64v a, u64v b) { return (u64v)(a <= b); }
PYI_INLINE mask32v ge_f32(f32v a, f32v b) { return (u32v)(a >= b); }
PYI_INLINE mask64v ge_f64(f64v a, f64v b) { return (u64v)(a >= b); }
PYI_INLINE u32v sign_u32(u32v x) { return (u32v)((i32v)x >> 31); }
PYI_INLINE u64v sign_u64(u64v x) { return (u64v)((i64v)x >> 63); }

#if defined(__SSE2__)
PYI_INLINE f32v sqrt_f32(f32v x) { return _mm_sqrt_ps(x); }
PYI_INLINE f64v sqrt_f64(f64v x) { return _mm_sqrt_pd(x); }
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return _mm_min_ps(x, limit); }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return _mm_min_pd(x, limit); }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return _mm_max_ps(x, limit); }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return _mm_max_pd(x, limit); }
PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (u64v)_mm_mul_epu32((__m128i)a, (__m128i)b); }
#else
PYI_INLINE f32v sqrt_f32(f32v x)
{
    f32v r;
    for (int i = 0; i < 4; i++)
        r[i] = sqrtf(x[i]);
    return r;
}
PYI_INLINE f64v sqrt_f64(f64v x) { return (f64v){sqrt(x[0]), sqrt(x[1])}; }
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return select_f32((u32v)(x < limit), x, limit); }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return select_f64((u64v)(x < limit), x, limit); }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return select_f32((u32v)(x > limit), x, limit); }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return select_f64((u64v)(x > limit), x, limit); }
PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (a & splat_u64(0xffffffffu)) * (b & splat_u64(0xffffffffu)); }
#endif

#if defined(__SSE2__) && !defined(__FMA__)
#include "simd_vector_fma.h"
#else
PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c)
{
    f32v r;
    for (int i = 0; i < 4; i++)
        r[i] = fmaf(a[i], b[i], c[i]);
    return r;
}
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return (f64v){fma(a[0], b[0], c[0]), fma(a[1], b[1], c[1])}; }
#endif

typedef u32v table_index;
PYI_INLINE table_index index_table(u32v x, const uint32_t first)
{
    (void)first;
    return x & splat_u32(15);
}
PYI_INLINE f32v look_up(table_index i, const float table[16])
{
    return (f32v){table[i[0]], table[i[1]], table[i[2]], table[i[3]]};
}

PYI_INLINE u64v high32(u64v x) { return x >> 32; }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c) { return a ^ (b ^ c); }

PYI_INLINE u64v block_numbers(uint64_t first) { return (u64v){first, first + 1}; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks) { return (u64v){blocks[0], blocks[1]}; }

PYI_INLINE u64v join_low32(u64v low, u64v high) { return (low & splat_u64(0xffffffffu)) | high << 32; }
PYI_INLINE void pack_low32(u64v a, u64v b, u32v out[1]) { out[0] = (u32v)PYI_LOW_FIRST(join_low32(a, b)); }

PYI_INLINE void unzip_u32(const u32v in[2], u32v even[1], u32v odd[1])
{
    even[0] = PYI_SHUFFLE32(in[0], in[1], 0, 2, 4, 6);
    odd[0] = PYI_SHUFFLE32(in[0], in[1], 1, 3, 5, 7);
}
PYI_INLINE void zip_u32(const u32v even[1], const u32v odd[1], u32v out[2])
{
    out[0] = PYI_SHUFFLE32(even[0], odd[0], 0, 4, 1, 5);
    out[1] = PYI_SHUFFLE32(even[0], odd[0], 2, 6, 3, 7);
}
PYI_INLINE void words64(const u32v in[2], u64v out[2])
{
    out[0] = PYI_LOW_FIRST((u64v)in[0]);
    out[1] = PYI_LOW_FIRST((u64v)in[1]);
}
PYI_INLINE void unzip_u64(const u64v in[2], u64v *even, u64v *odd)
{
    *even = PYI_SHUFFLE64(in[0], in[1], 0, 2);
    *odd = PYI_SHUFFLE64(in[0], in[1], 1, 3);
}
PYI_INLINE void zip_u64(u64v even, u64v odd, u64v out[2])
{
    out[0] = PYI_SHUFFLE64(even, odd, 0, 2);
    out[1] = PYI_SHUFFLE64(even, odd, 1, 3);
}

PYI_INLINE void store_u32(void *p, u32v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void store_u64(void *p, u64v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void stream_u32(void *p, u32v x) { store_u32(p, x); }
PYI_INLINE void stream_u64(void *p, u64v x) { store_u64(p, x); }
PYI_INLINE void stream_fence(void) {}

PYI_INLINE void store_u16(void *p, u32v x)
{
    const uint16_t halves[4] = {(uint16_t)x[0], (uint16_t)x[1], (uint16_t)x[2], (uint16_t)x[3]};
    memcpy(p, halves, sizeof halves);
}
/* As f16_from_f32 in simd_scalar.h. */
PYI_INLINE void store_f16(void *p, f32v x)
{
    const u32v sign = (u32v)x >> 16 & splat_u32(0x8000u), magnitude = (u32v)x & splat_u32(0x7fffffffu);
    const u32v normal = (magnitude - splat_u32(0x38000000u - 0xfffu) + (magnitude >> 13 & splat_u32(1))) >> 13;
    const u32v subnormal = (u32v)((f32v)magnitude + splat_f32(0.5f)) - splat_u32(0x3f000000u);
    const u32v finite = select_u32(le_u32(splat_u32(0x38800000u), magnitude), normal, subnormal);
    store_u16(p, sign | select_u32(le_u32(splat_u32(0x47800000u), magnitude), splat_u32(0x7c00u), finite));
}
PYI_INLINE void stream_f16(void *p, f32v x) { store_f16(p, x); }
PYI_INLINE void store_u8(void *p, u32v x)
{
    const uint8_t bytes[4] = {(uint8_t)x[0], (uint8_t)x[1], (uint8_t)x[2], (uint8_t)x[3]};
    memcpy(p, bytes, sizeof bytes);
}
PYI_INLINE void stream_u8(void *p, u32v x) { store_u8(p, x); }

#include "aes_table.h"

PYI_INLINE void aes_counters(uint64_t block, uint64_t id, aesv out[2])
{
    out[0] = aes_splat(block, id);
    out[1] = aes_splat(block + 1, id);
}
PYI_INLINE void aes_load_counters(const uint64_t *blocks, uint64_t id, aesv out[2])
{
    out[0] = aes_splat(blocks[0], id);
    out[1] = aes_splat(blocks[1], id);
}
PYI_INLINE void aes_next(aesv counter[2])
{
    for (int i = 0; i < 2; i++) {
        const uint64_t block = (counter[i].word[0] | (uint64_t)counter[i].word[1] << 32) + PYI_BLOCKS;
        counter[i].word[0] = (uint32_t)block;
        counter[i].word[1] = (uint32_t)(block >> 32);
    }
}
PYI_INLINE void aes_words(const aesv in[2], u32v out[2])
{
    for (int i = 0; i < 2; i++)
        memcpy(&out[i], in[i].word, sizeof out[i]);
}

#include "simd_shared.h"

PYI_INLINE void pack_bf16(const u32v even[1], const u32v odd[1], u32v out[1])
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    out[0] = (round_bf16(even[0]) & splat_u32(0xffff0000u)) | round_bf16(odd[0]) >> 16;
#else
    out[0] = round_bf16(even[0]) >> 16 | (round_bf16(odd[0]) & splat_u32(0xffff0000u));
#endif
}

#if defined(PYI_OWN_TABLE_POLYNOMIAL)
static __attribute__((noinline, cold, unused)) f32v
table_polynomial_to_odd(f32v x, table_index i, const float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES])
{
    f32v y = look_up(i, table[PYI_QUANTILE_TERMS - 1]);
    for (int k = PYI_QUANTILE_TERMS - 2; k >= 0; k--)
        y = fma_to_odd(y, x, look_up(i, table[k]));
    return y;
}
PYI_INLINE f32v table_polynomial(f32v x, table_index i, const float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES])
{
    const doubles by = widen(x);
    doubles y = multiply_add(widen(look_up(i, table[PYI_QUANTILE_TERMS - 1])), by,
                             widen(look_up(i, table[PYI_QUANTILE_TERMS - 2])));
    u32v ties = splat_u32(0);
    for (int k = PYI_QUANTILE_TERMS - 3; k >= 0; k--)
        y = polynomial_step(y, by, widen(look_up(i, table[k])), &ties);
    return polynomial_is_sure(y, ties) ? narrow(y) : table_polynomial_to_odd(x, i, table);
}
#endif

#endif
