/*
 * Fills of items: each is an array, a distribution, and the start of its samples. Items follow one another in a range
 * of bytes that threads take in chunks, so a chunk is a part of a large item or holds many small ones. The thread that
 * comes to an item prepares it, and reuses the job if the next item has the same distribution and type.
 */
#include <string.h>

#include "core.h"
#include "target.h"

#include "simd_scalar.h"

#include "philox.h"

/* A unit of consecutive samples: whole blocks in every type, and small enough for a chunk to end where a page does. A
 * thread that wrote a little beyond would wait there for the thread that first touches the next page. */
#define UNIT_BYTES 16

/* In large fills a thread takes whole huge pages. */
#define HUGE_PAGE_BYTES ((size_t)1 << 21)
#define LARGE_BYTES ((uint64_t)1 << 26)

/* Stores past the caches read no line first, which halves the traffic of fills larger than a core's own cache. They do
 * not pay in memory that the system has just cleared, which is still in the cache, in small arrays, or in short rows
 * that are not whole cache lines: the edges, stored as usual, would cost more. */
#define STREAMED_FILL_BYTES ((uint64_t)1 << 23)
#define STREAMED_BYTES 4096
#define STREAMED_ROW_BYTES 8192

typedef struct {
    const pyi_item *items;
    size_t n;
    const pyi_place *places; /* `begin` is where an item begins in the range; null: there is one item, at 0 */
    int streams, new;
    pyi_new_memory *seen;
} list;

static uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

static size_t item_bytes(const pyi_item *item)
{
    size_t n = pyi_sample_bytes(item->dtype);
    if (!item->window)
        return n * item->count;
    for (int i = 0; i < item->window->ndim; i++)
        n *= item->window->shape[i];
    return n;
}

/* Whether an item's samples are consecutive in the tensor and in memory; `first` is the number of the first one. A
 * window is such a run if its last axes are whole, one axis before them is a part, and the axes before that have one
 * element. */
static int is_run(const pyi_item *item, uint64_t *first)
{
    const pyi_window *w = item->window;
    ptrdiff_t stride = (ptrdiff_t)pyi_sample_bytes(item->dtype);
    uint64_t step = 1;
    int is_part = 0;
    *first = 0;
    for (int i = w ? w->ndim : 0; i-- > 0;) {
        const size_t length = w->shape[i], whole = w->global_shape ? w->global_shape[i] : length;
        if (length != 1 && (is_part || (w->strides && w->strides[i] != stride)))
            return 0;
        *first += (w->offset ? w->offset[i] : 0) * step;
        is_part |= length != whole;
        stride *= (ptrdiff_t)length;
        step *= whole;
    }
    return 1;
}

void pyi_job_begin(pyi_job *job, const pyi_stream *claimed)
{
    job->generator = claimed->generator;
    job->seed = claimed->seed;
    job->id = claimed->id;
    job->block = claimed->block;
    job->skip = claimed->word / pyi_sample_words(job->dtype);
    philox_round_keys(job->seed, job->round_keys);
}

static void set_units(pyi_task *task, const pyi_item *item)
{
    task->is_run = is_run(item, &task->first);
    if (!task->is_run) {
        pyi_plan_window(task, item->window);
        return;
    }
    task->count = item_bytes(item) / pyi_sample_bytes(item->dtype);
    task->units = divide_up(item_bytes(item), UNIT_BYTES);
    task->unit_bytes = UNIT_BYTES;
}

/* Whether rows that are filled in place are worth stores past the cache. */
static int streams_rows(const pyi_task *task, const pyi_item *item)
{
    const pyi_plan *p = &task->plan;
    const size_t size = pyi_sample_bytes(item->dtype), bytes = p->tile_columns * size;
    const uint64_t begins = (uintptr_t)item->out | (uint64_t)p->row.stride | (p->first | p->row.step) * size;
    return p->in_place && (bytes >= STREAMED_ROW_BYTES || (begins | bytes) % PYI_STREAM_ALIGNMENT == 0);
}

/* Gives a task an item; its job is described. */
static void begin(pyi_task *task, const pyi_item *item, int streams)
{
    pyi_stream stream = item->stream, claimed = stream;
    if (stream.word) /* a whole group begins with each block */
        pyi_claim(&stream, &claimed, item->distribution.sampler, item->dtype, 1);
    pyi_job_begin(&task->job, &claimed);
    set_units(task, item);
    task->job.stream = streams && item_bytes(item) >= STREAMED_BYTES && (task->is_run || streams_rows(task, item));
    task->kernel = pyi_dispatch(&task->job, &task->step);
    task->item = item;
}

static int is_described_as(const pyi_item *a, const pyi_item *b)
{
    return a->dtype == b->dtype && a->distribution.sampler == b->distribution.sampler &&
           !memcmp(a->distribution.parameters, b->distribution.parameters, sizeof a->distribution.parameters);
}

static void prepare(pyi_task *task, const pyi_item *item, int streams)
{
    if (task->item == item)
        return;
    if (!task->item || !is_described_as(task->item, item))
        pyi_describe(&item->distribution, item->dtype, &task->job);
    begin(task, item, streams);
}

