/* For each folder given: the processors that the control groups described in it allow, or 0 if there is no limit.
 * Without one: the default number of threads. */
#include <limits.h>
#include <stdio.h>

#include "core.h"

int main(int count, char **folders)
{
    char process[4096];
    if (count == 1)
        printf("%zu\n", pyi_default_threads());
    for (int i = 1; i < count; i++) {
        snprintf(process, sizeof process, "%s/proc/self", folders[i]);
        const unsigned quota = pyi_quota(process, folders[i]);
        printf("%u\n", quota == UINT_MAX ? 0 : quota);
    }
    return 0;
}
