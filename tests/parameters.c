/* The functions that turn parameters into constants, which are static, for tests to call. */
#include "distribution.c"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define FUNCTION(name) \
    EXPORT double call_##name(double x) { return name(x); }
FUNCTION(exp_f64)
FUNCTION(density)
FUNCTION(mills_ratio)
FUNCTION(tail)
FUNCTION(centre)
EXPORT double call_between(double a, double b) { return between(a, b); }
