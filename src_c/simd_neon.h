/* Four lanes: AArch64 with the AES extension. The operations are described in simd_scalar.h. */
#ifndef PYI_SIMD_NEON_H
#define PYI_SIMD_NEON_H

#include <stdint.h>

#define PYI_BLOCKS 2
#define PYI_LANES 4
#define PYI_PAIR_VECTORS 1
#define PYI_AES_VECTORS 2

typedef uint32x4_t u32v;
typedef uint64x2_t u64v;
typedef float32x4_t f32v;
typedef float64x2_t f64v;
typedef uint32x4_t mask32v;
typedef uint64x2_t mask64v;
typedef uint8x16_t aesv;

PYI_INLINE u32v splat_u32(uint32_t x) { return vdupq_n_u32(x); }
PYI_INLINE u64v splat_u64(uint64_t x) { return vdupq_n_u64(x); }
PYI_INLINE f32v splat_f32(float x) { return vdupq_n_f32(x); }
PYI_INLINE f64v splat_f64(double x) { return vdupq_n_f64(x); }

PYI_INLINE u32v bits_f32(f32v x) { return vreinterpretq_u32_f32(x); }
PYI_INLINE f32v f32_from_bits(u32v x) { return vreinterpretq_f32_u32(x); }
PYI_INLINE u64v bits_f64(f64v x) { return vreinterpretq_u64_f64(x); }
PYI_INLINE f64v f64_from_bits(u64v x) { return vreinterpretq_f64_u64(x); }

PYI_INLINE f32v f32_from_u32(u32v x) { return vcvtq_f32_u32(x); }
PYI_INLINE f32v f32_from_i32(u32v x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }
PYI_INLINE f64v f64_from_u64(u64v x) { return vcvtq_f64_u64(x); }
PYI_INLINE f64v f64_from_i64(u64v x) { return vcvtq_f64_s64(vreinterpretq_s64_u64(x)); }

PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c) { return vfmaq_f32(c, a, b); }
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return vfmaq_f64(c, a, b); }
PYI_INLINE f32v sqrt_f32(f32v x) { return vsqrtq_f32(x); }
PYI_INLINE f64v sqrt_f64(f64v x) { return vsqrtq_f64(x); }
/* Not FMIN and FMAX, which order -0 below 0. */
PYI_INLINE f32v min_f32(f32v x, f32v limit) { return vbslq_f32(vcltq_f32(x, limit), x, limit); }
PYI_INLINE f64v min_f64(f64v x, f64v limit) { return vbslq_f64(vcltq_f64(x, limit), x, limit); }
PYI_INLINE f32v max_f32(f32v x, f32v limit) { return vbslq_f32(vcgtq_f32(x, limit), x, limit); }
PYI_INLINE f64v max_f64(f64v x, f64v limit) { return vbslq_f64(vcgtq_f64(x, limit), x, limit); }

PYI_INLINE mask32v le_u32(u32v a, u32v b) { return vcleq_u32(a, b); }
PYI_INLINE mask64v le_u64(u64v a, u64v b) { return vcleq_u64(a, b); }
PYI_INLINE mask32v ge_f32(f32v a, f32v b) { return vcgeq_f32(a, b); }
PYI_INLINE mask64v ge_f64(f64v a, f64v b) { return vcgeq_f64(a, b); }
PYI_INLINE u32v sign_u32(u32v x) { return vcltzq_s32(vreinterpretq_s32_u32(x)); }
PYI_INLINE u64v sign_u64(u64v x) { return vcltzq_s64(vreinterpretq_s64_u64(x)); }
PYI_INLINE u32v select_u32(mask32v m, u32v yes, u32v no) { return vbslq_u32(m, yes, no); }
PYI_INLINE u64v select_u64(mask64v m, u64v yes, u64v no) { return vbslq_u64(m, yes, no); }
PYI_INLINE f32v select_f32(mask32v m, f32v yes, f32v no) { return vbslq_f32(m, yes, no); }
PYI_INLINE f64v select_f64(mask64v m, f64v yes, f64v no) { return vbslq_f64(m, yes, no); }

