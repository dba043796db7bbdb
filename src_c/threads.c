/*
 * One fill on several threads. They take chunks of it in turn, so a slow thread delays no other. Threads start with the
 * call: there is no pool that a fork could break.
 *
 * The caller works too, and waits only for helpers that have begun. A busy machine may run a new thread long after the
 * caller has done all the work; joining it would slow the call down to that. So caller and helpers meet in a slot,
 * which outlives the call. A helper may enter while the slot is open for its own fill; a later one ends at once. When
 * every chunk is taken, the caller closes the slot and waits for the helpers inside, each of which has at most the rest
 * of a chunk to do.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* clock_gettime, nanosleep */
#endif
#include <stdatomic.h>

#include "core.h"
#include "fpenv.h"

#define MAX_THREADS 256
#define POLL_MICROSECONDS 50000

/* How the caller waits for the last chunks: first awake, for about as long as one takes, because on a busy machine a
 * processor that it gives up comes back late; then yielding; finally asleep. */
#define AWAKE_MICROSECONDS 100
#define YIELDING_MICROSECONDS 1000
#define SLEEP_MICROSECONDS 100

static void help(uintptr_t ticket);

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
static unsigned __stdcall begin(void *ticket)
{
    help((uintptr_t)ticket);
    return 0;
}
static int thread_start(uintptr_t ticket)
{
    HANDLE t = (HANDLE)_beginthreadex(NULL, 0, begin, (void *)ticket, 0, NULL);
    if (t)
        CloseHandle(t);
    return t != 0;
}
uint64_t pyi_microseconds(void)
{
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    return (uint64_t)((double)ticks.QuadPart * 1e6 / (double)frequency.QuadPart);
}
static void yield(void) { SwitchToThread(); }
static void sleep_briefly(void) { Sleep(1); }
static uint64_t this_process(void) { return 1; } /* there is no fork */
#else
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
static void *begin(void *ticket)
{
    help((uintptr_t)ticket);
    return 0;
}
static int thread_start(uintptr_t ticket)
{
    pthread_t t;
    return pthread_create(&t, NULL, begin, (void *)ticket) == 0 && pthread_detach(t) == 0;
}
uint64_t pyi_microseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
static void yield(void) { sched_yield(); }
static void sleep_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = SLEEP_MICROSECONDS * 1000}, NULL); }
static uint64_t this_process(void) { return (uint64_t)getpid(); }
#endif

typedef struct {
    const pyi_work *work;
    _Atomic uint64_t next; /* the first byte that no thread has taken */
    atomic_int stop;
} team;

/*
 * The state of a slot holds the process whose fill has it, 0 if it is free; its generation, which each fill raises by
 * 1; whether helpers may enter; and how many are inside. A fork copies the slots, so a slot of another process counts
 * as free. A helper that sleeps through 65,536 generations joins another fill, and does its work correctly.
 */
typedef struct {
    _Alignas(64) _Atomic uint64_t state; /* on a cache line of its own */
    team team;
} slot;
#define PROCESS_SHIFT 32
#define GENERATION_SHIFT 16
#define GENERATION ((uint64_t)0xffff << GENERATION_SHIFT)
#define OPEN ((uint64_t)0x8000)
#define INSIDE ((uint64_t)0x7fff)

/* The most fills that have helpers at the same time; further ones run without. */
#define SLOTS 64
static slot slots[SLOTS];

/* How many started threads have not run yet; the upper half is the process that counted. */
static _Atomic uint64_t pending;

/* Takes the next chunk; returns its length, 0 at the end. */
static size_t take(team *t, uint64_t *first)
{
    size_t count;
    *first = atomic_load(&t->next);
    do {
        const uint64_t left = t->work->bytes - *first;
        const size_t chunk = t->work->chunk - (size_t)((*first + t->work->phase) % t->work->chunk);
        count = left < chunk ? (size_t)left : chunk;
    } while (count && !atomic_compare_exchange_weak(&t->next, first, *first + count));
    return count;
}

/*
 * Fills until no chunk is left or `interrupted` ends it. Only the caller asks that; helpers pass null. It may run a
 * signal handler that forks. The child has none of the helpers, so this returns at once there, unless `process` is 0:
 * then the caller is alone.
 */
static pyi_status run(team *t, pyi_task *own, const pyi_options *asked, uint64_t process)
{
    pyi_fpenv saved = pyi_fpenv_enter();
    const int asks = asked && asked->interrupted;
    uint64_t last = asks ? pyi_microseconds() : 0, first;
    size_t count;
    pyi_status status = PYI_OK;
    while (!t->stop && (count = take(t, &first)) != 0) {
        t->work->run(t->work, first, count, own);
        if (asks && pyi_microseconds() - last >= POLL_MICROSECONDS) {
            pyi_fpenv_leave(saved);
            if (asked->interrupted(asked->arg, (double)t->next / (double)t->work->bytes))
                status = PYI_INTERRUPTED;
            saved = pyi_fpenv_enter();
            if (process && this_process() != process)
                break;
            if (status != PYI_OK)
                t->stop = 1;
            last = pyi_microseconds();
        }
    }
    pyi_fpenv_leave(saved);
    return status;
}

