/* What stands in for CUDA's keywords where src_c/fill.cu is compiled for the host: threads are taken one by one. */
#include <stdint.h>

#define __global__ static
#define PYI_SHARED static
#define __syncthreads()
#define PYI_SHARING 0, 1 /* each by itself, since they are not at the same place at the same time */
#define __grid_constant__
#define __launch_bounds__(threads)

typedef struct {
    unsigned x;
} cuda_index;
static cuda_index threadIdx, blockIdx, blockDim, gridDim;
#define PYI_BLOCK_THREADS blockDim.x /* of a size of one's own choice */

typedef struct {
    uint32_t x, y;
} __attribute__((aligned(8))) uint2;
typedef struct {
    uint32_t x, y, z, w;
} __attribute__((aligned(16))) uint4;
static inline uint2 make_uint2(uint32_t x, uint32_t y) { return (uint2){x, y}; }
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return (uint4){x, y, z, w}; }
