"""The examples, each built and run in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyinit

EXAMPLES = Path(__file__).parents[1] / "examples"

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


def test_the_folder_of_the_headers():
    assert {"pyinit.h", "philox.h", "simd_scalar.h"} <= set(os.listdir(pyinit.get_include()))
