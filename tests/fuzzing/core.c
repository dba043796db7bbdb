/*
 * A fuzzer of the core's C functions, for libFuzzer: `make fuzz TARGET=core`. The first byte of an input chooses a kind
 * of case, and the others are the numbers that it is made of. Beside the cases that fuzz.c makes too, there are windows
 * of any shape, most of them wrong, streams that move to any place, and arrays of any strides in one small memory.
 * With REPLAY defined it is a program that runs the files that it is given.
 */
#include "../fuzz_items.h"

typedef unsigned __int128 u128;
#define END ((u128)1 << 66)

static const uint8_t *input;
static size_t left;

static uint64_t next_byte(void) { return left ? left--, *input++ : 0; }

/* A byte says how many follow, or holds a small number itself. */
static uint64_t random64(void)
{
    const uint64_t first = next_byte();
    const int bytes = first < 192 ? 0 : first < 224 ? 1 : first < 240 ? 2 : 8;
    uint64_t value = bytes ? 0 : first;
    for (int i = 0; i < bytes; i++)
        value |= next_byte() << 8 * i;
    return value;
}

static uint64_t hostile64(void)
{
    static const uint64_t EDGES[] = {1u << 31, UINT32_MAX, (uint64_t)1 << 32, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
    const uint64_t number = random64();
    return number % 4 ? number / 4 : EDGES[number / 4 % 6] - below(3);
}

static u128 position(const pyi_stream *stream) { return stream->end ? END : (u128)stream->block * 4 + stream->word; }

/* Where the words of `count` samples begin and end; 0 if there are not so many. */
static int model_of_claim(u128 *begin, u128 *end, const pyi_distribution *distribution, pyi_dtype dtype, uint64_t count)
{
    const unsigned words = pyi_sample_words(dtype), group = words * pyi_samplers[distribution->sampler].together;
    *end = *begin;
    if (!group || !count)
        return 1;
    *begin = (*begin + group - 1) / group * group;
    *end = (*begin + (u128)count * words + group - 1) / group * group;
    return *end <= END;
}

static pyi_stream any_stream(void)
{
    pyi_stream stream;
    pyi_stream_new(&stream, (pyi_generator)below(PYI_GENERATORS), hostile64(), hostile64());
    stream.block = hostile64();
    stream.word = (uint32_t)below(4);
    if (below(8) == 0) {
        stream.end = 1;
        stream.block = stream.word = 0;
    }
    return stream;
}

/* Steps and claims of any size. */
static int streams(void)
{
    pyi_stream stream = any_stream(), claimed;
    for (int i = (int)below(8); i >= 0; i--) {
        const pyi_stream before = stream;
        const pyi_distribution distribution = random_distribution();
        const pyi_dtype dtype = (pyi_dtype)below(PYI_DTYPES);
        const uint64_t blocks = hostile64(), count = hostile64();
        u128 begin = position(&stream), end = begin + (u128)blocks * 4 + count;
        const int skips = (int)below(2), fits = end <= END;
        if (skips) {
            if ((pyi_skip_ahead(&stream, blocks, count) == PYI_OK) != fits || position(&stream) != (fits ? end : begin))
                return 1;
            continue;
        }
        const int given = model_of_claim(&begin, &end, &distribution, dtype, count);
        const pyi_status status = pyi_claim(&stream, &claimed, distribution.sampler, dtype, count);
        if (status != (given ? PYI_OK : PYI_EXHAUSTED))
            return 2;
        if (given ? position(&stream) != end || position(&claimed) != begin : position(&stream) != position(&before))
            return 3;
        if (stream.word > 3 || stream.seed != before.seed || stream.id != before.id)
            return 4;
    }
    return 0;
}

/* What comes of a window by the words of pyinit.h alone. */
static pyi_status model_of_window(const pyi_window *w, uint64_t *elements, uint64_t *global)
{
    int empty = 0, too_large = 0;
    u128 all = 1, own = 1;
    if (w->ndim < 0 || w->ndim > PYI_MAX_DIMS)
        return PYI_BAD_VALUE;
    for (int i = 0; i < w->ndim; i++) {
        const uint64_t n = w->shape[i], g = w->global_shape ? w->global_shape[i] : n, o = w->offset ? w->offset[i] : 0;
        if ((u128)o + n > g)
            return PYI_BAD_VALUE;
        empty |= !g;
        too_large |= g && all > (u128)INT64_MAX / g;
        all = too_large ? 1 : all * g;
        own = own * n > INT64_MAX ? (u128)INT64_MAX + 1 : own * n;
    }
    *global = empty ? 0 : (uint64_t)all;
    *elements = empty ? 0 : (uint64_t)own;
    return empty || !too_large ? PYI_OK : PYI_EXHAUSTED;
}

/* A window of any numbers, which is filled only if it has no elements: that of others is for `windows`. */
static int any_window(void)
{
    static size_t numbers[3][PYI_MAX_DIMS];
    static ptrdiff_t strides[PYI_MAX_DIMS];
    const int dims[] = {-1, PYI_MAX_DIMS, PYI_MAX_DIMS + 1};
    pyi_window w = {(int)below(9), numbers[0], NULL, NULL, NULL};
    if (w.ndim > 5)
        w.ndim = dims[w.ndim - 6];
    for (int i = 0; i < w.ndim && i < PYI_MAX_DIMS; i++) {
        numbers[1][i] = hostile64();
        numbers[2][i] = below(2) ? 0 : hostile64();
        numbers[0][i] = below(2) ? numbers[1][i] - numbers[2][i] : hostile64();
        strides[i] = (ptrdiff_t)hostile64();
    }
    w.global_shape = below(4) ? numbers[1] : NULL;
    w.offset = below(4) ? numbers[2] : NULL;
    w.strides = below(2) ? strides : NULL;

    const pyi_distribution distribution = random_distribution();
    const pyi_dtype dtype = distribution.sampler == PYI_BITS ? PYI_U32 : (pyi_dtype)(1 + below(PYI_DTYPES - 1));
    pyi_stream stream = any_stream();
    const pyi_stream before = stream;
    uint64_t elements = 0, global = 0;
    u128 begin = position(&stream), end = begin;
    pyi_status due = model_of_window(&w, &elements, &global);
    if (due == PYI_OK && elements) /* it has no memory */
        due = PYI_BAD_VALUE;
    if (due == PYI_OK && !model_of_claim(&begin, &end, &distribution, dtype, global))
        due = PYI_EXHAUSTED;
    if (pyi_fill_window(&stream, &distribution, dtype, NULL, &w, NULL) != due)
        return 1;
    return due == PYI_OK ? position(&stream) != end : memcmp(&stream, &before, sizeof stream) != 0;
}

/* Arrays of any strides in one small memory, whose bytes are marked one by one to find who shares any. */
#define SMALL 512
static int overlaps(void)
{
    enum { ITEMS = 5, AXES = 3 };
    static char memory[SMALL];
    unsigned char owners[SMALL] = {0};
    pyi_item items[ITEMS];
    pyi_window windows[ITEMS];
    pyi_place places[ITEMS];
    size_t shapes[ITEMS][AXES], pair[2] = {ITEMS, ITEMS};
    ptrdiff_t strides[ITEMS][AXES];
    const size_t n = 2 + below(ITEMS - 1);
    int shared = 0;
    for (size_t i = 0; i < n; i++) {
        const pyi_dtype dtype = (pyi_dtype)below(PYI_DTYPES);
        const ptrdiff_t size = (ptrdiff_t)pyi_sample_bytes(dtype);
        ptrdiff_t low = 0, high = size;
        size_t elements = 1;
        for (int k = 0; k < AXES; k++) {
            const ptrdiff_t most = (SMALL - 8 - (high - low)) / 2;
            shapes[i][k] = below(6);
            strides[i][k] = (ptrdiff_t)below(120) - 60;
            const ptrdiff_t last = (ptrdiff_t)shapes[i][k] - 1, reach = last > 0 ? last * strides[i][k] : 0;
            if (reach > most || reach < -most)
                strides[i][k] = 0;
            else
                *(reach < 0 ? &low : &high) += reach;
            elements *= shapes[i][k];
        }
        char *out = memory - low + (ptrdiff_t)below((size_t)(SMALL - (high - low)) + 1);
        windows[i] = (pyi_window){AXES, shapes[i], strides[i], NULL, NULL};
        items[i] = (pyi_item){.dtype = dtype, .out = out, .window = &windows[i]};
        for (size_t e = 0; e < elements; e++) {
            size_t rest = e;
            const char *at = out;
            for (int k = 0; k < AXES; k++) {
                at += (ptrdiff_t)(rest % shapes[i][k]) * strides[i][k];
                rest /= shapes[i][k];
            }
            for (ptrdiff_t b = 0; b < size; b++) {
                shared |= owners[at - memory + b] & ~(1 << i);
                owners[at - memory + b] |= (unsigned char)(1 << i);
            }
        }
    }
    const int found = pyi_find_overlap(items, n, places, pair);
    if (found != (shared != 0))
        return 1;
    for (int b = 0; found && b < SMALL; b++)
        if (owners[b] >> pair[0] & 1 && owners[b] >> pair[1] & 1)
            return pair[0] >= pair[1];
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    const uint64_t kind = next_byte() % 6;
    const int wrong = kind == 0   ? jobs(1)
                      : kind == 1 ? windows(1)
                      : kind == 2 ? items(1)
                      : kind == 3 ? streams()
                      : kind == 4 ? any_window()
                                  : overlaps();
    if (wrong) {
        fprintf(stderr, "a case of kind %d: %d\n", (int)kind, wrong);
        abort();
    }
    return 0;
}

#ifdef REPLAY
int main(int count, char **files)
{
    static uint8_t data[1 << 16];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(files[i], "rb");
        if (!file)
            return 2;
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%d\n", count - 1);
    return 0;
}
#endif
