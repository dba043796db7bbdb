"""The text of the kernels: src_c/fill.cu and its headers, and how it is compiled."""

import re
from functools import cache
from pathlib import Path

FLAGS = (
    "--std=c++17",
    # The bits are defined by the operations as written, each rounded to nearest, subnormals kept.
    "--fmad=false",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
)
OPENCL_OPTIONS = (
    "-cl-std=CL1.2",
    "-cl-fp32-correctly-rounded-divide-sqrt",  # what contracts a multiply and an add is off in target.h
)
WITHOUT_DOUBLES = "-cl-single-precision-constant"  # where a device has none, else their constants would be errors
GENERATORS = ("PYI_PHILOX4X32_10", "PYI_ARS4X32_5")
METHODS = tuple(
    f"PYI_METHOD_{name}"
    for name in ("BITS", "UNIFORM", "BOX_MULLER", "ICDF", "TRUNCATED_CENTRE", "TRUNCATED_TAIL", "TRUNCATED_NARROW")
)
DTYPES = ("PYI_U32", "PYI_F32", "PYI_F64", "PYI_F16", "PYI_BF16")


def kernel_name(kind: tuple[int, int, int], is_run: bool) -> str:
    """The kernel's name: of a generator, a method and a dtype, as the core numbers them.

    Examples
    --------
    >>> pyinit.kernels.sources.kernel_name((0, 2, 1), is_run=True)
    'PYI_PHILOX4X32_10_PYI_METHOD_BOX_MULLER_PYI_F32_run'
    """
    return "_".join((*_enumerators(kind), "run" if is_run else "window"))


def source(kind: tuple[int, int, int], job_bytes: int, language: str = "CUDA") -> str:
    """The text of the kernels of one kind: fill.cu with its headers in place, the system's left out.

    Parameters
    ----------
    kind : tuple of int
        Generator, method and dtype, as the core numbers them.
    job_bytes : int
        The size of a job on the host, which must be the device's.
    language : {"CUDA", "OPENCL"}

    Returns
    -------
    str
        CUDA C++ for NVRTC, which needs `FLAGS`, or OpenCL C, with `OPENCL_OPTIONS`; and no file.

    Examples
    --------
    >>> "#include" in pyinit.kernels.sources.source((0, 0, 0), 360)
    False
    """
    return "\n".join(
        (
            text("fill.cu"),
            f'static_assert(sizeof(pyi_job) == {job_bytes}, "a job is the same on both sides");',
            f"PYI_{language}_KERNELS({', '.join(_enumerators(kind))})",
            "",
        )
    )


def _enumerators(kind: tuple[int, int, int]) -> tuple[str, str, str]:
    generator, method, dtype = kind
    return GENERATORS[generator], METHODS[method], DTYPES[dtype]


@cache
def text(name: str) -> str:
    """The text of a file of the core with its headers in place, the system's left out."""
    import pyinit

    folder, seen = Path(pyinit.get_include()), set()

    def whole(name: str) -> str:
        return re.sub(r'(?m)^#include ([<"])(.*)[>"]$', included, (folder / name).read_text(encoding="utf-8"))

    def included(line: re.Match[str]) -> str:
        if line[1] == "<" or line[2] in seen:
            return ""
        seen.add(line[2])
        return whole(line[2])

    return whole(name)
