/* Sixteen lanes: AVX-512 F, BW, DQ, VL and VAES. The operations are described in simd_scalar.h. */
#ifndef PYI_SIMD_AVX512_H
#define PYI_SIMD_AVX512_H

#include <stdint.h>

#define PYI_BLOCKS 8
#define PYI_LANES 16
#define PYI_PAIR_VECTORS 1
#define PYI_AES_VECTORS 2

typedef uint32_t u32v __attribute__((vector_size(64)));
typedef uint64_t u64v __attribute__((vector_size(64)));
typedef float f32v __attribute__((vector_size(64)));
typedef double f64v __attribute__((vector_size(64)));
typedef __mmask16 mask32v;
typedef __mmask8 mask64v;
typedef __m512i aesv;

PYI_INLINE u32v splat_u32(uint32_t x) { return (u32v)_mm512_set1_epi32((int)x); }
PYI_INLINE u64v splat_u64(uint64_t x) { return (u64v)_mm512_set1_epi64((long long)x); }
PYI_INLINE f32v splat_f32(float x) { return _mm512_set1_ps(x); }
PYI_INLINE f64v splat_f64(double x) { return _mm512_set1_pd(x); }

PYI_INLINE u32v bits_f32(f32v x) { return (u32v)x; }
PYI_INLINE f32v f32_from_bits(u32v x) { return (f32v)x; }
PYI_INLINE u64v bits_f64(f64v x) { return (u64v)x; }
PYI_INLINE f64v f64_from_bits(u64v x) { return (f64v)x; }

PYI_INLINE f32v f32_from_u32(u32v x) { return _mm512_cvtepu32_ps((__m512i)x); }
PYI_INLINE f32v f32_from_i32(u32v x) { return _mm512_cvtepi32_ps((__m512i)x); }
PYI_INLINE f64v f64_from_u64(u64v x) { return _mm512_cvtepu64_pd((__m512i)x); }
PYI_INLINE f64v f64_from_i64(u64v x) { return _mm512_cvtepi64_pd((__m512i)x); }

PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c) { return _mm512_fmadd_ps(a, b, c); }
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return _mm512_fmadd_pd(a, b, c); }
PYI_INLINE f32v sqrt_f32(f32v x) { return _mm512_sqrt_ps(x); }
PYI_INLINE f64v sqrt_f64(f64v x) { return _mm512_sqrt_pd(x); }
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return _mm512_min_ps(x, limit); }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return _mm512_min_pd(x, limit); }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return _mm512_max_ps(x, limit); }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return _mm512_max_pd(x, limit); }

PYI_INLINE mask32v le_u32(u32v a, u32v b) { return _mm512_cmple_epu32_mask((__m512i)a, (__m512i)b); }
PYI_INLINE mask64v le_u64(u64v a, u64v b) { return _mm512_cmple_epu64_mask((__m512i)a, (__m512i)b); }
PYI_INLINE mask32v ge_f32(f32v a, f32v b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
PYI_INLINE mask64v ge_f64(f64v a, f64v b) { return _mm512_cmp_pd_mask(a, b, _CMP_GE_OQ); }
PYI_INLINE u32v sign_u32(u32v x) { return (u32v)_mm512_srai_epi32((__m512i)x, 31); }
PYI_INLINE u64v sign_u64(u64v x) { return (u64v)_mm512_srai_epi64((__m512i)x, 63); }
PYI_INLINE u32v select_u32(mask32v m, u32v yes, u32v no)
{
    return (u32v)_mm512_mask_blend_epi32(m, (__m512i)no, (__m512i)yes);
}
PYI_INLINE u64v select_u64(mask64v m, u64v yes, u64v no)
{
    return (u64v)_mm512_mask_blend_epi64(m, (__m512i)no, (__m512i)yes);
}
PYI_INLINE f32v select_f32(mask32v m, f32v yes, f32v no) { return _mm512_mask_blend_ps(m, no, yes); }
PYI_INLINE f64v select_f64(mask64v m, f64v yes, f64v no) { return _mm512_mask_blend_pd(m, no, yes); }

typedef __m512i table_index;
PYI_INLINE table_index index_table(u32v x, const uint32_t first)
{
    (void)first;
    return (__m512i)x; /* the permute reads only four bits */
}
PYI_INLINE f32v look_up(table_index i, const float table[16])
{
    return _mm512_permutexvar_ps(i, _mm512_loadu_ps(table));
}

PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (u64v)_mm512_mul_epu32((__m512i)a, (__m512i)b); }
/* A shuffle, not a shift: on Intel 512-bit shifts share their one port with the multiplier. */
PYI_INLINE u64v high32(u64v x) { return (u64v)_mm512_shuffle_epi32((__m512i)x, _MM_PERM_DDBB); }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c)
{
    return (u64v)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
}

