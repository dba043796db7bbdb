"""The examples, each built and run in a folder of its own."""

import ctypes.util
import hashlib
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
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


def python(folder, *arguments, launcher=(), **environment):
    command = [*launcher, sys.executable, *arguments]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def loaded(path):
    """The module that an example is."""
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_torchrun(tmp_path):
    pytest.importorskip("torch.distributed.fsdp", reason="needs FSDP2").fully_shard  # noqa: B018
    from pyinit.adapters import torch as pt

    folder = shutil.copytree(EXAMPLES / "torchrun", tmp_path / "torchrun")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", "train.py"]
    done = python(folder, *command, OMP_NUM_THREADS="1", PYINIT_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    weights, loss = done.stdout.strip().splitlines()
    example = loaded(folder / "train.py")
    with pt.fast_init(example.SEED):
        model = example.Reverser()
    assert weights == f"3 processes: {example.digest(model)}"
    before, after = map(float, re.findall(r"[\d.]+", loss))
    assert after < 0.8 * before


def test_ray(tmp_path):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    shape = (2000, 1001)
    scheme = pyinit.initializers.xavier_uniform()
    whole = scheme(np.empty(shape, np.float32), pyinit.Stream(0).child("fc.weight"))
    folder = shutil.copytree(EXAMPLES / "ray", tmp_path / "ray")
    with tempfile.TemporaryDirectory(prefix="ray") as short:  # the names of Ray's sockets have a limit
        done = python(
            folder,
            "fill.py",
            "7",
            RAY_TMPDIR=short,
            HOME=str(tmp_path),
            RAY_USAGE_STATS_ENABLED="0",
            RAY_AUTH_MODE="disabled",
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == f"7 tasks: {hashlib.sha256(whole).hexdigest()}"


@pytest.fixture
def mpi(tmp_path):
    """What mpi4py needs in the environment to find MPI."""
    if importlib.util.find_spec("mpi4py") is None or not shutil.which("mpiexec"):
        pytest.skip("no mpi4py, or no mpiexec")
    folder = tmp_path / "libraries"
    folder.mkdir()
    if mpich := ctypes.util.find_library("mpich"):  # as Debian calls what mpi4py's wheels look for
        (folder / "libmpi.so.12").symlink_to(Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", mpich))
    found = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), str(folder)]))}
    tried = python(tmp_path, "-c", "from mpi4py import MPI", **found)
    if tried.returncode:
        pytest.skip(f"mpi4py finds no MPI: {tried.stderr.strip().splitlines()[-1]}")
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_mpi(tmp_path, mpi, processes):
    folder = shutil.copytree(EXAMPLES / "mpi", tmp_path / "mpi")
    done = python(folder, "fill.py", launcher=["mpiexec", "-n", str(processes)], **mpi)
    assert done.returncode == 0, done.stderr
    whole = {
        "up.weight": pyinit.Stream(0).child("up.weight").normal((1000, 301), std=math.sqrt(2 / 301)),
        "up.bias": np.zeros(1000, np.float32),
        "down.weight": pyinit.Stream(0).child("down.weight").normal((301, 1000), std=0.02 / math.sqrt(24)),
    }
    digest = hashlib.sha256(b"".join(w.tobytes() for w in whole.values())).hexdigest()
    assert done.stdout == f"{processes} processes: {digest}\n"


def test_jax(tmp_path):
    pytest.importorskip("jax", minversion="0.9")
    pytest.importorskip("equinox")
    folder = shutil.copytree(EXAMPLES / "jax", tmp_path / "jax")
    done = python(folder, "train.py")
    assert done.returncode == 0, done.stderr
    size, loss = done.stdout.strip().splitlines()
    assert size == "345,168 weights from seed 0"
    before, after = map(float, re.findall(r"[\d.]+", loss))
    assert after < 0.2 * before


def test_the_folder_of_the_headers():
    assert {"pyinit.h", "philox.h", "simd_scalar.h"} <= set(os.listdir(pyinit.get_include()))
