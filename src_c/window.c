/*
 * Fills of arrays that are blocks of larger tensors, or are not in C order in memory.
 *
 * Samples are numbered along the tensor's last dimension, so the array is a set of runs: rows of its last dimension,
 * along which sample and address both change by equal steps. The work is cut into tiles of some rows and some columns.
 * Long runs without gaps are filled in place. For the others, the blocks of words that a tile touches are listed; one
 * call of the kernel makes them in a scratch buffer, and their samples are copied to their places.
 */
#include <string.h>

#include "core.h"
#include "target.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns") /* otherwise copy_run becomes a call of memcpy */
#endif

#define TILE_BLOCKS 1024
#define TILE_COLUMNS 60 /* of runs with gaps: a transposed tile is then about square */
#define LONG_RUN 256    /* bytes; runs from this length on are filled in place */

static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }
static size_t magnitude(ptrdiff_t x) { return x < 0 ? 0 - (size_t)x : (size_t)x; }

/* Reads the window: its axes of more than one element, innermost last, and the number of elements of both shapes. */
static pyi_status read_window(const pyi_window *w, size_t size, pyi_axis axes[PYI_MAX_DIMS + 1], int *count,
                              uint64_t *elements, uint64_t *global, uint64_t *first)
{
    size_t stride = size; /* unsigned, since a tensor without elements may wrap it */
    int too_large = 0;
    *count = 0;
    *elements = *global = 1;
    *first = 0;
    if (w->ndim < 0 || w->ndim > PYI_MAX_DIMS)
        return PYI_BAD_VALUE;
    for (int i = w->ndim - 1; i >= 0; i--) {
        const uint64_t n = w->shape[i], g = w->global_shape ? w->global_shape[i] : n, o = w->offset ? w->offset[i] : 0;
        if (o > g || n > g - o)
            return PYI_BAD_VALUE;
        if (n > 1)
            axes[PYI_MAX_DIMS - (*count)++] =
                (pyi_axis){w->shape[i], w->strides ? w->strides[i] : (ptrdiff_t)stride, *global};
        *first += o * *global; /* wraps if global is 0 or too large, and is then not used */
        stride *= n;
        *elements *= n;
        too_large |= g && *global > (uint64_t)INT64_MAX / g;
        *global *= g;
    }
    for (int i = 0; i < w->ndim; i++)
        if (!(w->global_shape ? w->global_shape : w->shape)[i])
            return PYI_OK; /* both products are 0; a tensor without elements is never too large */
    if (too_large)
        return PYI_EXHAUSTED;
    memmove(axes, axes + PYI_MAX_DIMS + 1 - *count, (size_t)*count * sizeof *axes);
    return PYI_OK;
}

/* Joins axes that are contiguous both in memory and in the tensor; returns how many are left. */
static int join_axes(pyi_axis *axes, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        const pyi_axis a = axes[i];
        if (n && axes[n - 1].stride == (ptrdiff_t)a.length * a.stride && axes[n - 1].step == a.length * a.step)
            axes[n - 1] = (pyi_axis){axes[n - 1].length * a.length, a.stride, a.step};
        else
            axes[n++] = a;
    }
    return n;
}

/* Chooses rows, columns and tiles. */
static void make_plan(pyi_plan *p, pyi_axis *axes, int count, size_t size, size_t per_block)
{
    int row = -1;

    if (count && axes[count - 1].step == 1)
        p->column = axes[--count];
    else /* no consecutive samples: runs of one */
        p->column = (pyi_axis){1, (ptrdiff_t)size, 1};
    const int whole = p->column.stride == (ptrdiff_t)size;
    /* Rows go along the axis whose elements are nearest in memory, so that a tile writes contiguous memory. */
    for (int i = 0; i < count; i++)
        if (row < 0 || whole || magnitude(axes[i].stride) < magnitude(axes[row].stride))
            row = i;
    p->row = row < 0 ? (pyi_axis){1, 0, 0} : axes[row];
    for (int i = 0; i < count; i++)
        if (i != row)
            p->outer[p->outers++] = axes[i];

    p->tile_columns = p->column.length;
    p->in_place = whole && p->column.length * size >= LONG_RUN;
    if (p->in_place) {
        if (p->tile_columns > PYI_CHUNK_BYTES / size)
            p->tile_columns = PYI_CHUNK_BYTES / size;
        p->tile_rows = divide_up(PYI_CHUNK_BYTES / 8, p->tile_columns * size);
    } else {
        if (!whole && p->tile_columns > TILE_COLUMNS)
            p->tile_columns = TILE_COLUMNS;
        /* The tile's samples can begin anywhere in a block. */
        p->tile_rows = TILE_BLOCKS / ((p->tile_columns + per_block - 2) / per_block + 1);
    }
    if (p->tile_rows > p->row.length)
        p->tile_rows = p->row.length;
    p->row_tiles = divide_up(p->row.length, p->tile_rows);
    p->column_tiles = divide_up(p->column.length, p->tile_columns);
}

