/*
 * Checks of threads.c that hold helpers back, or record which thread did what. It is built with a pthread_create whose
 * threads start at once, but run only when the check allows it. The argument names the check.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))
static void fail(const char *condition, int line)
{
    fprintf(stderr, "line %d: not %s\n", line, condition);
    _exit(1);
}

/* Counts helpers; those numbered `allowed` and above are held back. */
#define EVERY (1 << 30)
static atomic_int started, allowed, ended;

typedef struct {
    void *(*function)(void *);
    void *argument;
    int number;
} held;
static void *when_allowed(void *argument)
{
    const held h = *(held *)argument;
    free(argument);
    while (h.number >= allowed)
        usleep(500);
    h.function(h.argument);
    ended++;
    return NULL;
}
int held_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
    held *h = malloc(sizeof *h);
    *h = (held){function, argument, started};
    const int error = pthread_create(thread, attributes, when_allowed, h);
    started += !error;
    return error;
}

/* Units that take a while, and count how often they were done and by how many helpers. */
#define UNITS 64
typedef struct {
    pyi_work work;
    pthread_t caller;
    pid_t process;
    atomic_int done[UNITS], by_helpers, in_child[UNITS];
    void (*before)(int helper);
    pyi_options options;
} job;
static void do_units(const pyi_work *work, uint64_t first, uint64_t count, pyi_task *own)
{
    job *j = (job *)(uintptr_t)work->plan;
    CHECK(!own->item);
    const int helper = !pthread_equal(pthread_self(), j->caller);
    j->by_helpers += helper;
    if (j->before)
        j->before(helper);
    for (size_t i = 0; i < count; i++)
        (getpid() == j->process ? j->done : j->in_child)[first + i]++;
}

static job *new_job(unsigned threads)
{
    job *j = calloc(1, sizeof *j);
    j->work = (pyi_work){.run = do_units, .bytes = UNITS, .chunk = 1, .plan = j};
    j->caller = pthread_self();
    j->process = getpid();
    j->options.threads = threads;
    return j;
}

static int all_done_once(const atomic_int *done)
{
    int once = 0;
    for (int i = 0; i < UNITS; i++)
        once += done[i] == 1;
    return once == UNITS;
}
static void check_run(job *j)
{
    memset((void *)j->done, 0, sizeof j->done);
    CHECK(pyi_run(&j->work, &(pyi_task){0}, &j->options) == PYI_OK && all_done_once(j->done));
}

/* So that a later use is seen. */
static void destroy(job *j)
{
    memset((void *)j, 0xff, sizeof *j);
    free(j);
}
static void wait_for(atomic_int *value, int n)
{
    for (int i = 0; *value < n && i < 20000; i++)
        usleep(500);
    CHECK(*value == n);
}

/* A fill does not wait for helpers that have not begun; these do not touch a call that has ended. */
static void late(void)
{
    job *j = new_job(4);
    check_run(j);
    CHECK(started == 3 && j->by_helpers == 0);
    destroy(j);
    allowed = 3;
    wait_for(&ended, 3);
}

/* Late helpers of one fill do not join the next one, which has its own number of threads. */
static void let_two_in(int helper)
{
    if (!helper && allowed < 2) {
        allowed = 2;
        wait_for(&ended, 2);
    }
}
static void other_generation(void)
{
    job *first = new_job(3), *second = new_job(4);
    check_run(first);
    second->before = let_two_in;
    check_run(second);
    CHECK(started == 4 && second->by_helpers == 0);
    destroy(first);
    destroy(second);
}

/* A fill waits for helpers that are working. */
static atomic_int helper_works;
static void unit(int helper, useconds_t first, useconds_t others)
{
    usleep(helper && !helper_works++ ? first : others);
    while (!helper_works)
        usleep(500);
}
static void slowly(int helper) { unit(helper, 50000, 0); }
static void at_work(void)
{
    allowed = EVERY;
    job *j = new_job(2);
    j->before = slowly;
    check_run(j);
    CHECK(j->by_helpers > 0);
    destroy(j);
}

/* If helpers cannot run, only a limited number start; new ones start when these have ended. */
static void pending(void)
{
    const int processors = (int)pyi_processors(), most = processors > 3 ? processors : 3;
    job *j = new_job(3);
    for (int i = 0; i < 20; i++)
        check_run(j);
    CHECK(started == most);
    allowed = 1; /* one ends, and another takes its place */
    wait_for(&ended, 1);
    for (int i = 0; i < 20; i++)
        check_run(j);
    CHECK(started == most + 1);
    allowed = EVERY;
    wait_for(&ended, most + 1);
    check_run(j);
    CHECK(started > most + 1);
    free(j);
}

