/*
 * Kernels of gpu.py, for both CUDA and OpenCL: devices.py appends them to src_c/fill.cu, whose types
 * and sampler they use, and defines METHOD, GROUP_THREADS and COUNT_LOCALLY.
 */
#if defined(__OPENCL_VERSION__)
#define KERNEL __kernel void
#define BY_VALUE const
#define LOCAL __local
#define ATOMIC_ADD(to, value) atomic_add(to, value)
#define ATOMIC_SUB(from, value) atomic_sub(from, value)
#define WAIT_FOR_GROUP() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#else
#define KERNEL extern "C" __global__ void
#define BY_VALUE const __grid_constant__
#define LOCAL
#define ATOMIC_ADD(to, value) atomicAdd(to, value)
#define ATOMIC_SUB(from, value) atomicSub(from, value)
#define WAIT_FOR_GROUP() __syncthreads()
#endif

#define CELLS 65536
#define BUCKETS 8192
#define KEY_BITS 19 /* the bits of a key below its bucket */
#define HALF_FULL 0x8000u

/*
 * A sample's key: an unsigned integer in the order of the samples. NaN has the largest, as NumPy sorts it. -0 and 0
 * have different keys, but no cell begins between them. A word's halves are exchanged, because a key's leading bits
 * choose the cell and the other samplers already test a word's upper half.
 */
PYI_INLINE uint32_t key_of(uint32_t sample)
{
    if (METHOD == PYI_METHOD_BITS)
        return sample << 16 | sample >> 16;
    if ((sample & 0x7fffffffu) > 0x7f800000u)
        return 0xffffffffu;
    return sample >> 31 ? ~sample : sample | 0x80000000u;
}

/* A bucket holds the number of its first cell and, in the lower half, how many cells of equal width it is cut into. */
PYI_INLINE uint32_t cell_of(uint32_t key, uint32_t bucket)
{
    return (bucket >> 16) + ((key & ((1u << KEY_BITS) - 1)) * (bucket & 0xffffu) >> KEY_BITS);
}

#if COUNT_LOCALLY
#define LOCAL_WORDS (BUCKETS + CELLS / 2)

/*
 * Adds the number of samples in each cell to `counts`.
 *
 * A group counts in local memory, two counters of 16 bits in a word. A counter that reaches 2^15 is moved to `counts`
 * by the thread that sees it. Between two barriers a group adds at most 2^15 samples, so no counter can overflow
 * earlier, even if all samples are in one cell.
 */
KERNEL count_cells(const PYI_GLOBAL uint32_t *samples, uint64_t count, const PYI_GLOBAL uint32_t *buckets,
                   PYI_GLOBAL uint32_t *counts)
{
#if defined(__OPENCL_VERSION__)
    __local uint32_t bucket[LOCAL_WORDS];
#else
    extern __shared__ uint32_t bucket[];
#endif
    LOCAL uint32_t *const pair = bucket + BUCKETS;
    const uint64_t tile = HALF_FULL;

    for (uint32_t i = threadIdx.x; i < LOCAL_WORDS; i += GROUP_THREADS)
        bucket[i] = i < BUCKETS ? buckets[i] : 0;
    WAIT_FOR_GROUP();
    for (uint64_t first = blockIdx.x * tile; first < count; first += gridDim.x * tile) {
        PYI_UNROLL
        for (uint32_t i = 0; i < HALF_FULL / GROUP_THREADS; i++) {
            const uint64_t n = first + i * GROUP_THREADS + threadIdx.x;
            if (n < count) {
                const uint32_t key = key_of(samples[n]), cell = cell_of(key, bucket[key >> KEY_BITS]);
                const uint32_t place = cell % 2 * 16;
                const uint32_t before = ATOMIC_ADD(pair + cell / 2, 1u << place);
                if ((before >> place & 0xffffu) == HALF_FULL - 1) {
                    ATOMIC_SUB(pair + cell / 2, HALF_FULL << place);
                    ATOMIC_ADD(counts + cell, HALF_FULL);
                }
            }
        }
        WAIT_FOR_GROUP();
    }
    for (uint32_t cell = threadIdx.x; cell < CELLS; cell += GROUP_THREADS) {
        const uint32_t counted = pair[cell / 2] >> cell % 2 * 16 & 0xffffu;
        if (counted)
            ATOMIC_ADD(counts + cell, counted);
    }
}
#else
/* The same for devices with little local memory. */
KERNEL count_cells(const PYI_GLOBAL uint32_t *samples, uint64_t count, const PYI_GLOBAL uint32_t *buckets,
                   PYI_GLOBAL uint32_t *counts)
{
    for (uint64_t n = (uint64_t)blockIdx.x * GROUP_THREADS + threadIdx.x; n < count; n += gridDim.x * GROUP_THREADS) {
        const uint32_t key = key_of(samples[n]);
        ATOMIC_ADD(counts + cell_of(key, buckets[key >> KEY_BITS]), 1u);
    }
}
#endif

/* A flaw for positive controls: clears the lowest `bits` of words, or of uniform samples as multiples of 2^-24. */
KERNEL drop_bits(PYI_GLOBAL uint32_t *samples, uint64_t count, uint32_t bits)
{
    for (uint64_t n = (uint64_t)blockIdx.x * GROUP_THREADS + threadIdx.x; n < count; n += gridDim.x * GROUP_THREADS) {
        if (METHOD == PYI_METHOD_BITS)
            samples[n] = samples[n] >> bits << bits;
        else
            samples[n] = bits_f32((float)((uint32_t)(f32_from_bits(samples[n]) * 0x1p24f) >> bits << bits) * 0x1p-24f);
    }
}

/* The samples of given words, for samplers of one word per sample. */
KERNEL samples_of_words(BY_VALUE pyi_job job, const PYI_GLOBAL uint32_t *words, uint64_t count,
                        PYI_GLOBAL uint32_t *samples)
{
#if defined(__CUDACC__)
    share_constants(&job, METHOD, PYI_F32);
#endif
    for (uint64_t n = (uint64_t)blockIdx.x * PYI_BLOCK_THREADS + threadIdx.x; n < count;
         n += gridDim.x * PYI_BLOCK_THREADS)
        samples[n] = sample_f32(words[n], &job, METHOD, PYI_F32);
}
