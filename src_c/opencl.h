/*
 * What fill.cu uses from CUDA, in terms of OpenCL C 1.2; for other compilers, only the names of address spaces. Without
 * a generic address space, a pointer's type says where it points: PYI_GLOBAL into an array on the device.
 */
#ifndef PYI_OPENCL_H
#define PYI_OPENCL_H

#if defined(__OPENCL_VERSION__)
typedef uchar uint8_t;
typedef ushort uint16_t;
typedef uint uint32_t;
typedef ulong uint64_t;
typedef int int32_t;
typedef long int64_t;
#if !defined(cl_khr_fp64)
/* A device without doubles compiles code for them, but never runs it. */
#define double float
#endif

#define PYI_GLOBAL __global
#define half pyi_half /* a type in OpenCL, a name here */
#define memcpy __builtin_memcpy
#define static_assert(condition, text) typedef char pyi_asserted[(condition) ? 1 : -1]
#define fmaf fma
#define sqrtf sqrt
#define make_uint2 (uint2)
#define make_uint4 (uint4)
#define threadIdx ((uint2)((uint)get_local_id(0)))
#define blockIdx ((uint2)((uint)get_group_id(0)))
#define blockDim ((uint2)((uint)get_local_size(0)))
#define gridDim ((uint2)((uint)get_num_groups(0)))
#define PYI_BLOCK_THREADS blockDim.x

/* The two kernels of one kind, like CUDA's, except that an array begins `start` bytes into a buffer. */
#define PYI_OPENCL_RUN(generator, method, dtype)                                                                 \
    __kernel void generator##_##method##_##dtype##_run(const pyi_job job, __global char *buffer, uint64_t start, \
                                                       uint64_t first, uint64_t count)                           \
    {                                                                                                            \
        const pyi_team all = {blockIdx.x, gridDim.x};                                                            \
        fill_run(&job, buffer + start, first, count, all, generator, method, dtype);                             \
    }
#define PYI_OPENCL_ITEMS(generator, method, dtype)                                                                    \
    __kernel void generator##_##method##_##dtype##_items(const pyi_job job, __global char *buffer,                    \
                                                         const __global char *table, uint64_t jobs, uint64_t windows, \
                                                         uint32_t count, uint64_t tiles)                              \
    {                                                                                                                 \
        const pyi_cuda_table parts = PYI_CUDA_TABLE(table, jobs, windows, count, tiles);                              \
        fill_items(&job, buffer, &parts, generator, method, dtype);                                                   \
    }
#else
#define PYI_GLOBAL
#endif

#endif
