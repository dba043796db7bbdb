/*
 * Child streams: a child's id is the 8-byte BLAKE2b hash of its parent's id and its name.
 * Source: M.-J. Saarinen, J.-P. Aumasson, "The BLAKE2 Cryptographic Hash and Message Authentication Code", RFC 7693.
 */
#include <string.h>

#include "core.h"

#define BLOCK_BYTES 128
#define DIGEST_BYTES 8

/* The fractional parts of the square roots of the first eight primes. */
static const uint64_t IV[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                               0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

/* The words of the message that each round mixes. The last two of the 12 rounds repeat the first two. */
static const uint8_t SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static uint64_t rotate_right(uint64_t x, int n) { return x >> n | x << (64 - n); }

static uint64_t load_little(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 8; i-- > 0;)
        x = x << 8 | p[i];
    return x;
}
static void store_little(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static inline void mix(uint64_t v[16], int a, int b, int c, int d, uint64_t x, uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 63);
}

/* Mixes a block into the state; `bytes` counts all bytes so far, this block included. */
static void compress(uint64_t h[8], const uint8_t block[BLOCK_BYTES], uint64_t bytes, int last)
{
    uint64_t v[16], m[16];
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = IV[i];
    }
    v[12] ^= bytes;
    if (last)
        v[14] = ~v[14];
    for (int i = 0; i < 16; i++)
        m[i] = load_little(block + 8 * i);
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = SIGMA[round % 10];
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

uint64_t pyi_child_id(uint64_t parent, const char *name, size_t length, const char person[16])
{
    uint8_t block[BLOCK_BYTES];
    uint64_t h[8], bytes = 0;
    size_t used = 8;

    memcpy(h, IV, sizeof h);
    h[0] ^= 0x01010000 ^ DIGEST_BYTES; /* no tree, no key */
    if (person) {
        h[6] ^= load_little((const uint8_t *)person);
        h[7] ^= load_little((const uint8_t *)person + 8);
    }
    store_little(block, parent);
    while (length > BLOCK_BYTES - used) { /* the last block, full or not, is left for after the loop */
        memcpy(block + used, name, BLOCK_BYTES - used);
        name += BLOCK_BYTES - used;
        length -= BLOCK_BYTES - used;
        compress(h, block, bytes += BLOCK_BYTES, 0);
        used = 0;
    }
    memcpy(block + used, name, length);
    memset(block + used + length, 0, BLOCK_BYTES - used - length);
    compress(h, block, bytes + used + length, 1);
    return h[0];
}

pyi_status pyi_child(pyi_stream *child, const pyi_stream *parent, const char *name)
{
    return pyi_stream_new(child, parent->generator, parent->seed, pyi_child_id(parent->id, name, strlen(name), NULL));
}
