/* Eight lanes: AVX2, FMA, F16C and AES-NI. The operations are described in simd_scalar.h. */
#ifndef PYI_SIMD_AVX2_H
#define PYI_SIMD_AVX2_H

#include <stdint.h>

#define PYI_BLOCKS 4
#define PYI_LANES 8
#define PYI_PAIR_VECTORS 1
#define PYI_AES_VECTORS 4
#define PYI_OWN_TABLE_POLYNOMIAL

typedef uint32_t u32v __attribute__((vector_size(32)));
typedef uint64_t u64v __attribute__((vector_size(32)));
typedef float f32v __attribute__((vector_size(32)));
typedef double f64v __attribute__((vector_size(32)));
typedef u32v mask32v;
typedef u64v mask64v;
typedef __m128i aesv;

PYI_INLINE u32v splat_u32(uint32_t x) { return (u32v)_mm256_set1_epi32((int)x); }
PYI_INLINE u64v splat_u64(uint64_t x) { return (u64v)_mm256_set1_epi64x((long long)x); }
PYI_INLINE f32v splat_f32(float x) { return _mm256_set1_ps(x); }
PYI_INLINE f64v splat_f64(double x) { return _mm256_set1_pd(x); }

PYI_INLINE u32v bits_f32(f32v x) { return (u32v)x; }
PYI_INLINE f32v f32_from_bits(u32v x) { return (f32v)x; }
PYI_INLINE u64v bits_f64(f64v x) { return (u64v)x; }
PYI_INLINE f64v f64_from_bits(u64v x) { return (f64v)x; }

PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c) { return _mm256_fmadd_ps(a, b, c); }
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return _mm256_fmadd_pd(a, b, c); }
PYI_INLINE f32v sqrt_f32(f32v x) { return _mm256_sqrt_ps(x); }
PYI_INLINE f64v sqrt_f64(f64v x) { return _mm256_sqrt_pd(x); }
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return _mm256_min_ps(x, limit); }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return _mm256_min_pd(x, limit); }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return _mm256_max_ps(x, limit); }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return _mm256_max_pd(x, limit); }

/* Only signed integers compare: a <= b if a is the smaller of both, or with the sign bits flipped. */
PYI_INLINE mask32v le_u32(u32v a, u32v b)
{
    return (u32v)_mm256_cmpeq_epi32(_mm256_min_epu32((__m256i)a, (__m256i)b), (__m256i)a);
}
PYI_INLINE mask64v le_u64(u64v a, u64v b)
{
    const u64v top = splat_u64(0x8000000000000000u);
    return ~(u64v)_mm256_cmpgt_epi64((__m256i)(a ^ top), (__m256i)(b ^ top));
}
PYI_INLINE mask32v ge_f32(f32v a, f32v b) { return (u32v)_mm256_cmp_ps(a, b, _CMP_GE_OQ); }
PYI_INLINE mask64v ge_f64(f64v a, f64v b) { return (u64v)_mm256_cmp_pd(a, b, _CMP_GE_OQ); }
PYI_INLINE u32v sign_u32(u32v x) { return (u32v)_mm256_srai_epi32((__m256i)x, 31); }
PYI_INLINE u64v sign_u64(u64v x) { return (u64v)_mm256_cmpgt_epi64(_mm256_setzero_si256(), (__m256i)x); }
PYI_INLINE u32v select_u32(mask32v m, u32v yes, u32v no)
{
    return (u32v)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)m);
}
PYI_INLINE u64v select_u64(mask64v m, u64v yes, u64v no)
{
    return (u64v)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)m);
}
PYI_INLINE f32v select_f32(mask32v m, f32v yes, f32v no) { return _mm256_blendv_ps(no, yes, (f32v)m); }
PYI_INLINE f64v select_f64(mask64v m, f64v yes, f64v no) { return _mm256_blendv_pd(no, yes, (f64v)m); }

