/* The table of tiers, best first, and the choice of one. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)
#define PYI_NEON
#if defined(__linux__) || defined(__FreeBSD__) || defined(__OpenBSD__)
#include <sys/auxv.h>
#endif
#elif defined(__x86_64__) && defined(__GNUC__)
#define PYI_X86
#include <cpuid.h>
#endif

typedef struct {
    const char *name;
    int (*available)(void);
    pyi_kernel_table *kernels;
} tier;

static int always(void) { return 1; }

#if defined(PYI_X86)
/* __builtin_cpu_supports asks the processor and the operating system, which must save the registers. That of clang 14
 * does not know "f16c", leaf 1, ECX bit 29, nor "vaes", leaf 7, ECX bit 9. */
static int has_avx2(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("aes") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}
static int has_avx512(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 1);
}
static int has_avx512_bf16(void)
{
    unsigned a, b, c, d; /* leaf 7.1, EAX bit 5 */
    return has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}
#elif defined(PYI_NEON)
static int has_neon_aes(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (1 << 3)) != 0; /* HWCAP_AES */
#elif defined(__FreeBSD__) || defined(__OpenBSD__)
    unsigned long features = 0;
    return elf_aux_info(AT_HWCAP, &features, sizeof features) == 0 && (features & (1 << 3)) != 0;
#elif defined(__APPLE__) || defined(_WIN32)
    return 1; /* every machine of theirs has it */
#else
    return 0;
#endif
}
#endif

static const tier TIERS[] = {
#if defined(PYI_X86)
    {"avx512", has_avx512, &pyi_kernels_avx512},
    {"avx2", has_avx2, &pyi_kernels_avx2},
#elif defined(PYI_NEON)
    {"neon", has_neon_aes, &pyi_kernels_neon},
#endif
    {"scalar", always, &pyi_kernels_scalar},
};
#define TIER_COUNT (sizeof TIERS / sizeof *TIERS)

static const tier *_Atomic active;
#if defined(PYI_X86)
static atomic_int converts_bf16; /* whether the active tier has an instruction for it */
#endif

const char *const *pyi_isa_available(void)
{
    /* Two threads may fill the list at once: they write the same. */
    static const char *_Atomic names[TIER_COUNT + 1];
    size_t n = 0;
#if defined(PYI_X86)
    __builtin_cpu_init();
#endif
    for (size_t i = 0; i < TIER_COUNT; i++)
        if (TIERS[i].available())
            names[n++] = TIERS[i].name;
    return (const char *const *)names;
}

pyi_status pyi_isa_select(const char *name)
{
    for (const char *const *have = pyi_isa_available(); *have; have++)
        if (!strcmp(*have, name))
            for (size_t i = 0; i < TIER_COUNT; i++)
                if (!strcmp(TIERS[i].name, name)) {
                    active = &TIERS[i];
#if defined(PYI_X86)
                    converts_bf16 = TIERS[i].kernels == &pyi_kernels_avx512 && has_avx512_bf16();
#endif
                    return PYI_OK;
                }
    return PYI_UNAVAILABLE;
}

pyi_status pyi_isa_init(void)
{
    const char *name = getenv("PYINIT_ISA");
    const pyi_status best = pyi_isa_select(pyi_isa_available()[0]);
    return name && *name ? pyi_isa_select(name) : best;
}

const char *pyi_isa_active(void)
{
    if (!active)
        pyi_isa_init();
    return active->name;
}

pyi_kernel *pyi_dispatch(const pyi_job *job)
{
    if (!active)
        pyi_isa_init();
#if defined(PYI_X86)
    if (job->dtype == PYI_BF16 && !job->subnormals && converts_bf16)
        return pyi_kernels_avx512_bf16[job->generator][job->method][job->dtype];
#endif
    return (*active->kernels)[job->generator][job->method][job->dtype];
}
