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

/* On some virtual machines the host provides a huge page 4 KiB at a time: it takes 4 to 5 ms, 20 times as long as
 * elsewhere. They often still have small pages. After SLOW_TOUCHES slow ones in a row a fill uses small pages. */
#ifndef SLOW_MICROSECONDS
#define SLOW_MICROSECONDS 1000
#endif
#define SLOW_TOUCHES 4

/* What PYINIT_MADVISE_HUGEPAGE asks for, read once: huge pages never, always, or while they come fast. */
enum { NOT_READ, NEVER, ALWAYS, WHILE_FAST };
static atomic_int advice;
int pyi_memory_init(void)
{
    const char *text = getenv("PYINIT_MADVISE_HUGEPAGE");
    const int asked = !text ? WHILE_FAST : !strcmp(text, "0") ? NEVER : !strcmp(text, "1") ? ALWAYS : WHILE_FAST;
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
    /* The first and the last page may hold data of others. */
    if (bytes < 4 * page || is_touched(first + page, page) || is_touched(first + bytes / 2, page) ||
        is_touched(last - page, page))
        return 0;
    /* Whole pages alone, so no more memory is used than before. For other kinds of mappings this has no effect. */
    if (begin < end && wanted != NEVER)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    return 1;
}

/* Makes the system map small pages in one call, which is cheaper than a fault for each. */
static void take_small_pages(uintptr_t first, size_t bytes, uintptr_t page)
{
#if defined(MADV_POPULATE_WRITE)
    const uintptr_t begin = first / page * page, end = (first + bytes) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_POPULATE_WRITE);
#else
    (void)first, (void)bytes, (void)page;
#endif
}

void pyi_touch_new_memory(void *memory, size_t bytes, size_t left, pyi_new_memory *seen)
{
    const uintptr_t first = (uintptr_t)memory, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (first + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const uintptr_t last = (first + left) / HUGE_PAGE * HUGE_PAGE;
    if (begin >= last || begin >= first + bytes || advice != WHILE_FAST || is_touched(begin, page))
        return;
    if (seen->slow < SLOW_TOUCHES) {
        const uint64_t before = pyi_microseconds();
        *(volatile char *)begin = 0; /* the fill overwrites it */
        seen->slow = (int64_t)(pyi_microseconds() - before) > SLOW_MICROSECONDS ? seen->slow + 1 : 0;
        return;
    }
    if (seen->given_up != last) { /* once for the rest of the item, since it stops the other threads */
        seen->given_up = last;
        madvise((void *)begin, last - begin, MADV_NOHUGEPAGE);
    }
    take_small_pages(first, bytes, page);
}
#else
int pyi_memory_init(void) { return 0; }
int pyi_take_new_memory(void *memory, size_t bytes) { return memory == NULL && bytes == 0; }
void pyi_touch_new_memory(void *memory, size_t bytes, size_t left, pyi_new_memory *seen)
{
    (void)memory, (void)bytes, (void)left, (void)seen;
}
#endif
