/* The fill that XLA's compiled programs call, JAX's for instance: see xla.h. */
#include "xla.h"

#include <stdatomic.h>
#include <string.h>

#include "core.h"

static atomic_int answered_minor; /* which XLA's own threads read */

void pyi_xla_answer(int minor) { answered_minor = minor; }

static xla_error *refuse(const xla_call *call, int code, const char *message)
{
    xla_error_arguments arguments = {sizeof arguments, NULL, message, code};
    return call->api->new_error(&arguments);
}

/* A call's two arguments, its result and its attributes. */
typedef struct {
    const xla_buffer *key, *offset, *out;
    const int64_t *generator, *sampler, *global_shape;
    const double *parameters;
    size_t ndim, batches;
    pyi_dtype dtype;
} request;

static const void *attribute(const xla_call *call, const char *name, int type)
{
    const xla_attributes *all = &call->attributes;
    for (int64_t i = 0; i < all->size; i++)
        if (all->types[i] == type && all->names[i]->length == strlen(name) &&
            !memcmp(all->names[i]->text, name, strlen(name)))
            return all->values[i];
    return NULL;
}

static const int64_t *number(const xla_call *call, const char *name)
{
    const xla_scalar *scalar = attribute(call, name, XLA_SCALAR);
    return scalar && scalar->dtype == XLA_S64 ? scalar->value : NULL;
}

static const void *numbers(const xla_call *call, const char *name, xla_dtype dtype, size_t *size)
{
    const xla_array *array = attribute(call, name, XLA_ARRAY);
    *size = array ? array->size : 0;
    return array && array->dtype == dtype ? array->data : NULL;
}

static int dtype_of(xla_dtype dtype)
{
    static const struct {
        xla_dtype theirs;
        pyi_dtype ours;
    } all[] = {{XLA_F32, PYI_F32},
               {XLA_F64, PYI_F64},
               {XLA_F16, PYI_F16},
               {XLA_BF16, PYI_BF16},
               {XLA_F8_E4M3FN, PYI_F8_E4M3FN},
               {XLA_F8_E5M2, PYI_F8_E5M2}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].theirs == dtype)
            return (int)all[i].ours;
    return -1;
}

/* Whether an argument has a row of `words` words for each element of the batch. */
static int has_rows(const xla_buffer *buffer, const xla_buffer *out, int64_t batch_rank, size_t words)
{
    if (buffer->dtype != XLA_U32 || buffer->rank != batch_rank + 1 || (size_t)buffer->dims[batch_rank] != words)
        return 0;
    for (int64_t i = 0; i < batch_rank; i++)
        if (buffer->dims[i] != out->dims[i])
            return 0;
    return 1;
}

/* Reads a call; returns what is wrong with it, or null. */
static const char *read_call(const xla_call *call, request *r)
{
    size_t parameters;
    int dtype;
    if (call->arguments.size != 2 || call->results.size != 1 || call->arguments.types[0] != XLA_BUFFER ||
        call->arguments.types[1] != XLA_BUFFER || call->results.types[0] != XLA_BUFFER)
        return "pyinit: a fill has two arguments, key and offset, and one result";
    r->key = call->arguments.values[0];
    r->offset = call->arguments.values[1];
    r->out = call->results.values[0];
    r->generator = number(call, "generator");
    r->sampler = number(call, "sampler");
    r->parameters = numbers(call, "parameters", XLA_F64, &parameters);
    r->global_shape = numbers(call, "global_shape", XLA_S64, &r->ndim);
    if (!r->generator || !r->sampler || !r->parameters || parameters != 4 || !r->global_shape)
        return "pyinit: a fill has the attributes generator, sampler, parameters and global_shape";
    if (*r->generator < 0 || *r->generator >= PYI_GENERATORS || *r->sampler < 0 || *r->sampler >= PYI_SAMPLERS)
        return "pyinit: unknown generator or sampler";
    const int64_t batch_rank = r->out->rank - (int64_t)r->ndim;
    if (r->ndim > PYI_MAX_DIMS || batch_rank < 0)
        return "pyinit: the result must have at least the dimensions of global_shape, which are at most 64";
    if (!has_rows(r->key, r->out, batch_rank, 2) && !has_rows(r->key, r->out, batch_rank, 4))
        return "pyinit: key must be uint32, 2 or 4 words for each element of the batch";
    if (!has_rows(r->offset, r->out, batch_rank, r->ndim))
        return "pyinit: offset must be uint32, one for each dimension and each element of the batch";
    if ((dtype = dtype_of(r->out->dtype)) < 0)
        return "pyinit: the result must be of a type of floats that the fills have";
    r->dtype = (pyi_dtype)dtype;
    r->batches = 1;
    for (int64_t i = 0; i < batch_rank; i++)
        r->batches *= (size_t)r->out->dims[i];
    return NULL;
}

/* The stream of a key: the first two words are the seed. Two more give the id, which is 0 if they repeat the seed, as
 * in jax.random.key(seed). */