/* Blocks in an order that zip, which works within 128 bits, turns into memory order. */
PYI_INLINE u64v block_numbers(uint64_t first) { return splat_u64(first) + (u64v){0, 4, 1, 5, 2, 6, 3, 7}; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks)
{
    return (u64v)_mm512_permutexvar_epi64(_mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0), _mm512_loadu_si512(blocks));
}

PYI_INLINE void pack_low32(u64v a, u64v b, u32v out[1])
{
    out[0] = (u32v)_mm512_mask_shuffle_epi32((__m512i)a, 0xaaaa, (__m512i)b, _MM_PERM_CCAA);
}
PYI_INLINE u64v join_low32(u64v low, u64v high)
{
    return (u64v)_mm512_mask_shuffle_epi32((__m512i)low, 0xaaaa, (__m512i)high, _MM_PERM_CCAA);
}

PYI_INLINE void unzip_u32(const u32v in[2], u32v even[1], u32v odd[1])
{
    even[0] = (u32v)_mm512_shuffle_ps((__m512)in[0], (__m512)in[1], 0x88);
    odd[0] = (u32v)_mm512_shuffle_ps((__m512)in[0], (__m512)in[1], 0xdd);
}
PYI_INLINE void zip_u32(const u32v even[1], const u32v odd[1], u32v out[2])
{
    out[0] = (u32v)_mm512_unpacklo_epi32((__m512i)even[0], (__m512i)odd[0]);
    out[1] = (u32v)_mm512_unpackhi_epi32((__m512i)even[0], (__m512i)odd[0]);
}
PYI_INLINE void words64(const u32v in[2], u64v out[2]) { out[0] = (u64v)in[0], out[1] = (u64v)in[1]; }
PYI_INLINE void unzip_u64(const u64v in[2], u64v *even, u64v *odd)
{
    *even = (u64v)_mm512_unpacklo_epi64((__m512i)in[0], (__m512i)in[1]);
    *odd = (u64v)_mm512_unpackhi_epi64((__m512i)in[0], (__m512i)in[1]);
}
PYI_INLINE void zip_u64(u64v even, u64v odd, u64v out[2])
{
    out[0] = (u64v)_mm512_unpacklo_epi64((__m512i)even, (__m512i)odd);
    out[1] = (u64v)_mm512_unpackhi_epi64((__m512i)even, (__m512i)odd);
}

PYI_INLINE void store_u32(void *p, u32v x) { _mm512_storeu_si512(p, (__m512i)x); }
PYI_INLINE void store_u64(void *p, u64v x) { _mm512_storeu_si512(p, (__m512i)x); }
PYI_INLINE void stream_u32(void *p, u32v x) { _mm512_stream_si512(p, (__m512i)x); }
PYI_INLINE void stream_u64(void *p, u64v x) { _mm512_stream_si512(p, (__m512i)x); }
PYI_INLINE void stream_fence(void) { _mm_sfence(); }

