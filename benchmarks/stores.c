/*
 * A pure write past the caches, with the machine's widest stores: no fill of a large buffer can be faster. The C
 * library's memset does so on some machines only. The bytes are not 0; pyinit/bench.py says why.
 *
 * Built with -march=native for x86-64; `out` is aligned to sizeof(vector), and `bytes` is a multiple of it.
 */
#include <immintrin.h>
#include <stddef.h>

#if defined(__AVX512F__)
typedef __m512i vector;
#define STREAM(out) _mm512_stream_si512(out, _mm512_set1_epi8(0x55))
#elif defined(__AVX__)
typedef __m256i vector;
#define STREAM(out) _mm256_stream_si256(out, _mm256_set1_epi8(0x55))
#else
typedef __m128i vector;
#define STREAM(out) _mm_stream_si128(out, _mm_set1_epi8(0x55))
#endif

void stream_bytes(char *out, size_t bytes)
{
    for (char *end = out + bytes; out < end; out += sizeof(vector))
        STREAM((vector *)out);
    _mm_sfence();
}