static void set_stream(pyi_stream *stream, pyi_generator generator, const uint32_t *words, size_t n)
{
    const uint64_t seed = (uint64_t)words[0] << 32 | words[1];
    const uint64_t id = n == 4 ? ((uint64_t)words[2] << 32 | words[3]) ^ seed : 0;
    pyi_stream_new(stream, generator, seed, id);
}

/* Sets the window of an element of the batch, whose numbers take four times `ndim`. Returns the bytes of its buffer,
 * and in `is_cut` whether a part of it is outside the tensor. */
static size_t set_window(pyi_window *window, size_t *numbers, const request *r, const uint32_t *offset, int *is_cut)
{
    const size_t n = r->ndim;
    const int64_t *dims = r->out->dims + (r->out->rank - (int64_t)n);
    size_t *shape = numbers, *global_shape = numbers + n, *begin = numbers + 2 * n;
    ptrdiff_t *strides = (ptrdiff_t *)(numbers + 3 * n);
    size_t bytes = pyi_sample_bytes(r->dtype);
    *is_cut = 0;
    for (size_t i = n; i-- > 0;) {
        const size_t length = (size_t)dims[i], all = (size_t)r->global_shape[i];
        strides[i] = (ptrdiff_t)bytes;
        global_shape[i] = all;
        begin[i] = offset[i] < all ? offset[i] : all;
        shape[i] = length < all - begin[i] ? length : all - begin[i];
        *is_cut |= shape[i] != length;
        bytes *= length;
    }
    *window = (pyi_window){(int)n, shape, strides, global_shape, begin};
    return bytes;
}

static int is_whole(const pyi_window *window)
{
    for (int i = 0; i < window->ndim; i++)
        if (window->shape[i] != window->global_shape[i])
            return 0;
    return 1;
}

/* How many elements of the batch are filled together, and the most numbers that their windows take. */
#define TOGETHER 64
#define NUMBERS (TOGETHER * 4 * 16)

/* Fills some elements of the batch, from number `first` on. */
static pyi_status fill(const request *r, size_t first, size_t count)
{
    pyi_item items[TOGETHER];
    pyi_place places[TOGETHER];
    pyi_window windows[TOGETHER];
    size_t numbers[NUMBERS];
    const size_t words = (size_t)r->key->dims[r->key->rank - 1];
    const uint32_t *keys = r->key->data, *offsets = r->offset->data;
    for (size_t i = 0; i < count; i++) {
        const size_t element = first + i;
        int is_cut;
        const size_t bytes =
            set_window(&windows[i], numbers + 4 * i * r->ndim, r, offsets + element * r->ndim, &is_cut);
        char *out = (char *)r->out->data + element * bytes;
        items[i] = (pyi_item){.distribution = {.sampler = (pyi_sampler)*r->sampler}, .dtype = r->dtype, .out = out};
        memcpy(items[i].distribution.parameters, r->parameters, sizeof items[i].distribution.parameters);
        set_stream(&items[i].stream, (pyi_generator)*r->generator, keys + element * words, words);
        if (is_cut)
            memset(out, 0, bytes);
        if (!is_cut && is_whole(&windows[i]))
            items[i].count = bytes / pyi_sample_bytes(r->dtype);
        else
            items[i].window = &windows[i];
    }
    return pyi_fill_many(items, count, places, NULL, NULL);
}

/* Whether the structures inside a call have the sizes of those in xla.h. */
static int is_known(const xla_call *call)
{
    return call->struct_size >= offsetof(xla_call, attributes) + sizeof call->attributes &&
           call->arguments.struct_size == sizeof call->arguments && call->results.struct_size == sizeof call->results &&
           call->attributes.struct_size == sizeof call->attributes;
}

xla_error *pyi_xla_fill(xla_call *call)
{
    request r;
    for (xla_extension *e = call->extensions; e; e = e->next)
        if (e->type == XLA_METADATA) {
            xla_version *version = &((xla_metadata_request *)e)->metadata->version;
            version->major = XLA_CALL_MAJOR;
            version->minor = answered_minor;
            return NULL;
        }
    if (call->stage != XLA_EXECUTE)
        return NULL;
    if (!is_known(call))
        return refuse(call, XLA_INTERNAL, "pyinit: this version of XLA lays its calls out in another way");
    const char *wrong = read_call(call, &r);
    if (wrong)
        return refuse(call, XLA_INVALID_ARGUMENT, wrong);
    const size_t fitting = r.ndim ? NUMBERS / (4 * r.ndim) : TOGETHER;
    const size_t together = fitting < TOGETHER ? fitting : TOGETHER;
    pyi_status status = PYI_OK;
    for (size_t i = 0; i < r.batches && status == PYI_OK; i += together)
        status = fill(&r, i, r.batches - i < together ? r.batches - i : together);
    if (status == PYI_BAD_VALUE)
        return refuse(call, XLA_INVALID_ARGUMENT, "pyinit: a parameter or a shape is out of range");
    return status == PYI_OK ? NULL : refuse(call, XLA_INTERNAL, "pyinit: the fill did not end well");
}