/* TBL picks bytes out of 64: element i is bytes 4 i to 4 i + 3. */
typedef uint8x16_t table_index;
PYI_INLINE table_index index_table(u32v x, const uint32_t first)
{
    (void)first;
    return vreinterpretq_u8_u32((x & splat_u32(15)) * splat_u32(0x04040404u) + splat_u32(0x03020100u));
}
PYI_INLINE f32v look_up(table_index i, const float table[16])
{
    const uint8x16x4_t bytes = {{vreinterpretq_u8_f32(vld1q_f32(table)), vreinterpretq_u8_f32(vld1q_f32(table + 4)),
                                 vreinterpretq_u8_f32(vld1q_f32(table + 8)),
                                 vreinterpretq_u8_f32(vld1q_f32(table + 12))}};
    return vreinterpretq_f32_u8(vqtbl4q_u8(bytes, i));
}

PYI_INLINE u64v mul_low32(u64v a, u64v b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
PYI_INLINE u64v high32(u64v x) { return x >> 32; }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c) { return a ^ b ^ c; }

PYI_INLINE u64v block_numbers(uint64_t first) { return splat_u64(first) + (u64v){0, 1}; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks) { return vld1q_u64(blocks); }

PYI_INLINE u64v join_low32(u64v low, u64v high) { return vsliq_n_u64(low, high, 32); }
PYI_INLINE void pack_low32(u64v a, u64v b, u32v out[1]) { out[0] = vreinterpretq_u32_u64(join_low32(a, b)); }

PYI_INLINE void unzip_u32(const u32v in[2], u32v even[1], u32v odd[1])
{
    even[0] = vuzp1q_u32(in[0], in[1]);
    odd[0] = vuzp2q_u32(in[0], in[1]);
}
PYI_INLINE void zip_u32(const u32v even[1], const u32v odd[1], u32v out[2])
{
    out[0] = vzip1q_u32(even[0], odd[0]);
    out[1] = vzip2q_u32(even[0], odd[0]);
}
PYI_INLINE void words64(const u32v in[2], u64v out[2])
{
    out[0] = vreinterpretq_u64_u32(in[0]);
    out[1] = vreinterpretq_u64_u32(in[1]);
}
PYI_INLINE void unzip_u64(const u64v in[2], u64v *even, u64v *odd)
{
    *even = vuzp1q_u64(in[0], in[1]);
    *odd = vuzp2q_u64(in[0], in[1]);
}
PYI_INLINE void zip_u64(u64v even, u64v odd, u64v out[2])
{
    out[0] = vzip1q_u64(even, odd);
    out[1] = vzip2q_u64(even, odd);
}

PYI_INLINE void store_u32(void *p, u32v x) { vst1q_u8(p, vreinterpretq_u8_u32(x)); }
PYI_INLINE void store_u64(void *p, u64v x) { vst1q_u8(p, vreinterpretq_u8_u64(x)); }
PYI_INLINE void stream_u32(void *p, u32v x) { store_u32(p, x); }
PYI_INLINE void stream_u64(void *p, u64v x) { store_u64(p, x); }
PYI_INLINE void stream_fence(void) {}

PYI_INLINE void store_f16(void *p, f32v x) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(x))); }
PYI_INLINE void stream_f16(void *p, f32v x) { store_f16(p, x); }
PYI_INLINE void store_u8(void *p, u32v x)
{
    const uint16x4_t halves = vmovn_u32(x);
    const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(halves, halves))), 0);
    memcpy(p, &bytes, sizeof bytes);
}
PYI_INLINE void stream_u8(void *p, u32v x) { store_u8(p, x); }

/* AESE adds its key before the round; x86 and FIPS 197 add it after. */
PYI_INLINE aesv aesenc(aesv s, aesv key) { return vaesmcq_u8(vaeseq_u8(s, vdupq_n_u8(0))) ^ key; }
PYI_INLINE aesv aesenclast(aesv s, aesv key) { return vaeseq_u8(s, vdupq_n_u8(0)) ^ key; }
PYI_INLINE aesv aes_xor(aesv a, aesv b) { return a ^ b; }
PYI_INLINE aesv aes_splat(uint64_t low, uint64_t high) { return vreinterpretq_u8_u64((u64v){low, high}); }
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
    for (int i = 0; i < 2; i++)
        counter[i] = vreinterpretq_u8_u64(vreinterpretq_u64_u8(counter[i]) + (u64v){PYI_BLOCKS, 0});
}
PYI_INLINE void aes_words(const aesv in[2], u32v out[2])
{
    out[0] = vreinterpretq_u32_u8(in[0]);
    out[1] = vreinterpretq_u32_u8(in[1]);
}

#include "simd_shared.h"

PYI_INLINE void pack_bf16(const u32v even[1], const u32v odd[1], u32v out[1])
{
    out[0] = vsriq_n_u32(round_bf16(odd[0]), round_bf16(even[0]), 16);
}

#endif
