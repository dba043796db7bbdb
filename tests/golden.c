/*
 * Writes samples, little-endian, to standard output, for a test to compare with known answers and to hash. The argument
 * names the tier; each line of standard input describes a fill:
 *
 *     generator seed id position-div-4 position-mod-4 sampler dtype count four parameters
 *
 * with the enumerations of pyinit.h as numbers, and the bits of the parameters as integers. Without an argument it
 * prints the machine's tiers. Each fill is also compared with a fill of a strided window.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pyinit.h"

#define MAX_COUNT 50021

/* A window of a tensor, its columns next to each other in memory, holds the samples of the plain fill. */
static int window_agrees(pyi_stream stream, const pyi_distribution *distribution, pyi_dtype dtype, size_t size,
                         const char *plain)
{
    enum { ROWS = 37, COLUMNS = 41, TENSOR_COLUMNS = 300, ROW = 3, COLUMN = 5 };
    static char block[ROWS * COLUMNS * 8];
    const size_t shape[] = {ROWS, COLUMNS}, global[] = {ROWS + ROW, TENSOR_COLUMNS}, offset[] = {ROW, COLUMN};
    const ptrdiff_t strides[] = {(ptrdiff_t)size, (ptrdiff_t)size * ROWS};
    const pyi_window window = {2, shape, strides, global, offset};

    if (pyi_fill_window(&stream, distribution, dtype, block, &window, NULL) != PYI_OK)
        return 0;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            if (memcmp(block + (i + j * ROWS) * size, plain + ((i + ROW) * TENSOR_COLUMNS + j + COLUMN) * size, size))
                return 0;
    return 1;
}

/* Reverses the bytes of each element on a big-endian machine. */
static void make_little_endian(char *bytes, size_t count, size_t size)
{
    const uint16_t one = 1;
    if (*(const char *)&one)
        return;
    for (; count--; bytes += size)
        for (size_t i = 0; i < size / 2; i++) {
            const char leading = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = leading;
        }
}

int main(int argc, char **argv)
{
    static double memory[MAX_COUNT];
    char *out = (char *)memory;
    uint64_t seed, id, block, parameters[4];
    unsigned generator, word, sampler, dtype;
    size_t count;
    pyi_distribution d;

    if (argc < 2) {
        for (const char *const *name = pyi_isa_available(); *name; name++)
            puts(*name);
        return 0;
    }
    if (pyi_isa_select(argv[1]) != PYI_OK)
        return 2;
    while (scanf("%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %u %u %u %zu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                 &generator, &seed, &id, &block, &word, &sampler, &dtype, &count, &parameters[0], &parameters[1],
                 &parameters[2], &parameters[3]) == 12) {
        pyi_stream stream, start;
        size_t size;
        if (count > MAX_COUNT || pyi_stream_new(&stream, (pyi_generator)generator, seed, id) != PYI_OK ||
            pyi_skip_ahead(&stream, block, word) != PYI_OK)
            return 3;
        start = stream;
        d.sampler = (pyi_sampler)sampler;
        memcpy(d.parameters, parameters, sizeof parameters);
        if (pyi_fill(&stream, &d, (pyi_dtype)dtype, out, count, NULL) != PYI_OK)
            return 4;
        size = pyi_dtypes[dtype].bytes;
        if (count == MAX_COUNT && !window_agrees(start, &d, (pyi_dtype)dtype, size, out))
            return 5;
        make_little_endian(out, count, size);
        if (fwrite(out, size, count, stdout) != count)
            return 6;
    }
    return ferror(stdin) || !feof(stdin);
}
