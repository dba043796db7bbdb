/* Exports the static functions that turn parameters into constants, for tests. */
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

/* The smallest nonzero coefficient of a truncated normal's tail; infinite if there is none. */
EXPORT double call_least_coefficient(double lower, double upper)
{
    const pyi_distribution distribution = {PYI_TRUNCATED_NORMAL, {0, 1, lower, upper}};
    double least = INFINITY;
    pyi_job job;
    if (pyi_describe(&distribution, PYI_F32, &job) == PYI_OK && job.method == PYI_METHOD_TRUNCATED_TAIL)
        for (int k = 0; k < PYI_QUANTILE_TERMS; k++)
            for (int i = 0; i < PYI_QUANTILE_OCTAVES; i++)
                if (job.tail[k][i] != 0)
                    least = fmin(least, fabs(job.tail[k][i]));
    return least;
}
