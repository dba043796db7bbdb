"""Builds the extensions: the boundary over the C core, and what reaches the core through it. Else: pyproject.toml."""

from glob import glob

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -ffp-contract=off: the bits are defined by the operations as written. -fno-math-errno: sqrt as an instruction.
# gnu11, since GCC in standard C evaluates floats as doubles on some processors.
UNIX_FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra"]
MSVC_FLAGS = ["/std:c11", "/experimental:c11atomics", "/O2", "/fp:precise"]


class BuildCore(build_ext):
    """Picks the flags of the compiler at hand."""

    def build_extensions(self) -> None:
        flags = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else UNIX_FLAGS
        for extension in self.extensions:
            extension.extra_compile_args = flags
        super().build_extensions()


def extension(name: str, sources: list[str]) -> Extension:
    return Extension(
        f"pyinit.{name}",
        [f"pyinit/{name}.pyx", *sources],
        include_dirs=["src_c", numpy.get_include()],
        depends=sorted(glob("src_c/*.h")),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )


extensions = [extension("_core", sorted(glob("src_c/*.c"))), extension("bit_generator", [])]

setup(ext_modules=cythonize(extensions), cmdclass={"build_ext": BuildCore})
