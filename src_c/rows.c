/* Rows of consecutive samples: whole steps are filled in place, the edges through a scratch buffer. */
#include <string.h>

#include "core.h"
#include "target.h"

#define EDGE_BLOCKS 256
/* The most blocks that a row's edges have: up to an alignment of 64 bytes, and the rest of a step. */
#define EDGE_MOST (16 + PYI_LARGEST_STEP + 2)

typedef struct {
    uint64_t blocks[EDGE_BLOCKS + PYI_LARGEST_STEP]; /* a kernel reads whole steps of them */
    PYI_ALIGN(64) char scratch[(EDGE_BLOCKS + PYI_LARGEST_STEP) * 16];
    struct {
        char *to;
        const char *from;
        size_t bytes;
    } pieces[EDGE_BLOCKS];
    size_t listed, count;
} edges;

/* Lists the blocks of the samples [first, first + count), which go to `to`. */
static void add_edge(edges *e, const pyi_job *job, uint64_t first, size_t count, char *to)
{
    const unsigned shift = pyi_block_shift(job->dtype);
    const size_t size = pyi_sample_bytes(job->dtype), per_block = (size_t)1 << shift;
    const uint64_t begin = first + job->skip, last = (begin + count - 1) >> shift;
    if (!count)
        return;
    e->pieces[e->count].to = to;
    e->pieces[e->count].from = e->scratch + ((e->listed << shift) + (size_t)(begin & (per_block - 1))) * size;
    e->pieces[e->count++].bytes = count * size;
    for (uint64_t block = begin >> shift; block <= last; block++)
        e->blocks[e->listed++] = job->block + block;
}

/* Whether each row is whole steps, at any address. */
static int without_edges(const pyi_task *task, const pyi_part *part)
{
    const uint64_t per_block = (uint64_t)1 << pyi_block_shift(task->job.dtype);
    const uint64_t firsts = (part->first + task->job.skip) | part->row_step;
    return !task->job.stream && firsts % per_block == 0 && part->count % (task->step * per_block) == 0;
}

void pyi_fill_rows(const pyi_task *task, const pyi_part *given, char *out)
{
    const pyi_job *job = &task->job;
    const size_t size = pyi_sample_bytes(job->dtype);
    pyi_part part = *given;
    edges e;

    if (without_edges(task, given)) {
        task->kernel(job, given, out);
        return;
    }
    for (size_t left = given->rows; left;) {
        char *row = out;
        uint64_t first = part.first;
        e.listed = e.count = part.rows = 0;
        for (; left && e.listed + 2 * EDGE_MOST <= EDGE_BLOCKS; left--, part.rows++) {
            const pyi_body body = pyi_body_of(job, first, part.count, row, task->step);
            const size_t head = body.lead < part.count ? body.lead : part.count;
            const size_t behind = head + (body.blocks << pyi_block_shift(job->dtype));
            add_edge(&e, job, first, head, row);
            add_edge(&e, job, first + behind, part.count - behind, row + behind * size);
            first += part.row_step;
            row += part.row_stride;
        }
        memset(e.blocks + e.listed, 0, PYI_LARGEST_STEP * sizeof *e.blocks); /* read but not used */
        part.blocks = e.blocks;
        part.listed = e.listed;
        part.scratch = e.scratch;
        part.more = left != 0;
        task->kernel(job, &part, out);
        for (size_t i = 0; i < e.count; i++)
            memcpy(e.pieces[i].to, e.pieces[i].from, e.pieces[i].bytes);
        part.first = first;
        out = row;
    }
}
