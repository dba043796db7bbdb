/*
 * The part of XLA's foreign function interface that a handler on the host needs: how a compiled program calls it, with
 * which buffers and attributes. XLA publishes these structures as a binary C interface, xla/ffi/api/c_api.h in jaxlib.
 * Here are the fields that pyinit reads, so it builds without jaxlib. `tests/test_jax_call.py` compares sizes, offsets
 * and numbers with the installed header.
 */
#ifndef PYI_XLA_H
#define PYI_XLA_H

#include <stddef.h>
#include <stdint.h>

/* Major versions differ in layout; a minor version only adds fields. */
#define XLA_CALL_MAJOR 0

enum { XLA_BUFFER = 1 }; /* an argument or a result */
enum { XLA_ARRAY = 1, XLA_SCALAR = 3 };
enum { XLA_METADATA = 1 };
enum { XLA_EXECUTE = 3 };
enum { XLA_INVALID_ARGUMENT = 3, XLA_INTERNAL = 13 };

typedef enum {
    XLA_S64 = 5,
    XLA_U32 = 8,
    XLA_F16 = 10,
    XLA_F32 = 11,
    XLA_F64 = 12,
    XLA_BF16 = 16,
    XLA_F8_E5M2 = 19,
    XLA_F8_E4M3FN = 20
} xla_dtype;

/* A list of what the caller offers beyond the structure that points to it. */
typedef struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
} xla_extension;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int major, minor;
} xla_version;

typedef struct {
    size_t struct_size;
    xla_version version;
    uint32_t traits;
} xla_metadata;

/* The extension by which XLA asks what a handler is, before any call. */
typedef struct {
    xla_extension extension;
    xla_metadata *metadata;
} xla_metadata_request;

typedef struct xla_error xla_error;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    const char *message;
    int code;
} xla_error_arguments;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    xla_version version;
    const void *internal;
    xla_error *(*new_error)(xla_error_arguments *arguments);
} xla_api;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    xla_dtype dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} xla_buffer;

typedef struct {
    xla_dtype dtype;
    void *value;
} xla_scalar;

typedef struct {
    xla_dtype dtype;
    size_t size;
    void *data;
} xla_array;

typedef struct {
    const char *text;
    size_t length;
} xla_name;

/* Arguments or results. */
typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int64_t size;
    int *types;
    void **values;
} xla_values;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int64_t size;
    int *types;
    xla_name **names; /* sorted */
    void **values;
} xla_attributes;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    const xla_api *api;
    void *context;
    int stage;
    xla_values arguments, results;
    xla_attributes attributes;
} xla_call;

#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility push(hidden) /* Python asks for its address */
#endif

/*
 * Fills a result with samples, called by the program that XLA compiles. Returns null on success.
 *
 * Arguments: `key`, uint32 of shape (*batch, 2) or (*batch, 4): the stream of each element of the batch; and `offset`,
 * uint32 of shape (*batch, ndim): where the result begins in its tensor. Result: (*batch, *shape), of a float type.
 * Attributes: `generator` and `sampler`, numbers from tables.h, int64; `parameters`, the sampler's, 4 float64;
 * `global_shape`, the tensor's shape, `ndim` int64. If a compiler rounded a shard's shape up, the part of the result
 * outside the tensor becomes zeros.
 */
xla_error *pyi_xla_fill(xla_call *call);

/* Sets the interface's minor version that pyi_xla_fill claims to be made for; every version has the fields above. */
void pyi_xla_answer(int minor);

#if defined(__ELF__) || defined(__APPLE__)
#pragma GCC visibility pop
#endif

#endif
