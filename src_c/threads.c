/*
 * One fill on several threads. They take chunks of it in turn, so that a slow one holds up nobody. Threads
 * start with the call and end with it: there is no pool, and so nothing that a fork could break.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* clock_gettime */
#endif
#include <stdatomic.h>

#include "core.h"
#include "fpenv.h"

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
typedef HANDLE thread_handle;
#define THREAD_RESULT unsigned __stdcall
static int thread_start(thread_handle *t, unsigned(__stdcall *f)(void *), void *arg)
{
    *t = (HANDLE)_beginthreadex(NULL, 0, f, arg, 0, NULL);
    return *t != 0;
}
static void thread_join(thread_handle t)
{
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
static uint64_t milliseconds(void) { return GetTickCount64(); }
#else
#include <pthread.h>
#include <time.h>
typedef pthread_t thread_handle;
#define THREAD_RESULT void *
static int thread_start(thread_handle *t, void *(*f)(void *), void *arg)
{
    return pthread_create(t, NULL, f, arg) == 0;
}
static void thread_join(thread_handle t) { pthread_join(t, NULL); }
static uint64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
#endif

/* Starting a thread takes the time of filling some 100 KiB. */
#define THREAD_BYTES ((uint64_t)1 << 19)
#define MAX_THREADS 256
#define POLL_MILLISECONDS 50

typedef struct {
    const pyi_work *work;
    const pyi_options *options;
    _Atomic uint64_t next; /* the first unit that nobody has taken */
    atomic_int stop;
} team;

/* Takes the next chunk; returns its length, 0 at the end. */
static size_t take(team *t, uint64_t *first)
{
    size_t count;
    *first = atomic_load(&t->next);
    do {
        const uint64_t left = t->work->units - *first;
        const size_t chunk = t->work->chunk - (size_t)((*first + t->work->phase) % t->work->chunk);
        count = left < chunk ? (size_t)left : chunk;
    } while (count && !atomic_compare_exchange_weak(&t->next, first, *first + count));
    return count;
}

static void run(team *t, int polls)
{
    pyi_fpenv saved = pyi_fpenv_enter();
    uint64_t polled = polls ? milliseconds() : 0, first;
    size_t count;
    while (!t->stop && (count = take(t, &first)) != 0) {
        t->work->run(t->work, first, count);
        if (polls && milliseconds() - polled >= POLL_MILLISECONDS) {
            pyi_fpenv_leave(saved);
            if (t->options->interrupted(t->options->arg))
                t->stop = 1;
            saved = pyi_fpenv_enter();
            polled = milliseconds();
        }
    }
    pyi_fpenv_leave(saved);
}

static THREAD_RESULT run_thread(void *arg)
{
    run(arg, 0);
    return 0;
}

pyi_status pyi_run(const pyi_work *work, const pyi_options *options)
{
    team t = {.work = work, .options = options};
    thread_handle threads[MAX_THREADS];
    const uint64_t useful = work->units / work->chunk, by_bytes = work->units * work->unit_bytes / THREAD_BYTES;
    size_t started = 0, wanted = options && options->threads ? options->threads : useful > 1 ? pyi_default_threads() : 1;

    if (wanted > useful)
        wanted = (size_t)useful;
    if (wanted > by_bytes)
        wanted = (size_t)by_bytes;
    if (wanted > MAX_THREADS)
        wanted = MAX_THREADS;
    /* The caller is one of them. Should a thread not start, those that did do its part. */
    while (started + 1 < wanted && thread_start(&threads[started], run_thread, &t))
        started++;
    run(&t, options && options->interrupted);
    while (started)
        thread_join(threads[--started]);
    return t.stop ? PYI_INTERRUPTED : PYI_OK;
}
