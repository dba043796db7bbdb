/*
 * The floating-point environment of a filling thread: rounding to nearest, subnormals kept, no traps. A caller may use
 * another one (after torch.set_flush_denormal, for instance). It is restored after the fill, without the exception
 * flags that the fill raises.
 */
#ifndef PYI_FPENV_H
#define PYI_FPENV_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned pyi_fpenv;
static inline pyi_fpenv pyi_fpenv_enter(void)
{
    pyi_fpenv saved = _mm_getcsr();
    _mm_setcsr(0x1f80); /* the power-on value */
    return saved;
}
static inline void pyi_fpenv_leave(pyi_fpenv saved) { _mm_setcsr(saved); }

#elif defined(__aarch64__) && (defined(__clang__) || defined(__GNUC__))
typedef struct {
    uint64_t control, status;
} pyi_fpenv;
static inline pyi_fpenv pyi_fpenv_enter(void)
{
    pyi_fpenv saved;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr\n\tmsr fpcr, xzr"
                     : "=r"(saved.control), "=r"(saved.status)
                     :
                     : "memory");
    return saved;
}
static inline void pyi_fpenv_leave(pyi_fpenv saved)
{
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(saved.control), "r"(saved.status) : "memory");
}

#else
#include <fenv.h>
typedef fenv_t pyi_fpenv;
static inline pyi_fpenv pyi_fpenv_enter(void)
{
    pyi_fpenv saved;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    return saved;
}
static inline void pyi_fpenv_leave(pyi_fpenv saved) { fesetenv(&saved); }
#endif

#endif