/* A permute picks from 8 by three bits; the fourth bit, as a sign, picks between two permutes. */
typedef struct {
    __m256i low;
    __m256 high;
} table_index;
PYI_INLINE table_index index_table(u32v x, const uint32_t first)
{
    const table_index i = {(__m256i)x, (__m256)(x << 28)};
    (void)first;
    return i;
}
PYI_INLINE f32v look_up_upper(table_index i, const float table[16])
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i.low);
}
PYI_INLINE f32v look_up(table_index i, const float table[16])
{
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i.low), look_up_upper(i, table), i.high);
}
PYI_INLINE f32v f32_from_i32(u32v x) { return _mm256_cvtepi32_ps((__m256i)x); }
/* There is no unsigned conversion: both 16-bit halves are exact, and the fma rounds their sum once. */
PYI_INLINE f32v f32_from_u32(u32v x)
{
    return fma_f32(f32_from_i32(x >> 16), splat_f32(0x1p16f), f32_from_i32(x & 0xffff));
}
/* Nor a 64-bit one: each 32-bit half becomes the low bits of a double with a known exponent, 2^84 for the high half and
 * 2^52 for the low one. The exponents cancel exactly, and the last sum rounds once. */
PYI_INLINE f64v f64_from_u64(u64v x)
{
    f64v high = (f64v)((x >> 32) | splat_u64(0x4530000000000000u));
    f64v low = (f64v)((x & splat_u64(0xffffffffu)) | splat_u64(0x4330000000000000u));
    return high - splat_f64(0x1p84 + 0x1p52) + low;
}
PYI_INLINE f64v f64_from_i64(u64v x)
{
    f64v high = (f64v)((x >> 32) ^ splat_u64(0x4530000080000000u));
    f64v low = (f64v)((x & splat_u64(0xffffffffu)) | splat_u64(0x4330000000000000u));
    return high - splat_f64(0x1p84 + 0x1p63 + 0x1p52) + low;
}

PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (u64v)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
PYI_INLINE u64v high32(u64v x) { return x >> 32; }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c) { return a ^ b ^ c; }

/* Blocks in an order that zip, which works within 128 bits, turns into memory order. */
PYI_INLINE u64v block_numbers(uint64_t first) { return splat_u64(first) + (u64v){0, 2, 1, 3}; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks)
{
    return (u64v)_mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)blocks), 0xd8);
}

PYI_INLINE u64v join_low32(u64v low, u64v high)
{
    return (u64v)_mm256_blend_epi32((__m256i)low, _mm256_shuffle_epi32((__m256i)high, 0xa0), 0xaa);
}
PYI_INLINE void pack_low32(u64v a, u64v b, u32v out[1]) { out[0] = (u32v)join_low32(a, b); }

PYI_INLINE void unzip_u32(const u32v in[2], u32v even[1], u32v odd[1])
{
    even[0] = (u32v)_mm256_shuffle_ps((__m256)in[0], (__m256)in[1], 0x88);
    odd[0] = (u32v)_mm256_shuffle_ps((__m256)in[0], (__m256)in[1], 0xdd);
}
PYI_INLINE void zip_u32(const u32v even[1], const u32v odd[1], u32v out[2])
{
    out[0] = (u32v)_mm256_unpacklo_epi32((__m256i)even[0], (__m256i)odd[0]);
    out[1] = (u32v)_mm256_unpackhi_epi32((__m256i)even[0], (__m256i)odd[0]);
}
PYI_INLINE void words64(const u32v in[2], u64v out[2]) { out[0] = (u64v)in[0], out[1] = (u64v)in[1]; }
PYI_INLINE void unzip_u64(const u64v in[2], u64v *even, u64v *odd)
{
    *even = (u64v)_mm256_unpacklo_epi64((__m256i)in[0], (__m256i)in[1]);
    *odd = (u64v)_mm256_unpackhi_epi64((__m256i)in[0], (__m256i)in[1]);
}
PYI_INLINE void zip_u64(u64v even, u64v odd, u64v out[2])
{
    out[0] = (u64v)_mm256_unpacklo_epi64((__m256i)even, (__m256i)odd);
    out[1] = (u64v)_mm256_unpackhi_epi64((__m256i)even, (__m256i)odd);
}

