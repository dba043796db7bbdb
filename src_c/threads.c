/*
 * One fill on several threads. They take chunks of the buffer in turn, so that a slow one holds up
 * nobody, and chunks are cut on block boundaries. Threads start with the call and end with it: there
 * is no pool, and so nothing that a fork could break.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* sched_getaffinity; clock_gettime */
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
static size_t processors(void) { return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS); }
#else
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
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
/* Those that this process may run on, which containers make fewer than the machine has. */
static size_t processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}
#endif

/* Starting a thread takes the time of filling some 100 KiB; a chunk is several times that. */
#define CHUNK_BYTES ((size_t)1 << 19)
/* Beyond the last-level caches of most machines, a store that reads no line first saves half the traffic. */
#define STREAM_BYTES ((size_t)1 << 26)
#define MAX_THREADS 256
#define POLL_MILLISECONDS 50

typedef struct {
    const pyi_job *job;
    pyi_kernel *kernel;
    size_t count, size, chunk;
    char *out;
    const pyi_options *options;
    _Atomic size_t next; /* the first sample that nobody has taken */
    atomic_int stop;
} work;

/* Takes the next chunk; returns its length, 0 at the end. */
static size_t take(work *w, size_t *first)
{
    size_t count;
    *first = atomic_load(&w->next);
    do {
        size_t left = w->count - *first;
        count = left < w->chunk ? left : w->chunk;
    } while (count && !atomic_compare_exchange_weak(&w->next, first, *first + count));
    return count;
}

static void run(work *w, int polls)
{
    pyi_fpenv saved = pyi_fpenv_enter();
    uint64_t polled = polls ? milliseconds() : 0;
    size_t count, first;
    while (!w->stop && (count = take(w, &first)) != 0) {
        w->kernel(w->job, first, count, w->out + first * w->size);
        if (polls && milliseconds() - polled >= POLL_MILLISECONDS) {
            pyi_fpenv_leave(saved);
            if (w->options->interrupted(w->options->arg))
                w->stop = 1;
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

pyi_status pyi_run(const pyi_job *job, size_t count, size_t size, void *out, const pyi_options *options)
{
    const int polls = options && options->interrupted;
    pyi_job planned = *job;
    work w = {.job = &planned, .count = count, .size = size, .out = out, .options = options};

    planned.stream = count > STREAM_BYTES / size;
    w.chunk = CHUNK_BYTES / size;
    w.kernel = pyi_dispatch(job->generator, job->sampler);
    if (!w.kernel)
        return PYI_UNAVAILABLE;

    thread_handle threads[MAX_THREADS];
    size_t useful = count / w.chunk, started = 0;
    size_t wanted = options && options->threads ? options->threads : useful > 1 ? processors() : 1;
    if (wanted > useful)
        wanted = useful;
    if (wanted > MAX_THREADS)
        wanted = MAX_THREADS;
    /* The caller is one of them. Should a thread not start, those that did do its part. */
    while (started + 1 < wanted && thread_start(&threads[started], run_thread, &w))
        started++;
    run(&w, polls);
    while (started)
        thread_join(threads[--started]);
    return w.stop ? PYI_INTERRUPTED : PYI_OK;
}
