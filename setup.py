"""Build the extensions: the boundary around the C core, and the bit generator. The rest is in pyproject.toml."""

import gzip
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path
from typing import Any

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

# -ffp-contract=off: the operations as written define the bits. -fno-math-errno: sqrt becomes an instruction.
# gnu11: in standard C, GCC evaluates floats as doubles on some processors.
UNIX_FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra"]
MSVC_FLAGS = ["/std:c11", "/experimental:c11atomics", "/O2", "/fp:precise"]
CLANG_CL_FLAGS = ["/std:c11", "/O2", "/fp:precise", "/clang:-ffp-contract=off", "/clang:-fno-math-errno"]
# Cython's code for the boundary runs once a call, and -O1 makes it no slower; bit_generator's runs once a number.
BOUNDARY, BOUNDARY_FLAGS = "pyinit/_core.c", ["-O1"]


class BuildCore(build_ext):
    """Choose the flags for the compiler, and compile all files in parallel."""

    def build_extensions(self) -> None:
        unix = self.compiler.compiler_type != "msvc"
        flags = UNIX_FLAGS if unix else self.use_clang_cl() or MSVC_FLAGS
        if unix:
            # Python's own flags ask for debug symbols, which double the compile time. With --debug, which `make
            # sanitize` uses, -O1 and a sanitizer would take 20 seconds a kernel file instead of one.
            flags = [*flags, "-O0" if self.debug else "-g0"]
        for extension in self.extensions:
            extension.extra_compile_args = flags
        self.parallel = self.parallel or True
        compile_all = self.compiler.compile

        def compile_at_once(sources: list[str], extra_postargs: list[str], **options: Any) -> list[str]:
            def compile_one(source: str) -> list[str]:
                more = BOUNDARY_FLAGS if unix and source == BOUNDARY and not self.debug else []
                return compile_all([source], extra_postargs=[*extra_postargs, *more], **options)

            # The kernels take longest, so they come first.
            first = sorted(sources, key=lambda source: not Path(source).stem.startswith("fill"))
            made = dict(zip(first, pool.map(compile_one, first)))
            return [path for source in sources for path in made[source]]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self.compiler.compile = compile_at_once
            super().build_extensions()

    def use_clang_cl(self) -> list[str]:
        """Use clang-cl instead of cl, which has no GCC vector types and so builds only the scalar tier."""
        clang = shutil.which("clang-cl")
        if not clang:
            return []
        if not self.compiler.initialized:
            self.compiler.initialize(self.plat_name)
        self.compiler.cc = clang
        self.compiler.compile_options = [flag for flag in self.compiler.compile_options if flag != "/GL"]
        return CLANG_CL_FLAGS


ZIPS_FIRST_DAY = 315532800  # in 1980: a zip file, such as a wheel, has no earlier dates


class Sdist(sdist):
    """Make reproducible archives: files are sorted, have one date and no owners."""

    def make_archive(
        self, base_name: str, format: str, root_dir: Any = None, base_dir: Any = None, **owner: Any
    ) -> str:
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **owner)
        date = int(os.environ.get("SOURCE_DATE_EPOCH", ZIPS_FIRST_DAY))

        def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.mtime, member.mode = date, 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            return member

        path = f"{base_name}.tar.gz"
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(path, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=date) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir, filter=plain)
        return path


def extension(name: str, sources: list[str]) -> Extension:
    return Extension(
        f"pyinit.{name}",
        [f"pyinit/{name}.pyx", *sources],
        include_dirs=["src_c", numpy.get_include()],
        depends=sorted(glob("src_c/*.h")),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )


extensions = [extension("_core", sorted(glob("src_c/*.c"))), extension("bit_generator", [])]

setup(
    ext_modules=cythonize(extensions),
    cmdclass={"build_ext": BuildCore, "sdist": Sdist},
    # Makes an editable install an entry of sys.path. Python searches it before it takes a folder named pyinit, such as
    # one above a checkout, for the package; setuptools' other modes come too late for that.
    options={"editable_wheel": {"mode": "compat"}},
)
