/* New memory: mapped, but without pages yet. The system clears each page at its first touch. */
#if defined(__linux__)
#define _GNU_SOURCE /* madvise, mincore */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "core.h"

#if defined(__linux__)
#define HUGE_PAGE ((uintptr_t)1 << 21)

/* What the environment asks for, read once. */
enum { NOT_READ, ASKED, ASKED_NOT };
static atomic_int advice;
int pyi_memory_init(void)
{
    const char *text = getenv("PYINIT_MADVISE_HUGEPAGE");
    const int asked = text && !strcmp(text, "0") ? ASKED_NOT : ASKED;
    advice = asked;
    return asked;
}

/* Whether a page is in memory; assumed if mincore fails. */
static int is_touched(uintptr_t address, uintptr_t page)
{
    unsigned char resident = 1;
    return mincore((void *)(address / page * page), (size_t)page, &resident) != 0 || (resident & 1);
}

int pyi_take_new_memory(void *memory, size_t bytes)
{
    const int known = advice, wanted = known ? known : pyi_memory_init();
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)memory, last = first + bytes - 1;
    const uintptr_t begin = (first + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, end = (last + 1) / HUGE_PAGE * HUGE_PAGE;
    /* The first and the last one may hold what belongs to others. */
    if (bytes < 4 * page || is_touched(first + page, page) || is_touched(first + bytes / 2, page) ||
        is_touched(last - page, page))
        return 0;
    /* Whole pages alone, so no memory is used that would not be. Of memory that is no such mapping, nothing happens. */
    if (begin < end && wanted != ASKED_NOT)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    return 1;
}
#else
int pyi_memory_init(void) { return 0; }
int pyi_take_new_memory(void *memory, size_t bytes) { return memory == NULL && bytes == 0; }
#endif
