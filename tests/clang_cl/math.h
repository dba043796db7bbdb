double fma(double, double, double);
float fmaf(float, float, float);
double sqrt(double);
float sqrtf(float);
double fabs(double);
double nextafter(double, double);
#define isinf(x) __builtin_isinf(x)
#define isnan(x) __builtin_isnan(x)
#define INFINITY __builtin_inff()
