/*
 * The tables of generators, types, samplers and methods, one row each. The enumerations below are generated from them,
 * and so is everything else that needs all rows: the kernels on every processor and GPU, the arrays in tables.c, and
 * what Python sees. X is called for each row, with the caller's own arguments, a and b, before the columns.
 */
#ifndef PYI_TABLES_H
#define PYI_TABLES_H

/*  enumerator, number, name. The first two give the words of MKL's VSL_BRNG_PHILOX4X32X10 and VSL_BRNG_ARS5.
 *  Philox4x32 has 10 rounds. ARS4x32 has 5 rounds of AES, the fewest that pass its authors' tests, or the 7 that they
 *  recommend. */
#define PYI_EACH_GENERATOR(X, a, b)         \
    X(a, b, PYI_PHILOX4X32_10, 0, "philox") \
    X(a, b, PYI_ARS4X32_5, 1, "ars5")       \
    X(a, b, PYI_ARS4X32_7, 2, "ars7")

/*  enumerator, number, name (NumPy's, ml_dtypes' and PyTorch's), bytes, 32-bit words per sample, significant bits,
 *  exponent of the least subnormal number, largest finite number.
 *  PYI_U32 is for PYI_BITS, which takes no other type. A sample of a narrower type is the float sample, rounded to
 *  nearest even. A value too large for the type becomes infinite, or nan in float8_e4m3fn, which has no infinity. */
#define PYI_EACH_DTYPE(X, a, b)                                             \
    X(a, b, PYI_U32, 0, "uint32", 4, 1, 32, 0, 4294967295.0)                \
    X(a, b, PYI_F32, 1, "float32", 4, 1, 24, -149, 3.4028234663852886e38)   \
    X(a, b, PYI_F64, 2, "float64", 8, 2, 53, -1074, 1.7976931348623157e308) \
    X(a, b, PYI_F16, 3, "float16", 2, 1, 11, -24, 65504.0)                  \
    X(a, b, PYI_BF16, 4, "bfloat16", 2, 1, 8, -133, 3.3895313892515355e38)  \
    X(a, b, PYI_F8_E4M3FN, 5, "float8_e4m3fn", 1, 1, 4, -9, 448.0)          \
    X(a, b, PYI_F8_E5M2, 6, "float8_e5m2", 1, 1, 3, -16, 57344.0)

/*  enumerator, number, name, names of the parameters, samples made together (0 for a sampler that takes no words).
 *  PYI_BITS: the words themselves, 32 random bits each.
 *  PYI_UNIFORM: in [low, high); `low` if the two are equal.
 *  PYI_NORMAL: by Box-Muller. PYI_NORMAL_ICDF: by the inverse of the cumulative distribution function, monotone in
 *  the word. PYI_TRUNCATED_NORMAL: between mean + lower std and mean + upper std, by the inverse too.
 *  PYI_CONSTANT: one value. */
#define PYI_EACH_SAMPLER(X, a, b)                                                   \
    X(a, b, PYI_BITS, 0, "bits", "", 1)                                             \
    X(a, b, PYI_UNIFORM, 1, "uniform", "low high", 1)                               \
    X(a, b, PYI_NORMAL, 2, "normal", "mean std", 2)                                 \
    X(a, b, PYI_NORMAL_ICDF, 3, "normal_icdf", "mean std", 1)                       \
    X(a, b, PYI_TRUNCATED_NORMAL, 4, "truncated_normal", "mean std lower upper", 1) \
    X(a, b, PYI_CONSTANT, 5, "constant", "value", 0)

/*  enumerator, number: how the kernels compute samples. Samplers share methods, and the truncated normal has several.
 */
#define PYI_EACH_METHOD(X, a)            \
    X(a, PYI_METHOD_BITS, 0)             \
    X(a, PYI_METHOD_UNIFORM, 1)          \
    X(a, PYI_METHOD_BOX_MULLER, 2)       \
    X(a, PYI_METHOD_ICDF, 3)             \
    X(a, PYI_METHOD_TRUNCATED_CENTRE, 4) \
    X(a, PYI_METHOD_TRUNCATED_TAIL, 5)   \
    X(a, PYI_METHOD_TRUNCATED_NARROW, 6) \
    X(a, PYI_METHOD_CONSTANT, 7)

/* The last enumerator of each is the number of rows. */
#define PYI_GENERATOR_ENUMERATOR(a, b, enumerator, number, name) enumerator = number,
typedef enum { PYI_EACH_GENERATOR(PYI_GENERATOR_ENUMERATOR, 0, 0) PYI_GENERATORS } pyi_generator;
#define PYI_DTYPE_ENUMERATOR(a, b, enumerator, number, name, bytes, words, digits, least, largest) enumerator = number,
typedef enum { PYI_EACH_DTYPE(PYI_DTYPE_ENUMERATOR, 0, 0) PYI_DTYPES } pyi_dtype;
#define PYI_SAMPLER_ENUMERATOR(a, b, enumerator, number, name, parameters, together) enumerator = number,
typedef enum { PYI_EACH_SAMPLER(PYI_SAMPLER_ENUMERATOR, 0, 0) PYI_SAMPLERS } pyi_sampler;
#define PYI_METHOD_ENUMERATOR(a, enumerator, number) enumerator = number,
typedef enum { PYI_EACH_METHOD(PYI_METHOD_ENUMERATOR, 0) PYI_METHODS } pyi_method;

#endif
