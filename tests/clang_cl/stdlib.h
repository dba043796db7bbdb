#include <stddef.h>
char *getenv(const char *);
