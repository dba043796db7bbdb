"""The examples, each built and run in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import pyinit

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]

WALK = """
import numpy as np, pyinit, walk
for n in (0, 1, 256, 100_001):
    path = np.zeros(n, np.float32)
    walk.random_walk(path, 42)
    assert np.array_equal(path, np.cumsum(pyinit.Stream(42).normal(n), dtype=np.float32)), n
print(len(path))
"""


def python(folder, *arguments):
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_cython(tmp_path):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    folder = shutil.copytree(EXAMPLES / "cython", tmp_path / "cython")
    built = python(folder, "setup.py", "build_ext", "--inplace")
    assert built.returncode == 0, built.stdout + built.stderr
    assert python(folder, "-c", WALK).stdout == "100001\n"


def test_torch(tmp_path):
    pytest.importorskip("torch")
    folder = shutil.copytree(EXAMPLES / "torch", tmp_path / "torch")
    done = python(folder, "train.py")
    assert done.returncode == 0, done.stderr
    summary, _, recipes, loss, moved = done.stdout.strip().splitlines()
    assert summary.startswith("28 tensors, 16 of them random, from seed 0")
    assert recipes.startswith("mul(Normal(), 0.02) | TruncatedNormal(std=0.02")
    before, after = map(float, re.findall(r"[\d.]+", loss))
    assert after < 0.8 * before
    assert moved.startswith("28 of 28 tensors have moved")


def test_the_folder_of_the_headers():
    assert {"pyinit.h", "philox.h", "simd_scalar.h"} <= set(os.listdir(pyinit.get_include()))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The folder of libpyinit.a and libpyinit.so."""
    if not (shutil.which("make") and shutil.which(COMPILER)):
        pytest.skip(f"no make, or no compiler {COMPILER}")
    folder = tmp_path_factory.mktemp("library")
    command = ["make", "-C", ROOT, "-j", "lib", f"LIB={folder}", f"CC={COMPILER}", "CFLAGS=-O1"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.mark.parametrize("name", ["libpyinit.a", "libpyinit.so"])
def test_c(library, tmp_path, name):
    program = tmp_path / "article"
    command = [COMPILER, "-Wall", "-Wextra", "-Werror", f"-I{pyinit.get_include()}", EXAMPLES / "c" / "article.c"]
    subprocess.run([*command, library / name, f"-Wl,-rpath,{library}", "-lm", "-lpthread", "-o", program], check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    mean, std, xavier = map(float, re.findall(r"-?0\.\d+", printed))
    assert abs(mean) < 1e-4
    assert std == pytest.approx(xavier, rel=2e-3)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF libraries with nm")
def test_the_c_library_exports_its_public_functions_alone(library):
    command = ["nm", "-D", "--defined-only", library / "libpyinit.so"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    declared = re.findall(r"\b(pyi_\w+)(?:\(|\[\];)", (ROOT / "src_c" / "pyinit.h").read_text())
    assert sorted(line.split()[-1] for line in listing.splitlines()) == sorted(set(declared))
