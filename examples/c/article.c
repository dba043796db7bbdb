/*
 * The article's Gaussian weights, drawn with pyinit instead of MKL. With MKL you would write
 *
 *     vslNewStream(&stream, VSL_BRNG_ARS5, seed);
 *     vsRngGaussian(method, stream, n, weights, 0, std);
 *     vslDeleteStream(&stream);
 *
 * Here a stream is a plain structure: an assignment copies it, and there is nothing to delete.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pyinit.h>

#define ROWS 1000
#define COLUMNS 5000

static void check(pyi_status status)
{
    if (status != PYI_OK) {
        fprintf(stderr, "%s\n", pyi_strerror(status));
        exit(1);
    }
}

int main(void)
{
    const double xavier = sqrt(2.0 / (ROWS + COLUMNS));
    const size_t n = (size_t)ROWS * COLUMNS;
    float *weights = malloc(n * sizeof *weights), *part = malloc(n / 4 * sizeof *part), bias[ROWS];
    double sum = 0, squares = 0;
    pyi_stream stream, biases;

    if (!weights || !part)
        return 1;

    check(pyi_stream_new(&stream, PYI_ARS4X32_5, 42, 0));
    check(pyi_fill_normal_f32(&stream, weights, n, 0, xavier, NULL)); /* on all processors */

    /* Another id gives another stream of the same seed, for example one for each parameter of a model. */
    check(pyi_stream_new(&biases, PYI_ARS4X32_5, 42, 1));
    check(pyi_fill_uniform_f32(&biases, bias, ROWS, -0.01, 0.01, NULL));

    /* The upper right quarter alone, as a machine that holds nothing else would fill it. */
    const pyi_distribution normal = {PYI_NORMAL, {0, xavier}};
    const size_t shape[] = {ROWS / 2, COLUMNS / 2}, whole[] = {ROWS, COLUMNS}, offset[] = {0, COLUMNS / 2};
    const pyi_window quarter = {.ndim = 2, .shape = shape, .global_shape = whole, .offset = offset};
    check(pyi_stream_new(&stream, PYI_ARS4X32_5, 42, 0));
    check(pyi_fill_window(&stream, &normal, PYI_F32, part, &quarter, NULL));
    for (size_t row = 0; row < shape[0]; row++)
        if (memcmp(part + row * shape[1], weights + row * COLUMNS + offset[1], shape[1] * sizeof *part)) {
            fprintf(stderr, "row %zu differs\n", row);
            return 1;
        }

    /* A model in one call. Each parameter has the stream of its name, as with pyinit.initialize in Python. */
    pyi_item parameters[2] = {
        {.distribution = normal, .dtype = PYI_F32, .out = weights, .count = n},
        {.distribution = {PYI_CONSTANT, {0}}, .dtype = PYI_F32, .out = bias, .count = ROWS},
    };
    pyi_place places[2];
    pyi_stream root;
    check(pyi_stream_new(&root, PYI_ARS4X32_5, 42, 0));
    check(pyi_child(&parameters[0].stream, &root, "layer.weight"));
    check(pyi_child(&parameters[1].stream, &root, "layer.bias"));
    check(pyi_fill_many(parameters, 2, places, NULL, NULL));

    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        squares += (double)weights[i] * weights[i];
    }
    printf("%d x %d weights by %s: mean %.6f, std %.6f; Xavier's is %.6f\n", ROWS, COLUMNS, pyi_isa_active(), sum / n,
           sqrt(squares / n), xavier);
    free(weights);
    free(part);
    return 0;
}
