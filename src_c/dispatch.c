/* The table of tiers, best first, and the choice of a tier. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#if defined(PYI_X86)
#include <cpuid.h>
#elif defined(PYI_NEON) && (defined(__linux__) || defined(__FreeBSD__) || defined(__OpenBSD__))
#include <sys/auxv.h>
#endif

/* Defined by the files fill_*.c. pyi_kernels_avx512_bf16 has only bfloat16 kernels, for jobs without subnormal
 * floats. */
extern PYI_HIDDEN const pyi_kernels pyi_kernels_scalar, pyi_kernels_avx2, pyi_kernels_avx512, pyi_kernels_avx512_bf16,
    pyi_kernels_neon, pyi_kernels_vector;

typedef struct {
    const char *name;
    int (*available)(void);
    const pyi_kernels *kernels, *bf16; /* `bf16` uses the processor's conversion, which flushes subnormals */
} tier;

static int always(void) { return 1; }

#if defined(PYI_X86)
/* Bits of cpuid's results: leaf 1, ECX; leaf 7, EBX and ECX; leaf 7.1, EAX. */
#define FMA (1u << 12)
#define AES (1u << 25)
#define OSXSAVE (1u << 27)
#define AVX (1u << 28)
#define F16C (1u << 29)
#define AVX2 (1u << 5)
#define AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define VAES (1u << 9)
#define AVX512_BF16 (1u << 5)
/* Bits of the register XCR0, the state that the operating system saves: XMM and YMM; then also the masks and ZMM. macOS
 * reports the latter only once a thread has used them. */
#define YMM 0x06u
#if defined(__APPLE__)
#define ZMM YMM
#else
#define ZMM 0xe6u
#endif

/* Not by __builtin_cpu_supports: clang-cl links no library for it, and clang 14's version does not know all bits. */
static int has(unsigned leaf_7_ebx, unsigned leaf_7_ecx, unsigned leaf_7_1_eax, unsigned saved)
{
    const unsigned needed = FMA | AES | OSXSAVE | AVX | F16C;
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & needed) != needed)
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    if ((low & saved) != saved || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & leaf_7_ebx) != leaf_7_ebx ||
        (c & leaf_7_ecx) != leaf_7_ecx)
        return 0;
    return !leaf_7_1_eax || (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & leaf_7_1_eax) == leaf_7_1_eax);
}
static int has_avx2(void) { return has(AVX2, 0, 0, YMM); }
static int has_avx512(void) { return has(AVX2 | AVX512, VAES, 0, ZMM); }
static int has_avx512_bf16(void) { return has(AVX2 | AVX512, VAES, AVX512_BF16, ZMM); }
#elif defined(PYI_NEON)
static int has_neon_aes(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (1 << 3)) != 0; /* HWCAP_AES */
#elif defined(__FreeBSD__) || defined(__OpenBSD__)
    unsigned long features = 0;
    return elf_aux_info(AT_HWCAP, &features, sizeof features) == 0 && (features & (1 << 3)) != 0;
#elif defined(__APPLE__) || defined(_WIN32)
    return 1; /* all their machines have it */
#else
    return 0;
#endif
}
#endif

/* Best first; of two with the same name, the first that the machine has. A machine that has a tier also has those after
 * it. */
static const tier TIERS[] = {
#if defined(PYI_X86)
    {"avx512", has_avx512_bf16, &pyi_kernels_avx512, &pyi_kernels_avx512_bf16},
    {"avx512", has_avx512, &pyi_kernels_avx512, NULL},
    {"avx2", has_avx2, &pyi_kernels_avx2, NULL},
#elif defined(PYI_NEON)
    {"neon", has_neon_aes, &pyi_kernels_neon, NULL},
#endif
#if defined(PYI_HAS_VECTORS)
    {"vector", always, &pyi_kernels_vector, NULL},
#endif
    {"scalar", always, &pyi_kernels_scalar, NULL},
};
#define TIER_COUNT (sizeof TIERS / sizeof *TIERS)

/* A constant, so that no thread writes what another reads: the tiers that a machine has are the end of this list. */
static const char *const NAMES[] = {
#if defined(PYI_X86)
    "avx512", "avx2",
#elif defined(PYI_NEON)
    "neon",
#endif
#if defined(PYI_HAS_VECTORS)
    "vector",
#endif
    "scalar", NULL};

static const tier *_Atomic active;

/* The tier of that name, or null if this machine does not have it. */
static const tier *find(const char *name)
{
    for (size_t i = 0; i < TIER_COUNT; i++)
        if (!strcmp(TIERS[i].name, name) && TIERS[i].available())
            return &TIERS[i];
    return NULL;
}

const char *const *pyi_isa_available(void)
{
    const char *const *names = NAMES;
    while (!find(*names))
        names++;
    return names;
}

pyi_status pyi_isa_select(const char *name)
{
    const tier *t = find(name);
    if (!t)
        return PYI_UNAVAILABLE;
    atomic_store(&active, t);
    return PYI_OK;
}

pyi_status pyi_isa_init(void)
{
    const char *name = getenv("PYINIT_ISA");
    const pyi_status best = pyi_isa_select(pyi_isa_available()[0]);
    return name && *name ? pyi_isa_select(name) : best;
}

static const tier *active_tier(void)
{
    const tier *t = atomic_load(&active);
    if (!t) {
        pyi_isa_init();
        t = atomic_load(&active);
    }
    return t;
}

const char *pyi_isa_active(void) { return active_tier()->name; }

pyi_kernel *pyi_dispatch(const pyi_job *job, unsigned *step)
{
    const tier *t = active_tier();
    const pyi_kernels *kernels = job->dtype == PYI_BF16 && !job->subnormals && t->bf16 ? t->bf16 : t->kernels;
    pyi_kernel *kernel = kernels->of[job->generator][job->method][job->dtype];
    if (!kernel) { /* a method that the processor's conversion does not cover */
        kernels = t->kernels;
        kernel = kernels->of[job->generator][job->method][job->dtype];
    }
    *step = kernels->step;
    return kernel;
}
