/*
 * Philox4x32-10: a counter of four words through ten rounds of multiply and xor.
 *
 * A round takes c0..c3 and the round's key k0, k1 to
 *     hi(c2 * M1) ^ c1 ^ k0,  lo(c2 * M1),  hi(c0 * M0) ^ c3 ^ k1,  lo(c0 * M0).
 * Each word is in the low half of a 64-bit lane. A product then has its low word where the next round wants it, and
 * nothing reads the high half.
 *
 * Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11
 * (2011), section 4.3 and table 2.
 */
#define PHILOX_M4x32_0 0xD2511F53u
#define PHILOX_M4x32_1 0xCD9E8D57u
#define PHILOX_W32_0 0x9E3779B9u /* golden ratio */
#define PHILOX_W32_1 0xBB67AE85u /* sqrt(3) - 1 */

typedef struct {
    u64v block;
    uint64_t left; /* the steps for which `prepared` is valid */
    uint64_t low;  /* the low word of the first block after them */
    u64v id_low, id_high;
    u64v key[PHILOX_ROUNDS][2];
    u64v prepared[4];
} philox;

PYI_INLINE void philox_round_keys(uint64_t seed, uint32_t keys[PHILOX_ROUNDS][2])
{
    for (uint32_t i = 0; i < PHILOX_ROUNDS; i++) {
        keys[i][0] = (uint32_t)seed + i * PHILOX_W32_0;
        keys[i][1] = (uint32_t)(seed >> 32) + i * PHILOX_W32_1;
    }
}

PYI_INLINE void philox_init(philox *g, const uint32_t keys[PHILOX_ROUNDS][2], uint64_t id)
{
    for (int i = 0; i < PHILOX_ROUNDS; i++) {
        g->key[i][0] = splat_u64(keys[i][0]);
        g->key[i][1] = splat_u64(keys[i][1]);
    }
    g->id_low = splat_u64(id & 0xffffffffu);
    g->id_high = splat_u64(id >> 32);
}

/*
 * The half of the first two rounds that does not depend on the low word of the block number, and so stays the same over
 * 2^32 blocks: the constant operands of their xors, and a product of the second round.
 */
PYI_INLINE void philox_prepare(philox *g)
{
    const u64v p1 = mul_low32(g->id_low, splat_u64(PHILOX_M4x32_1));
    const u64v c0 = xor3(high32(p1), high32(g->block), g->key[0][0]);
    const u64v p0 = mul_low32(c0, splat_u64(PHILOX_M4x32_0));
    g->prepared[0] = g->id_high ^ g->key[0][1];
    g->prepared[1] = p1 ^ g->key[1][0];
    g->prepared[2] = high32(p0) ^ g->key[1][1];
    g->prepared[3] = p0;
    g->left = ((uint64_t)1 << 32) - g->low < 2 * PYI_BLOCKS ? 1 : (((uint64_t)1 << 32) - g->low) / PYI_BLOCKS;
    g->low = (g->low + g->left * PYI_BLOCKS) & 0xffffffffu;
}

PYI_INLINE void philox_seek(philox *g, u64v blocks, uint64_t first)
{
    g->block = blocks;
    g->low = first & 0xffffffffu;
    philox_prepare(g);
}

/* The next PYI_BLOCKS blocks: c[i] is word i of each. */
PYI_INLINE void philox_next(philox *g, u64v c[4])
{
    const u64v m0 = splat_u64(PHILOX_M4x32_0), m1 = splat_u64(PHILOX_M4x32_1);
    c[3] = mul_low32(g->block, m0);
    c[1] = mul_low32(high32(c[3]) ^ g->prepared[0], m1);
    c[0] = high32(c[1]) ^ g->prepared[1];
    c[2] = c[3] ^ g->prepared[2];
    c[3] = g->prepared[3];
    for (int i = 2; i < PHILOX_ROUNDS; i++) {
        u64v p0 = mul_low32(c[0], m0), p1 = mul_low32(c[2], m1);
        c[0] = xor3(high32(p1), c[1], g->key[i][0]);
        c[1] = p1;
        c[2] = xor3(high32(p0), c[3], g->key[i][1]);
        c[3] = p0;
    }
    g->block += PYI_BLOCKS;
    if (!--g->left)
        philox_prepare(g);
}

PYI_INLINE void philox_pairs(philox *g, u32v even[PYI_PAIR_VECTORS], u32v odd[PYI_PAIR_VECTORS])
{
    u64v c[4];
    philox_next(g, c);
    pack_low32(c[0], c[2], even);
    pack_low32(c[1], c[3], odd);
}

PYI_INLINE void philox_words(philox *g, u32v out[2 * PYI_PAIR_VECTORS])
{
    u32v even[PYI_PAIR_VECTORS], odd[PYI_PAIR_VECTORS];
    philox_pairs(g, even, odd);
    zip_u32(even, odd, out);
}

PYI_INLINE void philox_pairs64(philox *g, u64v *even, u64v *odd)
{
    u64v c[4];
    philox_next(g, c);
    *even = join_low32(c[0], c[1]);
    *odd = join_low32(c[2], c[3]);
}

PYI_INLINE void philox_words64(philox *g, u64v out[2])
{
    u64v even, odd;
    philox_pairs64(g, &even, &odd);
    zip_u64(even, odd, out);
}