static pyi_status run_alone(const pyi_work *work, pyi_task *own, const pyi_options *options)
{
    team t = {.work = work};
    return run(&t, own, options, 0);
}

/* The function of a helper. Its ticket is generation * SLOTS + the number of the slot. */
static void help(uintptr_t ticket)
{
    slot *s = &slots[ticket % SLOTS];
    uint64_t state = atomic_load(&s->state);
    pyi_task own;
    own.item = NULL;
    atomic_fetch_sub(&pending, 1);
    do {
        if (!(state & OPEN) || (state & GENERATION) >> GENERATION_SHIFT != ticket / SLOTS)
            return;
    } while (!atomic_compare_exchange_weak(&s->state, &state, state + 1));
    run(&s->team, &own, NULL, 0);
    atomic_fetch_sub(&s->state, 1); /* from here on the call may have returned */
}

/* Counts a thread about to be started, if fewer than `most` are pending. */
static int count_pending(size_t most, uint64_t process)
{
    uint64_t now = atomic_load(&pending), count;
    do {
        count = now >> PROCESS_SHIFT == process ? (uint32_t)now : 0;
        if (count >= most)
            return 0;
    } while (!atomic_compare_exchange_weak(&pending, &now, process << PROCESS_SHIFT | (count + 1)));
    return 1;
}

/* Takes a slot for this process, closed; null if none is free. */
static slot *claim(uint64_t process)
{
    for (slot *s = slots; s < slots + SLOTS; s++) {
        uint64_t state = atomic_load(&s->state);
        const uint64_t next = (state + ((uint64_t)1 << GENERATION_SHIFT)) & GENERATION;
        if (state >> PROCESS_SHIFT != process &&
            atomic_compare_exchange_strong(&s->state, &state, process << PROCESS_SHIFT | next))
            return s;
    }
    return NULL;
}

/* Closes the slot to helpers, waits for those inside, and frees it. Returns 0 in a child that was forked during the
 * fill: the helpers that seem to be inside do not exist there, and the slot may already have another owner. */
static int leave(slot *s, uint64_t process)
{
    if (this_process() != process)
        return 0;
    uint64_t state = atomic_fetch_and(&s->state, ~OPEN);
    const uint64_t began = state & INSIDE ? pyi_microseconds() : 0;
    while ((state = atomic_load(&s->state)) & INSIDE) {
        const uint64_t waited = pyi_microseconds() - began;
        if (waited < AWAKE_MICROSECONDS)
            continue;
        if (waited < YIELDING_MICROSECONDS)
            yield();
        else
            sleep_briefly();
        if (this_process() != process)
            return 0;
    }
    atomic_store(&s->state, state & GENERATION);
    return 1;
}

/* Starts helpers until there are `wanted` threads with the caller. Stops while as many have not run yet as there are
 * processors: more would only wait behind them. */
static void start(slot *s, size_t wanted, uint64_t process)
{
    const uint64_t generation = (atomic_load(&s->state) & GENERATION) >> GENERATION_SHIFT;
    const uintptr_t ticket = (uintptr_t)(generation * SLOTS) + (uintptr_t)(s - slots);
    const size_t processors = pyi_processors(), most = wanted > processors ? wanted : processors;
    for (size_t n = 1; n < wanted && s->team.next < s->team.work->bytes && count_pending(most, process); n++)
        if (!thread_start(ticket)) { /* the other threads do its part */
            atomic_fetch_sub(&pending, 1);
            return;
        }
}

pyi_status pyi_run(const pyi_work *work, pyi_task *own, const pyi_options *options)
{
    const uint64_t useful = work->bytes / work->chunk;
    size_t wanted = options && options->threads ? options->threads : useful > 1 ? pyi_default_threads() : 1;
    if (wanted > useful)
        wanted = (size_t)useful;
    if (wanted > MAX_THREADS)
        wanted = MAX_THREADS;

    const uint64_t process = wanted > 1 ? this_process() : 0;
    slot *s = process ? claim(process) : NULL;
    if (!s)
        return run_alone(work, own, options);
    s->team.work = work;
    s->team.next = 0;
    s->team.stop = 0;
    atomic_fetch_or(&s->state, OPEN);
    start(s, wanted, process);
    const pyi_status status = run(&s->team, own, options, process);
    /* A fill only writes, so a child can do all of it again. */
    return leave(s, process) || status != PYI_OK ? status : run_alone(work, own, options);
}
