/*
 * Counts the instructions that fills execute, by stepping through them one at a time (Linux).
 *
 * For every tier, generator and kind of sample, a child runs a short fill and a longer one, both of whole steps on one
 * thread with ordinary stores. The difference is the steady state, without starting, seeking and ending.
 *
 * Prints a line for each, separated by tabs: the tier, the generator, the kind of sample, the samples and the
 * instructions in the difference, and `address:count` for this program's own instructions, the address in hex.
 * Arguments are the names of the only tiers to count.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <elf.h>

#include "pyinit.h"

#if defined(__x86_64__)
#define pc rip
#endif

/* Whole steps of every tier and dtype; none has more than 64 samples. Stepping one instruction takes up to 20 us. */
#define SHORT 64
#define LONG 192
/* More than any fill needs. Stepping breaks exclusive loads and stores, which AArch64 before v8.1 repeats for ever. */
#define LIMIT (1L << 20)

typedef struct {
    const char *name;
    pyi_dtype dtype;
    pyi_distribution distribution;
} kind;
static const kind KINDS[] = {
    {"bits uint32", PYI_U32, {PYI_BITS, {0}}},
    {"uniform float32", PYI_F32, {PYI_UNIFORM, {-1, 1}}},
    {"uniform float64", PYI_F64, {PYI_UNIFORM, {-1, 1}}},
    {"normal float32", PYI_F32, {PYI_NORMAL, {0, 0.02}}},
    {"normal float64", PYI_F64, {PYI_NORMAL, {0, 0.02}}},
    {"normal_icdf float32", PYI_F32, {PYI_NORMAL_ICDF, {0, 0.02}}},
    {"truncated_normal float32", PYI_F32, {PYI_TRUNCATED_NORMAL, {0, 0.02, -2, 2}}},
    {"normal_icdf float64", PYI_F64, {PYI_NORMAL_ICDF, {0, 0.02}}},
    {"truncated_normal float64", PYI_F64, {PYI_TRUNCATED_NORMAL, {0, 0.02, -2, 2}}},
    {"normal float16", PYI_F16, {PYI_NORMAL, {0, 0.02}}},
    {"normal bfloat16", PYI_BF16, {PYI_NORMAL, {0, 0.02}}},
};

static pyi_status fill(pyi_generator generator, const kind *what, size_t count)
{
    static _Alignas(64) double out[LONG];
    const pyi_options options = {.threads = 1};
    pyi_stream stream;
    pyi_stream_new(&stream, generator, 42, 0);
    return pyi_fill(&stream, &what->distribution, what->dtype, out, count, &options);
}

/* This program's own code, linked at fixed addresses. */
extern const char __executable_start[], etext[];

static uintptr_t program_counter(pid_t child)
{
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    return ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &all) ? 0 : (uintptr_t)registers.pc;
}

static void fail(const char *why, pid_t child)
{
    fprintf(stderr, "%s\n", why);
    if (child > 0)
        kill(child, SIGKILL);
    exit(1);
}

/* Returns the instructions from the first stop of a child to its end; adds `sign` to at[address] for each. */
static long step_through(pyi_generator generator, const kind *what, size_t samples, long *at, long sign)
{
    int status;
    const pid_t child = fork();
    if (child < 0)
        fail("fork failed", 0);
    if (!child) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(2);
        raise(SIGSTOP);
        _exit(fill(generator, what, samples) != PYI_OK);
    }
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status))
        fail("tracing is not allowed here", 0);
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL);
    for (long n = 0; n < LIMIT; n++) {
        const uintptr_t address = program_counter(child);
        if (address >= (uintptr_t)__executable_start && address < (uintptr_t)etext)
            at[address - (uintptr_t)__executable_start] += sign;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
            fail("single steps are not possible here", child);
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return n;
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            fail("a fill failed", child);
    }
    fail("a fill does not end under single steps", child);
    return 0;
}

static int wanted(const char *tier, char *const *names)
{
    if (!*names)
        return 1;
    while (*names && strcmp(*names, tier))
        names++;
    return *names != NULL;
}

int main(int argc, char **argv)
{
    static const size_t LENGTHS[2] = {SHORT, LONG};
    const size_t size = (size_t)(etext - __executable_start);
    long *at = malloc(size * sizeof *at);
    cpu_set_t here;
    if (!at)
        fail("no memory", 0);
    /* On one processor the two processes take turns three times as fast as on two. */
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    for (const char *const *tier = pyi_isa_available(); *tier; tier++) {
        if (!wanted(*tier, argv + (argc > 0)))
            continue;
        pyi_isa_select(*tier);
        for (pyi_generator g = 0; g <= PYI_ARS4X32_7; g++)
            for (const kind *what = KINDS; what < KINDS + sizeof KINDS / sizeof *KINDS; what++) {
                long n = 0;
                for (size_t i = 0; i < size; i++)
                    at[i] = 0;
                /* First here, so that functions linked at their first call are linked in every child. */
                if (fill(g, what, SHORT) != PYI_OK)
                    fail("a fill failed", 0);
                for (int i = 0; i < 2; i++) {
                    const long sign = i ? 1 : -1;
                    n += sign * step_through(g, what, LENGTHS[i], at, sign);
                }
                printf("%s\t%s\t%s\t%d\t%ld\t", *tier, pyi_generators[g].name, what->name, LONG - SHORT, n);
                for (size_t i = 0; i < size; i++)
                    if (at[i])
                        printf("%lx:%ld ", (unsigned long)((uintptr_t)__executable_start + i), at[i]);
                puts("");
            }
    }
    free(at);
    return 0;
}