PYI_INLINE void store_u32(void *p, u32v x) { _mm256_storeu_si256(p, (__m256i)x); }
PYI_INLINE void store_u64(void *p, u64v x) { _mm256_storeu_si256(p, (__m256i)x); }
PYI_INLINE void stream_u32(void *p, u32v x) { _mm256_stream_si256(p, (__m256i)x); }
PYI_INLINE void stream_u64(void *p, u64v x) { _mm256_stream_si256(p, (__m256i)x); }
PYI_INLINE void stream_fence(void) { _mm_sfence(); }

PYI_INLINE void store_f16(void *p, f32v x) { _mm_storeu_si128(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
PYI_INLINE void stream_f16(void *p, f32v x) { _mm_stream_si128(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
/* The low bytes of the eight lanes, joined. */
PYI_INLINE __m128i low_bytes(u32v x)
{
    const __m256i order = _mm256_set1_epi32(0x0c080400), bytes = _mm256_shuffle_epi8((__m256i)x, order);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}
PYI_INLINE void store_u8(void *p, u32v x) { _mm_storel_epi64(p, low_bytes(x)); }
PYI_INLINE void stream_u8(void *p, u32v x) { _mm_stream_si64(p, _mm_cvtsi128_si64(low_bytes(x))); }

PYI_INLINE aesv aesenc(aesv s, aesv key) { return _mm_aesenc_si128(s, key); }
PYI_INLINE aesv aesenclast(aesv s, aesv key) { return _mm_aesenclast_si128(s, key); }
PYI_INLINE aesv aes_xor(aesv a, aesv b) { return _mm_xor_si128(a, b); }
PYI_INLINE aesv aes_splat(uint64_t low, uint64_t high) { return _mm_set_epi64x((long long)high, (long long)low); }
PYI_INLINE void aes_counters(uint64_t block, uint64_t id, aesv out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = aes_splat(block + (uint64_t)i, id);
}
PYI_INLINE void aes_load_counters(const uint64_t *blocks, uint64_t id, aesv out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = aes_splat(blocks[i], id);
}
PYI_INLINE void aes_next(aesv counter[4])
{
    for (int i = 0; i < 4; i++)
        counter[i] = _mm_add_epi64(counter[i], aes_splat(PYI_BLOCKS, 0));
}
PYI_INLINE void aes_words(const aesv in[4], u32v out[2])
{
    out[0] = (u32v)_mm256_set_m128i(in[1], in[0]);
    out[1] = (u32v)_mm256_set_m128i(in[3], in[2]);
}

#include "simd_shared.h"

PYI_INLINE void pack_bf16(const u32v even[1], const u32v odd[1], u32v out[1])
{
    const u32v low = round_bf16(even[0]) >> 16, high = round_bf16(odd[0]);
    out[0] = (u32v)_mm256_permute4x64_epi64(_mm256_blend_epi16((__m256i)low, (__m256i)high, 0xaa), 0xd8);
}

/* If all indices are at least 8, as for all lanes but one in 2^16, half of the table is enough. */
PYI_INLINE f32v table_polynomial(f32v x, table_index i, const float table[PYI_QUANTILE_TERMS][PYI_QUANTILE_OCTAVES])
{
    f32v y;
    if (_mm256_movemask_ps(i.high) != 0xff)
        return polynomial_by_look_up(x, i, table);
    y = look_up_upper(i, table[PYI_QUANTILE_TERMS - 1]);
    for (int k = PYI_QUANTILE_TERMS - 2; k >= 0; k--)
        y = fma_f32(y, x, look_up_upper(i, table[k]));
    return y;
}

#endif
