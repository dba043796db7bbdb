/* Cases of many arrays in one call, compared with each alone, and with one of them wrong. */
#include "fuzz_cases.h"

#define MOST 9

/* Items in memory of exactly their extent, and the values of each when filled alone. */
typedef struct {
    size_t n;
    pyi_item items[MOST];
    random_window windows[MOST];
    pyi_window as_windows[MOST];
    char *memory[MOST], *alone[MOST];
    size_t extent[MOST];
} item_list;

static void new_items(item_list *l)
{
    l->n = below(MOST + 1);
    for (size_t i = 0; i < l->n; i++) {
        pyi_item *item = &l->items[i];
        const size_t start = below(8);
        random_window *w = &l->windows[i];
        item->distribution = random_distribution();
        item->dtype = item->distribution.sampler == PYI_BITS ? PYI_U32 : (pyi_dtype)(1 + below(PYI_DTYPES - 1));
        pyi_stream_new(&item->stream, random64() % PYI_GENERATORS, random64(), random64());
        pyi_skip_ahead(&item->stream, random64() >> 2, below(4));
        item->count = below(3) ? below(300) : below(300000);
        item->window = NULL;
        l->extent[i] = start + item->count * pyi_sample_bytes(item->dtype);
        if (below(2)) {
            *w = new_window(pyi_sample_bytes(item->dtype));
            l->as_windows[i] = (pyi_window){w->ndim, w->shape, w->strides, w->global, w->offset};
            item->window = &l->as_windows[i];
            l->extent[i] = start + w->extent;
        }
        l->memory[i] = malloc(l->extent[i] + 1);
        l->alone[i] = malloc(l->extent[i] + 1);
        memset(l->memory[i], 0x55, l->extent[i] + 1);
        memset(l->alone[i], 0x55, l->extent[i] + 1);
        const size_t first = start + (item->window ? w->start : 0);
        pyi_stream stream = item->stream;
        item->out = l->alone[i] + first;
        if (item->window)
            pyi_fill_window(&stream, &item->distribution, item->dtype, item->out, item->window, NULL);
        else
            pyi_fill(&stream, &item->distribution, item->dtype, item->out, item->count, NULL);
        item->out = l->memory[i] + first;
    }
}

static size_t elements(const item_list *l, size_t i)
{
    return l->items[i].window ? l->windows[i].elements : l->items[i].count;
}

/* Makes one item wrong; returns the status that is due, and the number of the item in `at`, twice, or those of two. */
static pyi_status spoil(item_list *l, size_t at[2])
{
    const size_t i = below(l->n), k = below(l->n);
    pyi_item *item = &l->items[i];
    at[0] = at[1] = i;
    switch (below(8)) {
    case 0:
        item->out = NULL;
        return elements(l, i) ? PYI_BAD_VALUE : PYI_OK;
    case 1:
        item->dtype = (pyi_dtype)(PYI_DTYPES + (int)below(2) * 1000);
        return PYI_BAD_VALUE;
    case 2:
        item->distribution.sampler = (pyi_sampler)PYI_SAMPLERS;
        return PYI_BAD_VALUE;
    case 3:
        item->stream.generator = (pyi_generator)-1;
        return PYI_BAD_VALUE;
    case 4:
        item->distribution = (pyi_distribution){PYI_NORMAL, {0, -1}};
        return PYI_BAD_VALUE;
    case 5: /* no words are left */
        item->stream.end = 1;
        item->stream.block = item->stream.word = 0;
        item->window = NULL;
        return item->count && item->distribution.sampler != PYI_CONSTANT ? PYI_EXHAUSTED : PYI_OK;
    case 6:
        if (!item->window || !item->window->ndim)
            return PYI_OK;
        l->windows[i].offset[0] = l->windows[i].global[0] + 1;
        return PYI_BAD_VALUE;
    default: /* the first element of another one */
        if (i == k || !elements(l, i) || !elements(l, k))
            return PYI_OK;
        item->out = l->items[k].out;
        at[1] = k;
        return PYI_OVERLAP;
    }
}

/* Whether `wrong` tells of an item `at[0]` that was moved to the place of `at[1]`, and may reach a third one too. */
static int is_overlap(const item_list *l, const item_list *before, const size_t at[2], const size_t wrong[2])
{
    const size_t i = at[0], k = wrong[0] == i ? wrong[1] : wrong[0];
    if (wrong[0] >= wrong[1] || (wrong[0] != i && wrong[1] != i))
        return 0;
    const uintptr_t first = (uintptr_t)before->items[i].out - (uintptr_t)before->memory[i];
    const uintptr_t begin = (uintptr_t)l->items[i].out - first, other = (uintptr_t)l->memory[k];
    return k == at[1] || (begin < other + l->extent[k] && other < begin + l->extent[i]);
}

static int items(int number)
{
    static item_list l;
    pyi_place places[MOST];
    for (int i = 0; i < number; i++) {
        const pyi_options options = {.threads = (unsigned)below(4)};
        size_t at[2], wrong[2] = {MOST, MOST};
        new_items(&l);
        if (l.n) {
            const item_list before = l;
            const pyi_status due = spoil(&l, at);
            int untouched = 1;
            if (due != PYI_OK) {
                const pyi_status status = pyi_fill_many(l.items, l.n, places, wrong, &options);
                for (size_t k = 0; k < l.n; k++)
                    for (size_t b = 0; b <= l.extent[k]; b++)
                        untouched &= l.memory[k][b] == 0x55;
                const int is_told =
                    due == PYI_OVERLAP ? is_overlap(&l, &before, at, wrong) : wrong[0] == at[0] && wrong[1] == at[1];
                if (status != due || !untouched || !is_told) {
                    printf("case %d: status %d for %d, untouched %d, items %zu and %zu for %zu and %zu\n", i, status,
                           due, untouched, wrong[0], wrong[1], at[0], at[1]);
                    return 1;
                }
            }
            l = before;
        }
        if (pyi_fill_many(l.items, l.n, places, NULL, &options) != PYI_OK)
            return 2;
        for (size_t k = 0; k < l.n; k++) {
            if (memcmp(l.memory[k], l.alone[k], l.extent[k] + 1)) {
                printf("case %d: item %zu of %zu, sampler %d, dtype %d\n", i, k, l.n, l.items[k].distribution.sampler,
                       l.items[k].dtype);
                return 3;
            }
            free(l.memory[k]);
            free(l.alone[k]);
        }
    }
    return 0;
}
