"""The source of the kernels, src_c/fill.cu and its headers, and the compilers' flags."""

import re
from functools import cache
from pathlib import Path

from pyinit import _core
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import THREADS

FLAGS = (
    "--std=c++17",
    # The contract defines the bits by the operations as written, each rounded to nearest, with subnormals.
    "--fmad=false",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
)
OPENCL_OPTIONS = (
    "-cl-std=CL1.2",
    "-cl-fp32-correctly-rounded-divide-sqrt",  # target.h turns contraction off
)
WITHOUT_DOUBLES = "-cl-single-precision-constant"  # for devices without doubles, where constants would be errors
DTYPES = tuple(row.enumerator for row in _core.DTYPES.values())
# Kernels that are faster with larger CUDA blocks: 767 instead of 747 10^9 float32 a second on an H200.
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
    """The core's names of a kernel's generator, method and dtype."""
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
    """The source of a kernel: fill.cu with its headers inserted, without the system's.

    Parameters
    ----------
    key : KernelKey
    job_bytes : int
        The size of a job on the host; the device's must be the same.
    language : {"CUDA", "OPENCL"}

    Returns
    -------
    str
        CUDA C++ for NVRTC with `FLAGS`, or OpenCL C for `OPENCL_OPTIONS`. It includes no files.

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
    """The text of a file of the core with its headers inserted, without the system's."""
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
    raise FileNotFoundError(f"pyinit.h is missing: it should be in {package / 'include'}")
