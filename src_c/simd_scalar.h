/*
 * One lane: what every machine has, and what the other simd_*.h headers must agree with.
 *
 * A step of a kernel works on PYI_BLOCKS blocks of four words. As 32-bit words a step is
 * 2 * PYI_PAIR_VECTORS vectors, as 64-bit words two u64v. "Even" and "odd" are the two words of a
 * pair; the order of pairs within the lanes is a tier's own affair, known to block_numbers, zip
 * and unzip alone.
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
typedef int mask32v; /* of a comparison of 32-bit lanes, and of 64-bit ones */
typedef int mask64v;
typedef struct {
    uint32_t word[4];
} aesv;

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

PYI_INLINE f32v fma_f32(f32v a, f32v b, f32v c) { return fmaf(a, b, c); }
PYI_INLINE f64v fma_f64(f64v a, f64v b, f64v c) { return fma(a, b, c); }
#if defined(__CUDA_ARCH__)
/* What the assembler makes of sqrt.rn.f32, without its branch for other numbers: from nearly the reciprocal of the root
 * of x, one step that leaves the nearest number. Valid range: x = 0, or 2^-100 and above. */
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

/* Comparisons of unsigned integers and of numbers; all ones where bit 31 or 63 is set. */
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
#if defined(__CUDACC__) /* by name, since the compiler would multiply all 64 bits */
PYI_INLINE u64v mul_low32(u64v a, u64v b)
{
    u64v product;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"((uint32_t)a), "r"((uint32_t)b));
    return product;
}
#else
PYI_INLINE u64v mul_low32(u64v a, u64v b) { return (a & 0xffffffffu) * (b & 0xffffffffu); }
#endif
/* The high half as the low one; the new high half is undefined. */
PYI_INLINE u64v high32(u64v x) { return x >> 32; }
PYI_INLINE u64v xor3(u64v a, u64v b, u64v c) { return a ^ b ^ c; }

PYI_INLINE u64v block_numbers(uint64_t first) { return first; }
PYI_INLINE u64v load_block_numbers(const uint64_t *blocks) { return *blocks; }

/* The low halves of a and b as the words of alternate pairs: a's of even pairs, b's of odd ones. */
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

/* Stores take any address of the element's own alignment; streams, one aligned to a whole vector. */
PYI_INLINE void store_u32(void *p, u32v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void store_u64(void *p, u64v x) { memcpy(p, &x, sizeof x); }
PYI_INLINE void stream_u32(void *p, u32v x) { store_u32(p, x); }
PYI_INLINE void stream_u64(void *p, u64v x) { store_u64(p, x); }
PYI_INLINE void stream_fence(void) {}

/* As binary16, to the nearest, ties to even. In the sum with 1/2 the last bit is worth 2^-24, as in subnormals. */
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
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 /* PTX ISA, cvt: to the nearest, ties to even, subnormals kept */
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

/* The floats of pairs as bfloat16, in the order of memory. */
PYI_INLINE void pack_bf16(const u32v even[PYI_PAIR_VECTORS], const u32v odd[PYI_PAIR_VECTORS],
                          u32v out[PYI_PAIR_VECTORS])
{
    for (int i = 0; i < PYI_PAIR_VECTORS; i++) {
        const uint16_t pair[2] = {(uint16_t)(round_bf16(even[i]) >> 16), (uint16_t)(round_bf16(odd[i]) >> 16)};
        memcpy(&out[i], pair, sizeof pair);
    }
}

/* FIPS 197, figure 7: the multiplicative inverse in GF(2^8) modulo 0x11b, then the affine map. */
PYI_TABLE uint8_t PYI_SBOX[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76, 0xca, 0x82, 0xc9,
    0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0, 0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f,
    0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15, 0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07,
    0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75, 0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3,
    0x29, 0xe3, 0x2f, 0x84, 0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58,
    0xcf, 0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8, 0x51, 0xa3,
    0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2, 0xcd, 0x0c, 0x13, 0xec, 0x5f,
    0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73, 0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88,
    0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb, 0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac,
    0x62, 0x91, 0x95, 0xe4, 0x79, 0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a,
    0xae, 0x08, 0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a, 0x70,
    0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e, 0xe1, 0xf8, 0x98, 0x11,
    0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf, 0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42,
    0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

/* The block is four little-endian columns; SubBytes and ShiftRows: byte r of column c comes from column c + r. */
PYI_INLINE uint32_t aes_column(aesv s, int c)
{
    return (uint32_t)PYI_SBOX[s.word[c] & 0xff] | (uint32_t)PYI_SBOX[s.word[(c + 1) & 3] >> 8 & 0xff] << 8 |
           (uint32_t)PYI_SBOX[s.word[(c + 2) & 3] >> 16 & 0xff] << 16 |
           (uint32_t)PYI_SBOX[s.word[(c + 3) & 3] >> 24] << 24;
}
/* MixColumns on the four bytes at once: 2a + 3b + c + d, where b, c, d are a rotated. */
PYI_INLINE uint32_t aes_mix(uint32_t a)
{
    uint32_t twice = (a & 0x7f7f7f7fu) << 1 ^ (a >> 7 & 0x01010101u) * 0x1bu, thrice = twice ^ a;
    return twice ^ (thrice >> 8 | thrice << 24) ^ (a >> 16 | a << 16) ^ (a >> 24 | a << 8);
}
PYI_INLINE aesv aesenc(aesv s, aesv key)
{
    aesv r;
    for (int c = 0; c < 4; c++)
        r.word[c] = aes_mix(aes_column(s, c)) ^ key.word[c];
    return r;
}
PYI_INLINE aesv aesenclast(aesv s, aesv key)
{
    aesv r;
    for (int c = 0; c < 4; c++)
        r.word[c] = aes_column(s, c) ^ key.word[c];
    return r;
}
PYI_INLINE aesv aes_xor(aesv a, aesv b)
{
    for (int c = 0; c < 4; c++)
        a.word[c] ^= b.word[c];
    return a;
}
PYI_INLINE aesv aes_splat(uint64_t low, uint64_t high)
{
    aesv r = {{(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)}};
    return r;
}
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
