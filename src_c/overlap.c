/*
 * Whether two of many arrays share memory. They are sorted by their first byte, since only arrays whose byte ranges
 * meet can share any. Two of these do if their distance is a sum of strides, each taken at most as often as its axis
 * allows.
 */
#include "core.h"

/* Two windows, each with an axis for the parts of an element if need be, and one term of bytes. */
#define MAX_TERMS (2 * (PYI_MAX_DIMS + 1) + 1)

/* stride * d, for low <= d <= high. */
typedef struct {
    int64_t stride, low, high;
} term;

/* The byte range of an item, end exclusive; returns 0 if it is empty. */
static int extent(const pyi_item *item, uint64_t *begin, uint64_t *end)
{
    const pyi_window *w = item->window;
    const size_t size = pyi_sample_bytes(item->dtype);
    *begin = (uintptr_t)item->out;
    *end = *begin + size;
    if (!w || !w->strides) {
        size_t n = item->count;
        if (w)
            n = 1;
        for (int i = 0; w && i < w->ndim; i++)
            n *= w->shape[i];
        *end = *begin + n * size;
        return n != 0;
    }
    for (int i = 0; i < w->ndim; i++) {
        if (!w->shape[i])
            return 0;
        const int64_t reach = (int64_t)(w->shape[i] - 1) * w->strides[i];
        *(reach < 0 ? begin : end) += (uint64_t)reach;
    }
    return 1;
}

/* Adds a term in the order of the strides, largest first; terms with equal strides are merged. */
static int add_term(term *terms, int n, term t)
{
    int at = n;
    if (t.stride < 0)
        t = (term){-t.stride, -t.high, -t.low};
    if (!t.stride)
        return n;
    while (at > 0 && terms[at - 1].stride < t.stride)
        at--;
    if (at > 0 && terms[at - 1].stride == t.stride) {
        terms[at - 1].low += t.low;
        terms[at - 1].high += t.high;
        return n;
    }
    for (int i = n; i > at; i--)
        terms[i] = terms[i - 1];
    terms[at] = t;
    return n + 1;
}

/* Adds the places of an item's elements, with plus (`sign` 1) or minus. */
static int add_item(term *terms, int n, const pyi_item *item, int sign)
{
    const pyi_window *w = item->window;
    ptrdiff_t stride = (ptrdiff_t)pyi_sample_bytes(item->dtype);
    for (int i = w ? w->ndim : 1; i-- > 0;) {
        const int64_t last = (int64_t)(w ? w->shape[i] : item->count) - 1;
        const ptrdiff_t step = w && w->strides ? w->strides[i] : stride;
        if (last > 0)
            n = add_term(terms, n, (term){step, sign > 0 ? 0 : -last, sign > 0 ? last : 0});
        stride *= last + 1;
    }
    return n;
}

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether `target` is a sum of the terms, whose sums range from `low` to `high`. The last term is of bytes. Each of
 * `divisors` is the common divisor of the other strides from a term on; the bytes have to lead to a multiple of it. */
static int is_sum(const term *terms, const int64_t *divisors, int n, int64_t target, int64_t low, int64_t high)
{
    if (target < low || target > high)
        return 0;
    if (!n)
        return 1; /* 0 is all that is left */
    if (n > 1) {
        const term *bytes = terms + n - 1;
        const int64_t multiple = floor_divide(target - bytes->low, *divisors);
        if (multiple * *divisors < target - bytes->high)
            return 0;
    }
    const int64_t stride = terms->stride;
    low -= stride * terms->low; /* without this term */
    high -= stride * terms->high;
    int64_t d = -floor_divide(high - target, stride), last = floor_divide(target - low, stride);
    if (d < terms->low)
        d = terms->low;
    if (last > terms->high)
        last = terms->high;
    for (; d <= last; d++)
        if (is_sum(terms + 1, divisors + 1, n - 1, target - d * stride, low, high))
            return 1;
    return 0;
}

static int share_memory(const pyi_item *a, const pyi_item *b)
{
    const int64_t last_a = pyi_sample_bytes(a->dtype) - 1, last_b = pyi_sample_bytes(b->dtype) - 1;
    int64_t low = 0, high = 0, divisors[MAX_TERMS];
    term terms[MAX_TERMS];
    int n = add_term(terms, 0, (term){1, -last_b, last_a}); /* a byte of one element and a byte of the other */
    n = add_item(terms, n, a, 1);
    n = add_item(terms, n, b, -1);
    for (int i = 0; i < n; i++) {
        low += terms[i].stride * terms[i].low;
        high += terms[i].stride * terms[i].high;
    }
    divisors[n - 1] = 0;
    for (int i = n - 1; i-- > 0;)
        divisors[i] = divisor(terms[i].stride, divisors[i + 1]);
    const uint64_t distance = (uint64_t)(uintptr_t)b->out - (uint64_t)(uintptr_t)a->out;
    return is_sum(terms, divisors, n, (int64_t)distance, low, high);
}

/* Moves a place down the heap to its position. */
static void sift(pyi_place *heap, size_t n, size_t at)
{
    const pyi_place moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && heap[child + 1].begin > heap[child].begin;
        if (heap[child].begin <= moved.begin)
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void sort(pyi_place *places, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(places, n, i);
    for (size_t last = n; last-- > 1;) {
        const pyi_place largest = places[0];
        places[0] = places[last];
        places[last] = largest;
        sift(places, last, 0);
    }
}

int pyi_find_overlap(const pyi_item *items, size_t n, pyi_place *places, size_t pair[2])
{
    size_t count = 0;
    int sorted = 1;
    for (size_t i = 0; i < n; i++) {
        pyi_place p = {.item = i};
        if (!extent(&items[i], &p.begin, &p.reach))
            continue;
        sorted &= !count || places[count - 1].begin <= p.begin;
        places[count++] = p;
    }
    if (!sorted)
        sort(places, count);
    for (size_t i = 1; i < count; i++) {
        const uint64_t begin = places[i].begin;
        /* `reach` becomes the largest so far: if it does not reach this place, no earlier one does. */
        for (size_t k = i; k-- > 0 && places[k].reach > begin;)
            if (share_memory(&items[places[k].item], &items[places[i].item])) {
                pair[0] = places[k].item < places[i].item ? places[k].item : places[i].item;
                pair[1] = places[k].item < places[i].item ? places[i].item : places[k].item;
                return 1;
            }
        if (places[i].reach < places[i - 1].reach)
            places[i].reach = places[i - 1].reach;
    }
    return 0;
}
