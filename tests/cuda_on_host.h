/* Replacements for CUDA's keywords, to compile src_c/fill.cu for the host: threads run one after the other. */
#include <stdint.h>

#define __global__ static
#define PYI_SHARED static
#define __syncthreads()
#define PYI_SHARING 0, 1 /* each alone, since they do not run in step */
#define __grid_constant__
#define __launch_bounds__(threads)

typedef struct {
    unsigned x;
} cuda_index;
static cuda_index threadIdx, blockIdx, blockDim, gridDim;
#define PYI_BLOCK_THREADS blockDim.x /* any size */

typedef struct {
    uint32_t x, y;
} __attribute__((aligned(8))) uint2;
typedef struct {
    uint32_t x, y, z, w;
} __attribute__((aligned(16))) uint4;
static inline uint2 make_uint2(uint32_t x, uint32_t y) { return (uint2){x, y}; }
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return (uint4){x, y, z, w}; }
