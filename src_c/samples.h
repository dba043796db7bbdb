/*
 * Words to samples, for each generator and method, both constants here. The instruction set's simd header comes first.
 */
#include "philox.h"

#include "ars.h"

#include "elementary.h"

#include "uniform.h"

#include "box_muller.h"

#include "inverse_cdf.h"

#include "truncated.h"

#include "narrow.h"

typedef struct {
    philox by_philox;
    ars by_ars;
} generator_state;

PYI_INLINE int ars_rounds(const pyi_generator generator) { return generator == PYI_ARS4X32_5 ? 5 : 7; }

PYI_INLINE void start(generator_state *g, const pyi_job *job, const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_init(&g->by_philox, job->round_keys, job->id);
    else
        ars_init(&g->by_ars, job->seed, ars_rounds(generator));
}
/* Goes to `block`. */
PYI_INLINE void seek(generator_state *g, const pyi_job *job, uint64_t block, const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_seek(&g->by_philox, block_numbers(block), block);
    else
        aes_counters(block, job->id, g->by_ars.counter);
}
/* Goes to the blocks of a list, for one step. */
PYI_INLINE void seek_listed(generator_state *g, const pyi_job *job, const uint64_t *blocks,
                            const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_seek(&g->by_philox, load_block_numbers(blocks), 0);
    else
        aes_load_counters(blocks, job->id, g->by_ars.counter);
}
PYI_INLINE void next_words(generator_state *g, u32v w[2 * PYI_PAIR_VECTORS], const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_words(&g->by_philox, w);
    else
        ars_words(&g->by_ars, w, ars_rounds(generator));
}
PYI_INLINE void next_words64(generator_state *g, u64v w[2], const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_words64(&g->by_philox, w);
    else
        ars_words64(&g->by_ars, w, ars_rounds(generator));
}
PYI_INLINE void next_pairs(generator_state *g, u32v even[PYI_PAIR_VECTORS], u32v odd[PYI_PAIR_VECTORS],
                           const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_pairs(&g->by_philox, even, odd);
    else
        ars_pairs(&g->by_ars, even, odd, ars_rounds(generator));
}
PYI_INLINE void next_pairs64(generator_state *g, u64v *even, u64v *odd, const pyi_generator generator)
{
    if (generator == PYI_PHILOX4X32_10)
        philox_pairs64(&g->by_philox, even, odd);
    else
        ars_pairs64(&g->by_ars, even, odd, ars_rounds(generator));
}