/*
 * Copies a column of a tile whose rows are contiguous, 16 bytes at a time. That is one store if compilers gather the
 * elements in a register, as they do for an array of the elements' type.
 */
#define PYI_COPY_COLUMN(type)                                                                            \
    static inline void copy_column_##type(const char *const *from, size_t offset, size_t rows, char *to) \
    {                                                                                                    \
        enum { LANES = 16 / sizeof(type) };                                                              \
        size_t i = 0;                                                                                    \
        for (; i + LANES <= rows; i += LANES) {                                                          \
            type lanes[LANES];                                                                           \
            for (size_t k = 0; k < LANES; k++)                                                           \
                memcpy(&lanes[k], from[i + k] + offset, sizeof(type));                                   \
            memcpy(to + i * sizeof(type), lanes, sizeof lanes);                                          \
        }                                                                                                \
        for (; i < rows; i++)                                                                            \
            memcpy(to + i * sizeof(type), from[i] + offset, sizeof(type));                               \
    }
PYI_COPY_COLUMN(uint8_t)
PYI_COPY_COLUMN(uint16_t)
PYI_COPY_COLUMN(uint32_t)
PYI_COPY_COLUMN(uint64_t)

/* Copies a run of less than LONG_RUN bytes, for which a call would cost more than the samples. */
PYI_INLINE void copy_run(char *to, const char *from, size_t bytes)
{
    if (bytes >= 16) {
        for (size_t i = 0; i < bytes - 16; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    } else if (bytes >= 8) {
        memcpy(to, from, 8);
        memcpy(to + bytes - 8, from + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(to, from, 4);
        memcpy(to + bytes - 4, from + bytes - 4, 4);
    } else
        for (size_t i = 0; i < bytes; i++)
            to[i] = from[i];
}

/* Copies `rows` x `columns` samples of `size` bytes, a constant, to their places; row i begins at from[i]. */
PYI_INLINE void copy_tile(const pyi_plan *p, const char *const *from, size_t rows, size_t columns, char *out,
                          const size_t size)
{
    const ptrdiff_t stride = p->row.stride; /* a copy, which no store can change */
    if (columns == 1)
        for (size_t i = 0; i < rows; i++)
            memcpy(out + (ptrdiff_t)i * stride, from[i], size);
    else if (p->column.stride == (ptrdiff_t)size)
        for (size_t i = 0; i < rows; i++)
            copy_run(out + (ptrdiff_t)i * stride, from[i], columns * size);
    else if (p->row.stride == (ptrdiff_t)size)
        for (size_t j = 0; j < columns; j++) {
            char *to = out + (ptrdiff_t)j * p->column.stride;
            if (size == 1)
                copy_column_uint8_t(from, j * size, rows, to);
            else if (size == 2)
                copy_column_uint16_t(from, j * size, rows, to);
            else if (size == 4)
                copy_column_uint32_t(from, j * size, rows, to);
            else
                copy_column_uint64_t(from, j * size, rows, to);
        }
    else if (magnitude(p->row.stride) < magnitude(p->column.stride))
        for (size_t j = 0; j < columns; j++)
            for (size_t i = 0; i < rows; i++)
                memcpy(out + (ptrdiff_t)i * p->row.stride + (ptrdiff_t)j * p->column.stride, from[i] + j * size, size);
    else
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++)
                memcpy(out + (ptrdiff_t)i * p->row.stride + (ptrdiff_t)j * p->column.stride, from[i] + j * size, size);
}

static void fill_tile(const pyi_task *task, uint64_t sample, size_t rows, size_t columns, char *out)
{
    const pyi_plan *p = &task->plan;
    const pyi_job *job = &task->job;
    const size_t size = pyi_sample_bytes(job->dtype);
    const unsigned shift = pyi_block_shift(job->dtype);
    uint64_t blocks[TILE_BLOCKS + PYI_LARGEST_STEP];
    PYI_ALIGN(64) char scratch[(TILE_BLOCKS + PYI_LARGEST_STEP) * 16];
    const char *from[TILE_BLOCKS];
    size_t count = 0;

    if (p->row.step & (((uint64_t)1 << shift) - 1))
        for (size_t i = 0; i < rows; i++, sample += p->row.step) {
            const uint64_t begin = sample + job->skip, block = begin >> shift;
            const uint64_t end = ((begin + columns - 1) >> shift) + 1;
            from[i] = scratch + ((count << shift) + (size_t)(begin - (block << shift))) * size;
            for (uint64_t b = block; b < end; b++)
                blocks[count++] = job->block + b;
        }
    else { /* all rows begin at the same sample of a block, so compilers make loops without branches */
        const uint64_t begin = sample + job->skip, block = begin >> shift, step = p->row.step >> shift;
        const size_t first = (size_t)(begin - (block << shift)), each = ((first + columns - 1) >> shift) + 1;
        const size_t pitch = (each << shift) * size;
        for (size_t i = 0; i < rows; i++)
            from[i] = scratch + first * size + i * pitch;
        if (each == 1)
            for (size_t i = 0; i < rows; i++)
                blocks[i] = job->block + block + i * step;
        else
            for (size_t i = 0; i < rows; i++)
                for (size_t k = 0; k < each; k++)
                    blocks[i * each + k] = job->block + block + i * step + k;
        count = rows * each;
    }
    memset(blocks + count, 0, PYI_LARGEST_STEP * sizeof *blocks); /* read but not used */
    task->kernel(job, &(pyi_part){.blocks = blocks, .listed = count, .scratch = scratch}, scratch);
    if (size == 1)
        copy_tile(p, from, rows, columns, out, 1);
    else if (size == 2)
        copy_tile(p, from, rows, columns, out, 2);
    else if (size == 4)
        copy_tile(p, from, rows, columns, out, 4);
    else
        copy_tile(p, from, rows, columns, out, 8);
}

void pyi_fill_tiles(const pyi_task *task, uint64_t first, uint64_t count)
{
    const pyi_plan *p = &task->plan;
    for (uint64_t tile = first; tile < first + count; tile++) {
        /* Rows fastest: the next tile writes where this one did, a little further on. */
        const size_t row = (size_t)(tile % p->row_tiles) * p->tile_rows;
        const size_t column = (size_t)(tile / p->row_tiles % p->column_tiles) * p->tile_columns;
        const size_t columns =
            p->column.length - column < p->tile_columns ? p->column.length - column : p->tile_columns;
        const size_t rows = p->row.length - row < p->tile_rows ? p->row.length - row : p->tile_rows;
        uint64_t index = tile / p->row_tiles / p->column_tiles;
        uint64_t sample = p->first + row * p->row.step + column;
        char *out = task->item->out;
        out += (ptrdiff_t)row * p->row.stride + (ptrdiff_t)column * p->column.stride;
        for (int i = p->outers - 1; i >= 0; i--) {
            const size_t at = (size_t)(index % p->outer[i].length);
            index /= p->outer[i].length;
            sample += at * p->outer[i].step;
            out += (ptrdiff_t)at * p->outer[i].stride;
        }
        if (p->in_place)
            pyi_fill_rows(task,
                          &(pyi_part){.first = sample,
                                      .count = columns,
                                      .rows = rows,
                                      .row_step = p->row.step,
                                      .row_stride = p->row.stride},
                          out);
        else
            fill_tile(task, sample, rows, columns, out);
    }
}

pyi_status pyi_count_elements(const pyi_window *window, uint64_t *elements, uint64_t *global)
{
    pyi_axis axes[PYI_MAX_DIMS + 1];
    uint64_t first;
    int count;
    return read_window(window, 1, axes, &count, elements, global, &first);
}

void pyi_plan_window(pyi_task *task, const pyi_window *window)
{
    pyi_axis axes[PYI_MAX_DIMS + 1];
    const size_t size = pyi_sample_bytes(task->job.dtype);
    pyi_plan *p = &task->plan;
    uint64_t elements, global;
    int count;

    read_window(window, size, axes, &count, &elements, &global, &p->first);
    task->units = 0;
    task->unit_bytes = 0;
    p->outers = 0;
    if (!elements)
        return;
    make_plan(p, axes, join_axes(axes, count), size, (size_t)1 << pyi_block_shift(task->job.dtype));
    task->unit_bytes = p->tile_columns * p->tile_rows * size;
    task->units = (uint64_t)p->row_tiles * p->column_tiles;
    for (int i = 0; i < p->outers; i++)
        task->units *= p->outer[i].length;
}
