"""The core for Windows: as clang-cl compiles it, with its fast tiers, and as MinGW does. clang_cl/ declares the
functions that it calls, so clang-cl needs no Windows here; only Windows can show whether the code runs."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT

TIERS = {
    "x86_64": {b"pyi_kernels_avx512_bf16", b"pyi_kernels_avx512", b"pyi_kernels_avx2", b"pyi_kernels_scalar"},
    "aarch64": {b"pyi_kernels_neon", b"pyi_kernels_scalar"},
}


def flags():
    """Return the flags of setup.py, which builds extensions when it is imported."""
    return re.findall(r'"(.+?)"', re.search(r"^CLANG_CL_FLAGS = \[(.+)\]$", (ROOT / "setup.py").read_text(), re.M)[1])


def compiled(processor, source, *more):
    if not shutil.which("clang"):
        pytest.skip("no clang")
    command = ["clang", "--driver-mode=cl", f"--target={processor}-pc-windows-msvc19.38", "/nologo", "/W4", "/WX"]
    command += [*flags(), f"/imsvc{ROOT / 'tests' / 'clang_cl'}", *more, "/c", "--", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("processor", TIERS)
def test_the_core_is_clean(processor):
    sources = sorted((ROOT / "src_c").glob("*.c"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: compiled(processor, source, "/clang:-fsyntax-only"), sources))


@pytest.mark.parametrize("processor", TIERS)
def test_there_are_fast_tiers_to_choose_from(processor, tmp_path):
    path = tmp_path / "dispatch.obj"
    compiled(processor, ROOT / "src_c" / "dispatch.c", f"/Fo{path}")
    names = set(re.findall(rb"pyi_kernels_\w+|__cpu_\w+", path.read_bytes()))
    assert (
        names == TIERS[processor]
    )  # and nothing from clang's own library, such as __cpu_model, which clang-cl does not link


def test_mingw_must_have_an_exact_fma():
    """Its library's fma rounds twice: on the scalar tier, 114 of 292 golden hashes were different."""
    compiler = "x86_64-w64-mingw32-gcc"
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    command = [compiler, "-std=gnu11", "-fsyntax-only", ROOT / "src_c" / "fill_scalar.c"]
    refused = subprocess.run([*command, "-O2"], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "MinGW's fma is not exact" in refused.stderr
    subprocess.run([*command, "-O2", "-mfma"], check=True)
