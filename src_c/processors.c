/*
 * The default number of threads of a fill: PYINIT_NUM_THREADS, or one for each processor that the process may use.
 * These are the processors of its affinity mask, limited by its control groups (`docker --cpus`). More threads than
 * such a quota would use it up early in each period, and then all stand still until the next one.
 *
 * The environment and the quota are read once in a process, at the first use. A quota seldom changes, reading it takes
 * some twenty system calls, and a process that has since confined itself (chroot, seccomp) may not be allowed to. The
 * mask is one system call and is read each time: programs change it for their workers.
 */
#if !defined(_WIN32)
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#endif

#define NO_QUOTA UINT_MAX /* as core.h says */

/* Reads decimal digits; returns their end, or null if there are none. For numbers from 2^32 on, any large value will
 * do. */
static const char *number(const char *text, uint64_t *value)
{
    const char *at = text;
    for (*value = 0; *at >= '0' && *at <= '9'; at++)
        if (*value >> 32 == 0)
            *value = *value * 10 + (uint64_t)(*at - '0');
    return at == text ? 0 : at;
}

#if defined(__linux__)

/* The C library's streams allocate, so files are read by hand. */
typedef struct {
    int file;
    size_t begin, end;
    char bytes[4096];
} lines;

/* The next line, with a null for its newline, or null at the end. Skips lines longer than the buffer. */
static char *next_line(lines *l)
{
    int whole = 1;
    for (;;) {
        char *line = l->bytes + l->begin, *newline = memchr(line, '\n', l->end - l->begin);
        if (newline) {
            *newline = 0;
            l->begin = (size_t)(newline + 1 - l->bytes);
            if (whole)
                return line;
            whole = 1;
            continue;
        }
        l->end -= l->begin;
        memmove(l->bytes, line, l->end);
        l->begin = 0;
        if (l->end == sizeof l->bytes) {
            whole = 0;
            l->end = 0;
        }
        const ssize_t n = read(l->file, l->bytes + l->end, sizeof l->bytes - l->end);
        if (n <= 0)
            return 0; /* /proc ends every line */
        l->end += (size_t)n;
    }
}

/* Cuts off and returns the text before `separator`, or all of it; null if nothing is left. */
static char *next_field(char **rest, char separator)
{
    char *field = *rest, *end = field ? strchr(field, separator) : 0;
    *rest = end ? end + 1 : 0;
    if (end)
        *end = 0;
    return field;
}

typedef struct {
    size_t length;
    char text[4096];
} path;

/* Returns whether there was room for it. */
static int append(path *p, const char *text)
{
    const size_t n = strlen(text);
    if (n >= sizeof p->text - p->length)
        return 0;
    memcpy(p->text + p->length, text, n + 1);
    p->length += n;
    return 1;
}

static void cut(path *p, size_t length)
{
    p->length = length;
    p->text[length] = 0;
}

static int open_file(path *folder, const char *name)
{
    const size_t length = folder->length;
    const int file = append(folder, "/") && append(folder, name) ? open(folder->text, O_RDONLY | O_CLOEXEC) : -1;
    cut(folder, length);
    return file;
}

/* Reads numbers separated by spaces from a short file; returns whether it holds `count` of them and nothing else. */
static int read_numbers(path *folder, const char *name, uint64_t *values, int count)
{
    char text[64];
    const int file = open_file(folder, name);
    if (file < 0)
        return 0;
    const ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    text[n > 0 ? n : 0] = 0;
    const char *at = text;
    for (int i = 0; i < count; i++)
        if ((i && *at++ != ' ') || (at = number(at, &values[i])) == 0)
            return 0; /* "max" in version 2 and -1 in version 1 mean no limit */
    return !*at || *at == '\n';
}

/* The two versions of control groups, which say the same in different files. */
enum { UNIFIED, CPU, HIERARCHIES };

/* The processors that one group allows, rounded up. */
static unsigned quota_of(path *folder, int hierarchy)
{
    uint64_t t[2] = {0, 0}; /* the time that its threads may run in each period, and the period */
    const int known = hierarchy == UNIFIED ? read_numbers(folder, "cpu.max", t, 2)
                                           : read_numbers(folder, "cpu.cfs_quota_us", &t[0], 1) &&
                                                 read_numbers(folder, "cpu.cfs_period_us", &t[1], 1);
    if (!known || !t[1])
        return NO_QUOTA;
    const uint64_t processors = t[0] / t[1] + (t[0] % t[1] != 0 || !t[0]);
    return processors < NO_QUOTA ? (unsigned)processors : NO_QUOTA;
}

static unsigned lesser(unsigned a, unsigned b) { return a < b ? a : b; }

static int has_option(char *options, const char *name)
{
    for (char *option; (option = next_field(&options, ',')) != 0;)
        if (!strcmp(option, name))
            return 1;
    return 0;
}