/* The float sample of one word, for every method but Box-Muller; not yet rounded to a narrower type. */
PYI_INLINE u32v sample_f32(u32v w, const pyi_job *job, const pyi_method method, const pyi_dtype dtype)
{
    const pyi_constants_f32 *c = &job->f32;
    const truncated_f32 bounds = {splat_f32(c->mean),
                                  splat_f32(c->std),
                                  splat_f32(c->low),
                                  splat_f32(c->high),
                                  splat_u32((uint32_t)(job->flip >> 32)),
                                  splat_u32((uint32_t)(job->unflip >> 32))};
    switch (method) {
    case PYI_METHOD_UNIFORM: {
        const uniform_f32 d = {splat_f32(c->base), splat_f32(c->scale), splat_f32(c->low), splat_f32(c->high)};
        return bits_f32(sample_uniform_f32(w, &d, dtype != PYI_F32));
    }
    case PYI_METHOD_ICDF: {
        const normal_f32 d = {splat_f32(c->mean), splat_f32(c->std)};
        return bits_f32(normal_icdf_f32(w, &d));
    }
    case PYI_METHOD_TRUNCATED_CENTRE: {
        const truncated_centre_f32 d = {bounds,
                                        splat_u32((uint32_t)(job->median >> 32)),
                                        splat_u32((uint32_t)(job->above >> 32)),
                                        splat_f32(c->step),
                                        splat_f32(c->end_below),
                                        splat_f32(c->end_above),
                                        splat_f32(c->median_below),
                                        splat_f32(c->median_above)};
        return bits_f32(sample_truncated_centre_f32(w, &d));
    }
    case PYI_METHOD_TRUNCATED_TAIL: {
        const truncated_tail_f32 d = {bounds, splat_f32(c->mean_low), splat_f32(c->step), splat_f32(c->first)};
        return bits_f32(sample_truncated_tail_f32(w, &d, job->tail));
    }
    case PYI_METHOD_TRUNCATED_NARROW: {
        const truncated_narrow_f32 d = {bounds,
                                        splat_f32(c->mean_low),
                                        splat_f32(c->step),
                                        splat_f32(c->half_step),
                                        {splat_f32(c->series[0]), splat_f32(c->series[1]), splat_f32(c->series[2]),
                                         splat_f32(c->series[3]), splat_f32(c->series[4])}};
        return bits_f32(sample_truncated_narrow_f32(w, &d));
    }
    case PYI_METHOD_CONSTANT:
        return bits_f32(splat_f32(c->base));
    default:
        return w;
    }
}
PYI_INLINE u64v sample_f64(u64v w, const pyi_job *job, const pyi_method method)
{
    const pyi_constants_f64 *c = &job->f64;
    const truncated_f64 bounds = {splat_f64(c->mean), splat_f64(c->std),    splat_f64(c->low),
                                  splat_f64(c->high), splat_u64(job->flip), splat_u64(job->unflip)};
    switch (method) {
    case PYI_METHOD_UNIFORM: {
        const uniform_f64 d = {splat_f64(c->base), splat_f64(c->scale), splat_f64(c->high)};
        return bits_f64(sample_uniform_f64(w, &d));
    }
    case PYI_METHOD_ICDF: {
        const normal_f64 d = {splat_f64(c->mean), splat_f64(c->std)};
        return bits_f64(normal_icdf_f64(w, &d));
    }
    case PYI_METHOD_TRUNCATED_CENTRE: {
        const truncated_centre_f64 d = {bounds,
                                        splat_u64(job->median),
                                        splat_u64(job->above),
                                        splat_f64(c->step),
                                        splat_f64(c->end_below),
                                        splat_f64(c->end_above),
                                        splat_f64(c->median_below),
                                        splat_f64(c->median_above)};
        return bits_f64(sample_truncated_centre_f64(w, &d));
    }
    case PYI_METHOD_TRUNCATED_NARROW: {
        const truncated_narrow_f64 d = {bounds,
                                        splat_f64(c->mean_low),
                                        splat_f64(c->step),
                                        splat_f64(c->half_step),
                                        {splat_f64(c->series[0]), splat_f64(c->series[1]), splat_f64(c->series[2]),
                                         splat_f64(c->series[3]), splat_f64(c->series[4])}};
        return bits_f64(sample_truncated_narrow_f64(w, &d));
    }
    case PYI_METHOD_CONSTANT:
        return bits_f64(splat_f64(c->base));
    default:
        return w;
    }
}

/* The float samples of the next PYI_BLOCKS blocks, with the two of each pair in separate vectors. */
PYI_INLINE void sample_pairs_f32(generator_state *g, const pyi_job *job, u32v even[PYI_PAIR_VECTORS],
                                 u32v odd[PYI_PAIR_VECTORS], const pyi_generator generator, const pyi_method method,
                                 const pyi_dtype dtype)
{
    const normal_f32 d = {splat_f32(job->f32.mean), splat_f32(job->f32.std)};
    next_pairs(g, even, odd, generator);
    for (int i = 0; i < PYI_PAIR_VECTORS; i++) {
        if (method == PYI_METHOD_BOX_MULLER) {
            f32v first, second;
            box_muller_f32(even[i], odd[i], &d, &first, &second);
            even[i] = bits_f32(first);
            odd[i] = bits_f32(second);
        } else {
            even[i] = sample_f32(even[i], job, method, dtype);
            odd[i] = sample_f32(odd[i], job, method, dtype);
        }
    }
}
/* The same, in order. */
PYI_INLINE void sample_words_f32(generator_state *g, const pyi_job *job, u32v x[2 * PYI_PAIR_VECTORS],
                                 const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    if (method == PYI_METHOD_BOX_MULLER) {
        u32v even[PYI_PAIR_VECTORS], odd[PYI_PAIR_VECTORS];
        sample_pairs_f32(g, job, even, odd, generator, method, dtype);
        zip_u32(even, odd, x);
    } else {
        next_words(g, x, generator);
        for (int i = 0; i < 2 * PYI_PAIR_VECTORS; i++)
            x[i] = sample_f32(x[i], job, method, dtype);
    }
}
PYI_INLINE void sample_words_f64(generator_state *g, const pyi_job *job, u64v x[2], const pyi_generator generator,
                                 const pyi_method method)
{
    if (method == PYI_METHOD_BOX_MULLER) {
        const normal_f64 d = {splat_f64(job->f64.mean), splat_f64(job->f64.std)};
        u64v even, odd;
        f64v first, second;
        next_pairs64(g, &even, &odd, generator);
        box_muller_f64(even, odd, &d, &first, &second);
        zip_u64(bits_f64(first), bits_f64(second), x);
    } else {
        next_words64(g, x, generator);
        for (int i = 0; i < 2; i++)
            x[i] = sample_f64(x[i], job, method);
    }
}