/* `interrupted` ends a fill for all its threads. */
static void for_a_while(int helper) { unit(helper, 5000, 5000); }
static int always(void *argument, double done) { return argument == NULL && done > 0 && done <= 1; }
static void interrupted(void)
{
    allowed = EVERY;
    job *j = new_job(3);
    j->before = for_a_while;
    j->options.interrupted = always;
    CHECK(pyi_run(&j->work, &(pyi_task){0}, &j->options) == PYI_INTERRUPTED && j->done[0] && !j->done[UNITS - 1]);
    destroy(j);
}

/* More fills at once than there are slots; afterwards the slots are free again. */
#define CALLERS 100
static atomic_int inside;
static void meet(int helper)
{
    static _Thread_local int met;
    if (!helper && !met++)
        inside++;
    while (inside < CALLERS)
        usleep(500);
}
static void *call(void *unused)
{
    (void)unused;
    job *j = new_job(3);
    j->before = meet;
    check_run(j);
    j->before = NULL;
    for (unsigned i = 0; i < 100; i++) {
        j->options.threads = 1 + i % 5;
        check_run(j);
    }
    destroy(j);
    return NULL;
}
static void many(void)
{
    pthread_t callers[CALLERS];
    allowed = EVERY;
    for (int i = 0; i < CALLERS; i++)
        CHECK(!pthread_create(&callers[i], NULL, call, NULL));
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    wait_for(&ended, started);
    at_work();
}

/* `interrupted` runs a signal handler, which forks while a helper is working. */
static int child = -1, stops;
static int forks(void *argument, double done)
{
    (void)argument;
    (void)done;
    if (child >= 0)
        return 0;
    child = fork();
    alarm(100);
    if (!child) { /* the handler's own fill takes the slot */
        job *j = new_job(3);
        check_run(j);
        destroy(j);
    }
    return child ? 0 : stops;
}
static void forked(void)
{
    allowed = EVERY;
    job *j = new_job(3);
    j->before = for_a_while;
    j->options.interrupted = forks;
    const pyi_status status = pyi_run(&j->work, &(pyi_task){0}, &j->options);
    if (!child) {
        CHECK(stops ? status == PYI_INTERRUPTED : status == PYI_OK && all_done_once(j->in_child));
        destroy(j);
        job *own = new_job(3);
        check_run(own);
        destroy(own);
        _exit(0);
    }
    int ending;
    CHECK(status == PYI_OK && child > 0 && all_done_once(j->done));
    CHECK(waitpid(child, &ending, 0) == child && !ending);
    destroy(j);
}
static void forked_and_stopped(void)
{
    stops = 1;
    forked();
}

/* A fork while another thread fills: its slot is free in the child. */
static void *fill_forever(void *go_on)
{
    job *j = new_job(2);
    while (go_on)
        check_run(j);
    free(j);
    return NULL;
}
static void forked_beside(void)
{
    pthread_t filler;
    allowed = EVERY;
    for (int i = 0; i < 70; i++)
        CHECK(!pthread_create(&filler, NULL, fill_forever, &allowed));
    for (int i = 0, status; i < 8; i++) {
        const pid_t pid = fork();
        alarm(100);
        if (!pid) {
            job *j = new_job(2);
            helper_works = 0;
            j->before = slowly; /* waits for a helper, which needs a slot */
            check_run(j);
            _exit(j->by_helpers == 0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && !status);
    }
    _exit(0);
}

#define CHECK_OF(name) {#name, name}
int main(int count, char **arguments)
{
    alarm(100); /* ends a process that hangs; a child sets its own */
    static const struct {
        const char *name;
        void (*run)(void);
    } checks[] = {CHECK_OF(late),    CHECK_OF(other_generation),   CHECK_OF(at_work),
                  CHECK_OF(pending), CHECK_OF(interrupted),        CHECK_OF(many),
                  CHECK_OF(forked),  CHECK_OF(forked_and_stopped), CHECK_OF(forked_beside)};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (count == 2 && !strcmp(arguments[1], checks[i].name))
            return checks[i].run(), 0;
    return 2;
}