static void fill_units(const pyi_task *task, uint64_t first, uint64_t count)
{
    const pyi_item *item = task->item;
    if (!task->is_run)
        pyi_fill_tiles(task, first, count);
    else {
        const size_t size = pyi_sample_bytes(item->dtype), per_unit = UNIT_BYTES / size;
        const size_t sample = (size_t)first * per_unit, left = task->count - sample;
        const pyi_part part = {.first = task->first + sample,
                               .count = count * per_unit < left ? (size_t)count * per_unit : left,
                               .rows = 1};
        pyi_fill_rows(task, &part, (char *)item->out + sample * size);
    }
}

/* The last item that begins at `place` in the range or before it. */
static size_t item_at(const list *l, uint64_t place)
{
    size_t low = 0, high = l->n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (l->places[middle].begin <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Fills the units that begin in a chunk of the range. */
static void run_chunk(const pyi_work *work, uint64_t first, uint64_t count, pyi_task *own)
{
    const list *l = work->plan;
    const uint64_t end = first + count;
    for (size_t i = item_at(l, first); i < l->n; i++) {
        const uint64_t start = l->places ? l->places[i].begin : 0;
        if (start >= end)
            return;
        if (!item_bytes(&l->items[i]))
            continue;
        prepare(own, &l->items[i], l->streams);
        const uint64_t bytes = own->unit_bytes, room = end - start;
        const uint64_t from = first > start ? divide_up(first - start, bytes) : 0;
        const uint64_t last = room >= own->units * bytes ? own->units : divide_up(room, bytes);
        if (from >= last)
            continue;
        if (l->new && own->is_run && item_bytes(own->item) >= PYI_LARGE_MEMORY)
            pyi_touch_new_memory((char *)own->item->out + (size_t)(from * bytes), (size_t)((last - from) * bytes),
                                 item_bytes(own->item) - (size_t)(from * bytes), l->seen);
        fill_units(own, from, last - from);
    }
}

/* Whether an item's memory is new; if so, asks for huge pages. */
static int is_new(const pyi_item *item)
{
    const size_t bytes = item_bytes(item);
    uint64_t first;
    return bytes >= PYI_LARGE_MEMORY && is_run(item, &first) && pyi_take_new_memory(item->out, bytes);
}

static pyi_status run(list *l, uint64_t bytes, uint64_t phase, int new, pyi_task *own, const pyi_options *options)
{
    pyi_new_memory seen = {0};
    const int large = bytes > LARGE_BYTES;
    const size_t chunk = large ? HUGE_PAGE_BYTES : PYI_CHUNK_BYTES;
    const pyi_work work = {
        .run = run_chunk, .bytes = bytes, .chunk = chunk, .phase = large ? (size_t)(phase % chunk) : 0, .plan = l};
    l->streams = bytes > STREAMED_FILL_BYTES && !new;
    l->seen = &seen;
    return pyi_run(&work, own, options);
}

pyi_status pyi_fill_described(pyi_task *task, const pyi_item *item, const pyi_options *options)
{
    list l = {.items = item, .n = 1};
    const size_t bytes = item_bytes(item);
    const int new = l.new = is_new(item);
    if (!bytes)
        return PYI_OK;
    begin(task, item, !new && bytes > STREAMED_FILL_BYTES);
    return run(&l, task->units * task->unit_bytes, (uintptr_t)item->out, new, task, options);
}

/* Checks whether an item can be filled, and describes it in the task's job. */
static pyi_status check(const pyi_item *item, const pyi_item *before, pyi_task *task)
{
    uint64_t elements = item->count, global = item->count;
    pyi_stream stream = item->stream, claimed;
    pyi_status status = PYI_OK;
    if (!before || !is_described_as(before, item))
        status = pyi_describe(&item->distribution, item->dtype, &task->job);
    if (status == PYI_OK && item->window)
        status = pyi_count_elements(item->window, &elements, &global);
    if (status == PYI_OK && elements && !item->out)
        status = PYI_BAD_VALUE;
    if (status == PYI_OK)
        status = pyi_claim(&stream, &claimed, item->distribution.sampler, item->dtype, global);
    return status;
}

pyi_status pyi_fill_checked(const pyi_item *items, size_t n, pyi_place *places, const pyi_options *options)
{
    list l = {.items = items, .n = n, .places = places};
    uint64_t bytes = 0, new = 0;
    pyi_task task;

    for (size_t i = 0; i < n; i++) {
        task.job.dtype = items[i].dtype;
        set_units(&task, &items[i]);
        places[i].begin = bytes;
        bytes += task.units * task.unit_bytes;
        new += is_new(&items[i]) ? item_bytes(&items[i]) : 0;
    }
    l.new = new != 0;
    task.item = NULL;
    return bytes ? run(&l, bytes, 0, new > bytes / 2, &task, options) : PYI_OK;
}

pyi_status pyi_fill_many(const pyi_item *items, size_t n, pyi_place *places, size_t wrong[2],
                         const pyi_options *options)
{
    size_t at[2] = {0, 0};
    pyi_task task;
    pyi_status status = n && (!items || !places) ? PYI_BAD_VALUE : PYI_OK;

    for (size_t i = 0; i < n && status == PYI_OK; i++) {
        status = check(&items[i], i ? &items[i - 1] : NULL, &task);
        at[0] = at[1] = i;
    }
    if (status == PYI_OK && pyi_find_overlap(items, n, places, at))
        status = PYI_OVERLAP;
    if (status == PYI_OK)
        return pyi_fill_checked(items, n, places, options);
    if (wrong)
        memcpy(wrong, at, sizeof at);
    return status;
}
