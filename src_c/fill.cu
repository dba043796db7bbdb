/*
 * The fills on a GPU: the same headers, with one lane per thread. A thread makes a block of words at a time and writes
 * its samples, in one store if they are contiguous and aligned. The threads of a warp take consecutive blocks.
 *
 * pyinit/kernels/ joins this file and its headers into one text and adds a kernel: PYI_CUDA_RUN or PYI_CUDA_ITEMS for
 * CuPy to compile, PYI_OPENCL_RUN or PYI_OPENCL_ITEMS for OpenCL. The constants of a job come from the host. Nothing
 * here depends on the device or on the number of threads.
 */
#if defined(__CUDACC_RTC__) /* NVRTC has no system headers */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned long long uintptr_t;
#endif

#if defined(__CUDACC__)
#define PYI_SHARED static __shared__
#define PYI_SHARING threadIdx.x, PYI_BLOCK_THREADS
#define PYI_BARRIER __syncthreads()
#define PYI_UNROLL _Pragma("unroll")
#define PYI_NO_UNROLL _Pragma("unroll 1")
#else
#define PYI_UNROLL
#define PYI_NO_UNROLL
#endif
#ifndef PYI_BARRIER
#define PYI_BARRIER (void)0
#endif

#include "opencl.h"

#include "job.h"
#include "target.h"

#include "simd_scalar.h"

#include "samples.h"

/* The number of threads in a CUDA block. pyinit/kernels/ chooses it; a constant, because offsets are computed from
 * it. */
#ifndef PYI_CUDA_THREADS
#define PYI_CUDA_THREADS 256
#endif
#ifndef PYI_BLOCK_THREADS
#define PYI_BLOCK_THREADS PYI_CUDA_THREADS
#endif
/* The blocks of words that a thread takes in a turn of its loop, to share constants and the loop's own cost. Its stores
 * are as many threads apart as a CUDA block has. */
#define PYI_CUDA_BLOCKS 4

#include "gpu_block.h"

/* The number of this CUDA block among the `blocks` that share the work. */
typedef struct {
    uint32_t block, blocks;
} pyi_team;
PYI_INLINE uint64_t this_thread(pyi_team team) { return (uint64_t)team.block * PYI_BLOCK_THREADS + threadIdx.x; }
PYI_INLINE uint64_t all_threads(pyi_team team) { return (uint64_t)team.blocks * PYI_BLOCK_THREADS; }

/* Writes all samples of the block with number `high | low`, and of the next ones that fill 16 bytes, to `p`, a multiple
 * of 16. */
PYI_INLINE void fill_store(generator_state *g, const pyi_job *job, uint64_t high, uint32_t low, PYI_GLOBAL char *p,
                           const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    pyi_samples s;

    PYI_UNROLL
    for (uint32_t i = 0; i < 16 / block_bytes(dtype); i++)
        make_samples(g, job, high | (uint32_t)(low + i), s.word + block_bytes(dtype) / 4 * i, generator, method, dtype);
    *(PYI_GLOBAL uint4 *)p = make_uint4(s.word[0], s.word[1], s.word[2], s.word[3]);
}

/*
 * Writes all samples of the blocks from `block` on, whose numbers differ in the low word only, to `out`, a multiple of
 * 16. There are `tiles` of them; a tile is what a CUDA block writes in a turn of the loop.
 */
PYI_INLINE void fill_tiles(generator_state *g, const pyi_job *job, uint64_t block, PYI_GLOBAL char *out, uint32_t tiles,
                           pyi_team team, const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    const uint32_t blocks = 16 / block_bytes(dtype), stores = PYI_CUDA_BLOCKS / blocks;
    const uint32_t apart = PYI_BLOCK_THREADS, tile_stores = stores * apart, step = team.blocks * tile_stores;
    const uint32_t first = team.block * tile_stores + threadIdx.x;
    const uint64_t high = block >> 32 << 32;
    uint32_t low = (uint32_t)block + first * blocks;
    PYI_GLOBAL char *p = out + (uint64_t)first * 16;

    for (uint32_t tile = team.block; tile < tiles;
         tile += team.blocks, low += step * blocks, p += (uint64_t)step * 16) {
        if (generator != PYI_PHILOX4X32_10 || dtype == PYI_F64) { /* these are long */
            PYI_NO_UNROLL
            for (uint32_t k = 0; k < stores; k++)
                fill_store(g, job, high, low + k * apart * blocks, p + k * apart * 16, generator, method, dtype);
        } else {
            PYI_UNROLL
            for (uint32_t k = 0; k < stores; k++)
                fill_store(g, job, high, low + k * apart * blocks, p + k * apart * 16, generator, method, dtype);
        }
    }
}