PYI_INLINE void store_f16(void *p, f32v x) { _mm256_storeu_si256(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
PYI_INLINE void stream_f16(void *p, f32v x) { _mm256_stream_si256(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
PYI_INLINE void store_u8(void *p, u32v x) { _mm_storeu_si128(p, _mm512_cvtepi32_epi8((__m512i)x)); }
PYI_INLINE void stream_u8(void *p, u32v x) { _mm_stream_si128(p, _mm512_cvtepi32_epi8((__m512i)x)); }
#ifdef PYI_AVX512_BF16
/* Valid range: neither nan nor subnormal. */
PYI_INLINE void pack_bf16(const u32v even[1], const u32v odd[1], u32v out[1])
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 27, 11, 26, 10, 23, 7, 22, 6, 19, 3, 18, 2, 29, 13, 28, 12,
                                           25, 9, 24, 8, 21, 5, 20, 4, 17, 1, 16, 0);
    const __m512bh pairs = _mm512_cvtne2ps_pbh((__m512)odd[0], (__m512)even[0]);
    out[0] = (u32v)_mm512_permutexvar_epi16(order, (__m512i)pairs);
}
#else
/* Both halves of all words in memory order. Rounds up if the part cut off is more than half of the last bit, or is half
 * and that bit is 1. */
PYI_INLINE void pack_bf16(const u32v even[1], const u32v odd[1], u32v out[1])
{
    const __m512i order = _mm512_set_epi16(63, 31, 61, 29, 55, 23, 53, 21, 47, 15, 45, 13, 39, 7, 37, 5, 59, 27, 57, 25,
                                           51, 19, 49, 17, 43, 11, 41, 9, 35, 3, 33, 1);
    const __m512i one = _mm512_set1_epi16(1), half = _mm512_set1_epi16((short)0x8000);
    const __m512i kept = _mm512_permutex2var_epi16((__m512i)even[0], order, (__m512i)odd[0]);
    const __m512i cut = _mm512_permutex2var_epi16((__m512i)even[0], _mm512_sub_epi16(order, one), (__m512i)odd[0]);
    const __mmask32 up = _mm512_cmpgt_epu16_mask(_mm512_adds_epu16(cut, _mm512_and_si512(kept, one)), half);
    out[0] = (u32v)_mm512_mask_add_epi16(kept, up, kept, one);
}
#endif

PYI_INLINE aesv aesenc(aesv s, aesv key) { return _mm512_aesenc_epi128(s, key); }
PYI_INLINE aesv aesenclast(aesv s, aesv key) { return _mm512_aesenclast_epi128(s, key); }
PYI_INLINE aesv aes_xor(aesv a, aesv b) { return _mm512_xor_si512(a, b); }
PYI_INLINE aesv aes_splat(uint64_t low, uint64_t high)
{
    long long l = (long long)low, h = (long long)high;
    return _mm512_set_epi64(h, l, h, l, h, l, h, l);
}
PYI_INLINE void aes_counters(uint64_t block, uint64_t id, aesv out[2])
{
    out[0] = _mm512_add_epi64(aes_splat(block, id), _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    out[1] = _mm512_add_epi64(aes_splat(block, id), _mm512_set_epi64(0, 7, 0, 6, 0, 5, 0, 4));
}
PYI_INLINE void aes_load_counters(const uint64_t *blocks, uint64_t id, aesv out[2])
{
    const __m512i numbers = _mm512_loadu_si512(blocks), high = _mm512_set1_epi64((long long)id);
    out[0] = _mm512_permutex2var_epi64(numbers, _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), high);
    out[1] = _mm512_permutex2var_epi64(numbers, _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4), high);
}
PYI_INLINE void aes_next(aesv counter[2])
{
    counter[0] = _mm512_add_epi64(counter[0], aes_splat(PYI_BLOCKS, 0));
    counter[1] = _mm512_add_epi64(counter[1], aes_splat(PYI_BLOCKS, 0));
}
PYI_INLINE void aes_words(const aesv in[2], u32v out[2]) { out[0] = (u32v)in[0], out[1] = (u32v)in[1]; }

#include "simd_shared.h"

#endif
