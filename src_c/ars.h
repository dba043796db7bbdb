/*
 * ARS4x32: a 128-bit counter through five or seven rounds of AES, with a Weyl sequence for round keys.
 *
 * The counter is xored with the key. In each round both 64-bit halves of the key grow by a constant, and the state goes
 * through an AES round with it, the last one without MixColumns.
 *
 * Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11
 * (2011), section 4.1.
 */
#define ARS_W64_0 0x9E3779B97F4A7C15u /* golden ratio */
#define ARS_W64_1 0xBB67AE8584CAA73Bu /* sqrt(3) - 1 */
#define ARS_MOST_ROUNDS 7

typedef struct {
    aesv counter[PYI_AES_VECTORS];
    aesv key[ARS_MOST_ROUNDS + 1];
} ars;

PYI_INLINE void ars_init(ars *g, uint64_t seed, const int rounds)
{
    for (int i = 0; i <= rounds; i++)
        g->key[i] = aes_splat(seed + (uint64_t)i * ARS_W64_0, (uint64_t)i * ARS_W64_1);
}

#if !defined(PYI_ARS_INLINE)
#define PYI_ARS_INLINE PYI_INLINE
#endif
/* The words of the next PYI_BLOCKS blocks. */
PYI_ARS_INLINE void ars_words(ars *g, u32v out[2 * PYI_PAIR_VECTORS], const int rounds)
{
    aesv state[PYI_AES_VECTORS];
    for (int v = 0; v < PYI_AES_VECTORS; v++)
        state[v] = aes_xor(g->counter[v], g->key[0]);
    for (int i = 1; i < rounds; i++)
        for (int v = 0; v < PYI_AES_VECTORS; v++)
            state[v] = aesenc(state[v], g->key[i]);
    for (int v = 0; v < PYI_AES_VECTORS; v++)
        state[v] = aesenclast(state[v], g->key[rounds]);
    aes_next(g->counter);
    aes_words(state, out);
}

PYI_INLINE void ars_pairs(ars *g, u32v even[PYI_PAIR_VECTORS], u32v odd[PYI_PAIR_VECTORS], const int rounds)
{
    u32v words[2 * PYI_PAIR_VECTORS];
    ars_words(g, words, rounds);
    unzip_u32(words, even, odd);
}

PYI_INLINE void ars_words64(ars *g, u64v out[2], const int rounds)
{
    u32v words[2 * PYI_PAIR_VECTORS];
    ars_words(g, words, rounds);
    words64(words, out);
}

PYI_INLINE void ars_pairs64(ars *g, u64v *even, u64v *odd, const int rounds)
{
    u64v words[2];
    ars_words64(g, words, rounds);
    unzip_u64(words, even, odd);
}