/* Fills `count` consecutive samples; the first is number `first` of the job. */
PYI_INLINE void fill_run(const pyi_job *job, PYI_GLOBAL char *out, uint64_t first, uint64_t count, pyi_team team,
                         const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    const uint64_t per_block = samples_per_block(dtype), sample = first + job->skip, lead = sample % per_block;
    const uint64_t block = job->block + sample / per_block, blocks = (lead + count + per_block - 1) / per_block;
    const ptrdiff_t size = (ptrdiff_t)pyi_sample_bytes(dtype);
    const uint64_t tile = (uint64_t)PYI_CUDA_BLOCKS * PYI_BLOCK_THREADS;
    const uint64_t end_whole = is_aligned(out, lead, size, dtype) ? (lead + count) / per_block : 0;
    PYI_GLOBAL char *const origin = out - lead * size; /* where sample 0 of block 0 would be */
    generator_state g;

    start(&g, job, generator);
    /* One part, or more if block numbers pass a multiple of 2^32. */
    for (uint64_t at = 0, end; at < blocks; at = end) {
        const uint64_t room = ((uint64_t)1 << 32) - (uint32_t)(block + at);
        uint64_t begin = at == 0 && lead ? 1 : at, tiles = 0;
        end = blocks - at < room ? blocks : at + room;
        begin += (uint32_t)(-(uintptr_t)(origin + begin * block_bytes(dtype)) % 16) / block_bytes(dtype);
        if (begin < end && begin < end_whole)
            tiles = ((end < end_whole ? end : end_whole) - begin) / tile;
        fill_tiles(&g, job, block + begin, origin + begin * block_bytes(dtype), (uint32_t)tiles, team, generator,
                   method, dtype);
        for (uint64_t i = at + this_thread(team); i < end - tiles * tile; i += all_threads(team)) {
            const uint64_t n = i < begin ? i : i + tiles * tile;
            fill_block(&g, job, block + n, out, n * per_block - lead, count, size, (n || !lead) && n < end_whole,
                       generator, method, dtype);
        }
    }
}

/*
 * An array that is a block of a larger tensor: runs of `count` consecutive samples, `stride` bytes apart, and the axes
 * of the runs. The blocks of a run, the most that a run of this length can touch, are an axis too, number `block_axis`.
 * The axes' indices make up the number of a unit of work; the first axis varies fastest.
 */
typedef struct {
    uint64_t length, step; /* samples from one index to the next */
    int64_t stride;        /* bytes */
} pyi_cuda_axis;

typedef struct {
    uint64_t first, count;
    int64_t stride;
    uint32_t axes, block_axis;
    pyi_cuda_axis axis[PYI_MAX_DIMS + 1];
} pyi_cuda_window;

/* n / by, and the remainder in `rest`. If both fit 32 bits, a 32-bit division is far cheaper. */
PYI_INLINE uint64_t divide(uint64_t n, uint64_t by, uint64_t *rest)
{
    if ((n | by) >> 32 == 0) {
        *rest = (uint32_t)n % (uint32_t)by;
        return (uint32_t)n / (uint32_t)by;
    }
    *rest = n % by;
    return n / by;
}

/* Fills the units [unit, end) of a window. */
PYI_INLINE void fill_window(const pyi_job *job, PYI_GLOBAL char *out, const PYI_GLOBAL pyi_cuda_window *w,
                            uint64_t unit, uint64_t end, const pyi_generator generator, const pyi_method method,
                            const pyi_dtype dtype)
{
    const uint64_t per_block = samples_per_block(dtype);
    generator_state g;

    start(&g, job, generator);
    for (unit += threadIdx.x; unit < end; unit += PYI_BLOCK_THREADS) {
        uint64_t left = unit, sample = w->first + job->skip, block = 0;
        PYI_GLOBAL char *run = out;
        for (uint32_t k = 0; k < w->axes; k++) {
            uint64_t index;
            left = divide(left, w->axis[k].length, &index);
            if (k == w->block_axis)
                block = index;
            sample += index * w->axis[k].step;
            run += (ptrdiff_t)index * w->axis[k].stride;
        }
        const uint64_t lead = sample % per_block, begin = block * per_block - lead;
        const int whole =
            is_aligned(run, lead, (ptrdiff_t)w->stride, dtype) && begin < w->count && w->count - begin >= per_block;
        if (begin < w->count || block == 0)
            fill_block(&g, job, job->block + sample / per_block + block, run, begin, w->count, (ptrdiff_t)w->stride,
                       whole, generator, method, dtype);
    }
}

/* What one launch fills: items, the jobs that hold their constants, and their windows. Addresses are relative to a
 * kernel's parameter, 0 on CUDA, so that the compiler knows that they are in device memory. */
typedef struct {
    const PYI_GLOBAL pyi_device_item *items;
    const PYI_GLOBAL pyi_job *jobs;
    const PYI_GLOBAL pyi_cuda_window *windows;
    uint32_t count;
    uint64_t tiles; /* of all items */
} pyi_cuda_table;
#define PYI_CUDA_TABLE(table, jobs, windows, count, tiles)                                        \
    {(const PYI_GLOBAL pyi_device_item *)(table), (const PYI_GLOBAL pyi_job *)((table) + (jobs)), \
     (const PYI_GLOBAL pyi_cuda_window *)((table) + (windows)), count, tiles}

