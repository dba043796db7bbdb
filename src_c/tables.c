/* The tables of tables.h as arrays, for use at run time. */
#include "core.h"

#define GENERATOR_ROW(a, b, enumerator, number, name) [number] = {#enumerator, name},
const pyi_generator_row pyi_generators[] = {PYI_EACH_GENERATOR(GENERATOR_ROW, , )};

#define DTYPE_ROW(a, b, enumerator, number, name, bytes, words, digits, least, largest) \
    [number] = {#enumerator, name, bytes, words, digits, least, largest},
const pyi_dtype_row pyi_dtypes[] = {PYI_EACH_DTYPE(DTYPE_ROW, , )};

#define SAMPLER_ROW(a, b, enumerator, number, name, parameters, together) \
    [number] = {#enumerator, name, parameters, together},
const pyi_sampler_row pyi_samplers[] = {PYI_EACH_SAMPLER(SAMPLER_ROW, , )};

#define METHOD_NAME(a, enumerator, number) [number] = #enumerator,
const char *const pyi_methods[] = {PYI_EACH_METHOD(METHOD_NAME, )};
