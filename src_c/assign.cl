/*
 * Copies elements to the places of an array's elements, strided or not, which OpenCL's own copies cannot do.
 * pyinit/opencl/ compiles this text unchanged. An element is copied as an integer of its size.
 */

/* An axis of the array: its length, and the bytes from one index to the next, in the array and (`from`) in the
 * values. */
typedef struct {
    ulong length;
    long stride, from;
} pyi_assign_axis;

/* The first axis varies fastest. The array begins `start` bytes into its buffer. */
#define PYI_ASSIGN(name, type)                                                                       \
    __kernel void name(__global char *buffer, ulong start, __global const char *values, ulong count, \
                       __constant pyi_assign_axis *axis, uint axes)                                  \
    {                                                                                                \
        for (ulong i = get_global_id(0); i < count; i += get_global_size(0)) {                       \
            ulong left = i;                                                                          \
            long to = 0, from = 0;                                                                   \
            for (uint k = 0; k < axes; k++) {                                                        \
                const long index = left % axis[k].length;                                            \
                left /= axis[k].length;                                                              \
                to += index * axis[k].stride;                                                        \
                from += index * axis[k].from;                                                        \
            }                                                                                        \
            *(__global type *)(buffer + start + to) = *(__global const type *)(values + from);       \
        }                                                                                            \
    }
PYI_ASSIGN(pyi_assign_1, uchar)
PYI_ASSIGN(pyi_assign_2, ushort)
PYI_ASSIGN(pyi_assign_4, uint)
PYI_ASSIGN(pyi_assign_8, ulong)
