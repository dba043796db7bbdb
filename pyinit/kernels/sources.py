"""The text of the kernels: src_c/fill.cu and its headers, and how it is compiled."""

import re
from functools import cache
from pathlib import Path

from pyinit import _core
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import THREADS

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
DTYPES = tuple(row.enumerator for row in _core.DTYPES.values())
# Kernels that larger CUDA blocks make faster: 767 for 747 10^9 float32 a second on an H200.
LARGER_BLOCKS = {
    KernelKey(_core.GENERATORS["philox"], _core.METHODS.index("PYI_METHOD_BOX_MULLER"), _core.DTYPES[dtype].number)
    for dtype in ("float32", "float16", "bfloat16")
}


def kernel_name(key: KernelKey) -> str:
    """The kernel's name.

    Examples
    --------
    >>> pyinit.kernels.sources.kernel_name(KernelKey(0, 2, 1))
    'PYI_PHILOX4X32_10_PYI_METHOD_BOX_MULLER_PYI_F32_run'
    """
    return "_".join((*enumerators(key), key.kind))


def enumerators(key: KernelKey) -> tuple[str, str, str]:
    """What the core calls a generator, a method and a dtype."""
    generator, method, dtype, _ = key
    return _core.GENERATOR_ENUMERATORS[generator], _core.METHODS[method], DTYPES[dtype]


def block_threads(key: KernelKey) -> int:
    """The number of threads in a CUDA block of a kernel.

    Examples
    --------
    >>> pyinit.kernels.sources.block_threads(KernelKey(0, 2, 1))
    512
    """
    return 2 * THREADS if key in LARGER_BLOCKS else THREADS


def source(key: KernelKey, job_bytes: int, language: str = "CUDA") -> str:
    """The text of a kernel: fill.cu with its headers in place, the system's left out.

    Parameters
    ----------
    key : KernelKey
    job_bytes : int
        The size of a job on the host, which must be the device's.
    language : {"CUDA", "OPENCL"}

    Returns
    -------
    str
        CUDA C++ for NVRTC, which needs `FLAGS`, or OpenCL C, with `OPENCL_OPTIONS`; and no file.

    Examples
    --------
    >>> "#include" in pyinit.kernels.sources.source(KernelKey(0, 0, 0), 360)
    False
    """
    return "\n".join(
        (
            f"#define PYI_CUDA_THREADS {block_threads(key)}",
            text("fill.cu"),
            f'static_assert(sizeof(pyi_job) == {job_bytes}, "a job is the same on both sides");',
            f"PYI_{language}_{key.kind.upper()}({', '.join(enumerators(key))})",
            "",
        )
    )


@cache
def text(name: str) -> str:
    """The text of a file of the core with its headers in place, the system's left out."""
    folder, seen = Path(get_include()), set()

    def whole(name: str) -> str:
        return re.sub(r'(?m)^#include ([<"])(.*)[>"]$', included, (folder / name).read_text(encoding="utf-8"))

    def included(line: re.Match[str]) -> str:
        if line[1] == "<" or line[2] in seen:
            return ""
        seen.add(line[2])
        return whole(line[2])

    return whole(name)


def get_include() -> str:
    """The folder of pyinit.h, for the compiler of a module that calls the core or cimports `pyinit._core`.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the headers are neither in the package nor in a checkout around it.

    Examples
    --------
    >>> import os
    >>> "pyinit.h" in os.listdir(pyinit.get_include())
    True
    """
    package = Path(_core.__file__).parent
    for folder in (package / "include", package.parent / "src_c"):  # installed; in a checkout
        if (folder / "pyinit.h").is_file():
            return str(folder)
    raise FileNotFoundError(f"pyinit.h is not where it should be, in {package / 'include'}")
