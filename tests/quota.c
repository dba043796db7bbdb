/* Prints, for each folder of control groups given, the number of processors that they allow, or 0 without a limit.
 * Without a folder: the default number of threads. Fails if files stay open. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "core.h"

static int open_files(void)
{
    int count = 0;
    for (int file = 0; file < 256; file++)
        count += fcntl(file, F_GETFD) != -1;
    return count;
}

int main(int count, char **folders)
{
    const int before = open_files();
    char process[4096];
    if (count == 1)
        printf("%zu\n", pyi_default_threads());
    for (int i = 1; i < count; i++) {
        snprintf(process, sizeof process, "%s/proc/self", folders[i]);
        const unsigned quota = pyi_quota(process, folders[i]);
        printf("%u\n", quota == UINT_MAX ? 0 : quota);
    }
    return open_files() != before;
}
