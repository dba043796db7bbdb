/* Streams: their position, and the claim of words. */
#include "core.h"

pyi_status pyi_stream_new(pyi_stream *stream, pyi_generator generator, uint64_t seed, uint64_t id)
{
    if ((unsigned)generator >= PYI_GENERATORS)
        return PYI_BAD_VALUE;
    *stream = (pyi_stream){.generator = generator, .seed = seed, .id = id};
    return PYI_OK;
}

pyi_status pyi_skip_ahead(pyi_stream *stream, uint64_t blocks, uint64_t words)
{
    const uint64_t word = stream->word + words % 4;
    const uint64_t more = words / 4 + word / 4; /* at most 2^62: no overflow */
    const uint64_t by_blocks = stream->block + blocks, block = by_blocks + more;
    const unsigned carries = (unsigned)(by_blocks < blocks) + (unsigned)(block < more) + stream->end;
    /* A carry out of 64 bits leads to position 2^66, the end, if nothing is left over. */
    if (carries > 1 || (carries == 1 && (block || word % 4)))
        return PYI_EXHAUSTED;
    stream->block = block;
    stream->word = (uint32_t)(word % 4);
    stream->end = carries;
    return PYI_OK;
}

pyi_status pyi_claim(pyi_stream *stream, pyi_stream *claimed, pyi_sampler sampler, pyi_dtype dtype, uint64_t count)
{
    pyi_stream begin = *stream, end;
    pyi_status status = PYI_OK;
    uint32_t words, group;

    if ((unsigned)stream->generator >= PYI_GENERATORS || (unsigned)dtype >= PYI_DTYPES ||
        (unsigned)sampler >= PYI_SAMPLERS)
        return PYI_BAD_VALUE;
    words = pyi_sample_words(dtype);
    group = words * pyi_samplers[sampler].together; /* a divisor of 4, or 0: no words */
    if (!group) {
        *claimed = begin;
        return PYI_OK;
    }
    if (count)
        status = pyi_skip_ahead(&begin, 0, -begin.word % group);
    end = begin;
    if (status == PYI_OK)
        status = pyi_skip_ahead(&end, count / 4 * words, count % 4 * words);
    if (status == PYI_OK && count)
        status = pyi_skip_ahead(&end, 0, -end.word % group);
    if (status == PYI_OK) {
        *claimed = begin;
        stream->block = end.block; /* the other members never change, so threads may read them without a lock */
        stream->word = end.word;
        stream->end = end.end;
    }
    return status;
}