/* The item of a tile. */
PYI_INLINE uint32_t item_of(const pyi_cuda_table *t, uint64_t tile)
{
    uint32_t low = 0, high = t->count;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (t->items[middle].tile <= tile)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* An item's own job; keys, seed and the rest that all items share come from `given`. */
PYI_INLINE pyi_job job_of(const pyi_job *given, const PYI_GLOBAL pyi_device_item *item,
                          const PYI_GLOBAL pyi_job *constants, const pyi_method method)
{
    pyi_job job = *given;
    job.id = item->id;
    job.block = item->block;
    job.skip = item->skip;
    job.flip = constants->flip;
    job.unflip = constants->unflip;
    job.median = constants->median;
    job.above = constants->above;
    job.f32 = constants->f32;
    job.f64 = constants->f64;
#if !defined(PYI_SHARED)
    if (method == PYI_METHOD_TRUNCATED_TAIL)
        for (int i = 0; i < PYI_QUANTILE_TERMS; i++)
            for (int k = 0; k < PYI_QUANTILE_OCTAVES; k++)
                job.tail[i][k] = constants->tail[i][k];
#else
    (void)method;
#endif
    return job;
}

/* Fills items that have the same kernel. Each CUDA block takes consecutive tiles, so it searches once. */
PYI_INLINE void fill_items(const pyi_job *given, PYI_GLOBAL char *memory, const pyi_cuda_table *t,
                           const pyi_generator generator, const pyi_method method, const pyi_dtype dtype)
{
    const uint64_t share = (t->tiles + gridDim.x - 1) / gridDim.x, end = (blockIdx.x + (uint64_t)1) * share;
    const uint64_t last = end < t->tiles ? end : t->tiles;
    const pyi_team alone = {0, 1};
    uint64_t tile = blockIdx.x * share;
    const PYI_GLOBAL pyi_job *shared = 0; /* the job whose table the threads share */

    if (tile >= last)
        return;
    for (uint32_t i = item_of(t, tile); tile < last; i++) {
        const PYI_GLOBAL pyi_device_item *item = t->items + i;
        const PYI_GLOBAL pyi_job *constants = t->jobs + item->constants;
        const uint64_t next = i + 1 < t->count ? t->items[i + 1].tile : t->tiles;
        const uint64_t from = tile - item->tile, to = (next < last ? next : last) - item->tile;
        const pyi_job job = job_of(given, item, constants, method);
        PYI_GLOBAL char *out = memory + item->out;

        if (!shared || (method == PYI_METHOD_TRUNCATED_TAIL && shared != constants)) {
            if (shared)
                PYI_BARRIER; /* until no thread reads the previous table */
            share_constants(constants, method, dtype);
            shared = constants;
        }
        const uint64_t unit = item->window ? PYI_TILE_UNITS : PYI_TILE_SAMPLES;
        const uint64_t first = from * unit, behind = to * unit < item->count ? to * unit : item->count;
        if (item->window)
            fill_window(&job, out, t->windows + (item->window - 1), first, behind, generator, method, dtype);
        else
            fill_run(&job, out + first * pyi_sample_bytes(dtype), first, behind - first, alone, generator, method,
                     dtype);
        tile = item->tile + to;
    }
}

#ifdef __cplusplus
#define PYI_CUDA_KERNEL extern "C" __global__ void __launch_bounds__(PYI_CUDA_THREADS)
#else
#define PYI_CUDA_KERNEL __global__ void __launch_bounds__(PYI_CUDA_THREADS)
#endif
/* The two kernels of one kind: for one array without gaps, and for the arrays of a table. */
#define PYI_CUDA_RUN(generator, method, dtype)                                                           \
    PYI_CUDA_KERNEL generator##_##method##_##dtype##_run(const __grid_constant__ pyi_job job, char *out, \
                                                         uint64_t first, uint64_t count)                 \
    {                                                                                                    \
        const pyi_team all = {blockIdx.x, gridDim.x};                                                    \
        share_constants(&job, method, dtype);                                                            \
        fill_run(&job, out, first, count, all, generator, method, dtype);                                \
    }
#define PYI_CUDA_ITEMS(generator, method, dtype)                                                               \
    PYI_CUDA_KERNEL generator##_##method##_##dtype##_items(const __grid_constant__ pyi_job job, char *memory,  \
                                                           const char *table, uint64_t jobs, uint64_t windows, \
                                                           uint32_t count, uint64_t tiles)                     \
    {                                                                                                          \
        const pyi_cuda_table parts = PYI_CUDA_TABLE(table, jobs, windows, count, tiles);                       \
        fill_items(&job, memory, &parts, generator, method, dtype);                                            \
    }