/* Reads /proc/self/cgroup: lines of a number, controllers and the process's group, separated by colons. */
static int read_groups(path *process, path groups[HIERARCHIES])
{
    lines l = {.file = open_file(process, "cgroup")};
    if (l.file < 0)
        return 0;
    for (char *line; (line = next_line(&l)) != 0;) {
        const char *id = next_field(&line, ':');
        char *controllers = next_field(&line, ':');
        const int hierarchy = !strcmp(id, "0") ? UNIFIED : CPU;
        if (!line || (hierarchy == CPU && !has_option(controllers, "cpu")))
            continue;
        cut(&groups[hierarchy], 0);
        append(&groups[hierarchy], line);
    }
    close(l.file);
    return 1;
}

/* Replaces a backslash and three octal digits by the space, tab, newline or backslash that they stand for. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; text++, to++) {
        const int escape = text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' &&
                           text[3] >= '0' && text[3] <= '7';
        *to = escape ? (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0')) : *text;
        text += escape ? 3 : 0;
    }
    *to = 0;
}

/* The part of a group's path below a mount whose root is the group `top`, or null if the group is not below it. */
static const char *below(const char *group, const char *top)
{
    const size_t n = strcmp(top, "/") ? strlen(top) : 0;
    if (*group != '/' || strncmp(group, top, n) || (group[n] && group[n] != '/') || strstr(group, "/.."))
        return 0;
    return group + n + !strcmp(group + n, "/");
}

/* The least quota from the process's own group up to the mount that `line` of mountinfo describes. */
static unsigned quota_in_mount(char *line, path groups[HIERARCHIES], const char *root)
{
    path folder = {0};
    char *field = 0, *top = 0, *point = 0;
    for (int i = 0; line && !(i > 6 && !strcmp(field, "-")); i++) {
        field = next_field(&line, ' ');
        top = i == 3 ? field : top;
        point = i == 4 ? field : point;
    }
    const char *type = next_field(&line, ' ');
    next_field(&line, ' ');
    const int hierarchy = !type || !line                                       ? HIERARCHIES
                          : !strcmp(type, "cgroup2")                           ? UNIFIED
                          : !strcmp(type, "cgroup") && has_option(line, "cpu") ? CPU
                                                                               : HIERARCHIES;
    if (hierarchy == HIERARCHIES)
        return NO_QUOTA;
    unescape(top);
    unescape(point);
    const char *rest = below(groups[hierarchy].text, top);
    if (!rest || !append(&folder, root) || !append(&folder, point))
        return NO_QUOTA;
    const size_t mount = folder.length;
    if (!append(&folder, rest))
        return NO_QUOTA;
    unsigned least = NO_QUOTA;
    for (;;) {
        least = lesser(least, quota_of(&folder, hierarchy));
        const char *last = strrchr(folder.text + mount, '/');
        if (!last)
            return least;
        cut(&folder, (size_t)(last - folder.text));
    }
}

unsigned pyi_quota(const char *process, const char *root)
{
    path folder = {0}, groups[HIERARCHIES] = {{0}, {0}};
    lines l = {0};
    unsigned least = NO_QUOTA;
    if (!append(&folder, process) || !read_groups(&folder, groups))
        return least;
    l.file = open_file(&folder, "mountinfo");
    if (l.file < 0)
        return least;
    for (char *line; (line = next_line(&l)) != 0;)
        least = lesser(least, quota_in_mount(line, groups, root));
    close(l.file);
    return least;
}
#else
unsigned pyi_quota(const char *process, const char *root) { return process && root ? NO_QUOTA : 0; }
#endif

/* PYINIT_NUM_THREADS, 0 if not set, and the quota, 0 until both are read. Two threads may read them at once: they find
 * the same. */
static atomic_uint asked, quota;

pyi_status pyi_threads_init(void)
{
    const char *text = getenv("PYINIT_NUM_THREADS");
    uint64_t threads = 0;
    const int given = text && *text;
    const char *end = given ? number(text, &threads) : 0;
    const int valid = end && !*end && threads;
    asked = !valid ? 0 : threads < UINT_MAX ? (unsigned)threads : UINT_MAX;
    quota = pyi_quota("/proc/self", "");
    return given && !valid ? PYI_BAD_VALUE : PYI_OK;
}

/* How many processors the affinity mask has. */
static size_t usable(void)
{
#if defined(_WIN32)
    return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
#else
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (size_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
#endif
}

size_t pyi_processors(void)
{
    if (!quota)
        pyi_threads_init();
    const size_t n = usable(), most = quota;
    return n < most ? n : most;
}

size_t pyi_default_threads(void)
{
    const size_t processors = pyi_processors();
    return asked ? asked : processors;
}
