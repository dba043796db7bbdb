"""The examples, each built and run in its own folder."""

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

import gloo
import numpy as np
import pytest

import pyinit

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]

CYTHON = """
import numpy as np, pyinit, article, walk
from pyinit import Stream
for n in (0, 1, 256, 100_001):
    path = np.zeros(n, np.float32)
    walk.random_walk(path, 42)
    assert np.array_equal(path, np.cumsum(Stream(42).normal(n), dtype=np.float32)), n

weights, quarter, bias = (np.ones(shape, np.float32) for shape in ((100, 502), (50, 251), 100))
article.weights(weights, 42)
assert np.array_equal(weights, Stream(42, "ars5").normal((100, 502), std=(2 / 602) ** 0.5))
article.part(quarter, 42, weights.shape, (0, 251))
assert np.array_equal(quarter, weights[:50, 251:])
try:
    article.part(quarter, 42, weights.shape, (0, 252))
except ValueError as error:
    print(error)

article.layer(weights, bias, 42)
named = {"layer.weight": np.empty_like(weights), "layer.bias": np.ones_like(bias)}
pyinit.initialize(named, Stream(42, "ars5"), {"*.bias": "zeros", "*": "xavier_normal"})
assert np.array_equal(weights, named["layer.weight"]) and np.array_equal(bias, named["layer.bias"])
"""


def run(folder, *command, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def printed(program, tmp_path, *arguments, launcher=(sys.executable,), **environment):
    """Return the lines that an example's Python program prints, run in a copy of its folder."""
    folder = shutil.copytree((EXAMPLES / program).parent, tmp_path / "example")
    environment = {"OMP_NUM_THREADS": "1", **environment}
    done = run(folder, *launcher, Path(program).name, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def fall(*lines):
    """Return the last loss in some lines, as a share of the first."""
    losses = [float(loss) for line in lines for loss in re.findall(r"\d+\.\d+", line)]
    return losses[-1] / losses[0]


def loaded(path):
    """Import an example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cython(tmp_path):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    folder = shutil.copytree(EXAMPLES / "cython", tmp_path / "cython")
    built = run(folder, sys.executable, "setup.py", "build_ext", "--inplace", CFLAGS="-O0")  # quicker to compile
    assert built.returncode == 0, built.stdout + built.stderr
    done = run(folder, sys.executable, "-c", CYTHON)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "an argument is outside its valid range\n"


def test_nanogpt(tmp_path):
    pytest.importorskip("torch")
    summary, _, up, down, *losses, moved = printed("torch/nanogpt.py", tmp_path)
    assert summary.startswith("41 tensors, 15 of them random, from seed 0")
    assert up.endswith("up.weight: Normal(std=0.02)")
    assert float(re.search(r"down.weight: Normal\(std=(.+)\)", down)[1]) == pytest.approx(0.02 / math.sqrt(2 * 3))
    assert fall(*losses) < 0.8
    assert re.match("4[01] of 41 tensors have moved", moved)


def test_mezo(tmp_path):
    pytest.importorskip("torch")
    loss, memory, again = printed("torch/mezo.py", tmp_path)
    assert fall(loss) < 0.7
    weights, noise = (int(size.replace(",", "")) for size in re.findall(r"(?:weights|most) ([\d,]*\d)", memory))
    assert 0 < noise < weights / 8
    assert again == "the same weights again, from the seed and 300 numbers"


def moved(sharded):
    """Return the weights of the example after two moves, in a world of processes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    example = loaded(EXAMPLES / "torch" / "mezo.py")
    model = example.build("cpu")
    if sharded:
        model = fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    for step in range(2):
        example.move(model, step, 0.5)
    wholes = (weight.full_tensor() if sharded else weight for weight in model.parameters())
    return [whole.detach().numpy().tobytes() for whole in wholes]


def test_the_noise_of_mezo_does_not_depend_on_the_shards():
    pytest.importorskip("torch.distributed.fsdp", reason="needs FSDP2").fully_shard  # noqa: B018
    with gloo.pool(2) as processes:
        assert processes.run(2, moved, True) == [moved(False)] * 2


def test_torchrun(tmp_path):
    pytest.importorskip("torch.distributed.fsdp", reason="needs FSDP2").fully_shard  # noqa: B018
    from pyinit.adapters import torch as pt

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    weights, loss = printed("torchrun/train.py", tmp_path, launcher=torchrun, PYINIT_NUM_THREADS="1")
    example = loaded(EXAMPLES / "torchrun" / "train.py")
    with pt.fast_init(example.SEED):
        model = example.Reverser()
    assert weights == f"3 processes: {example.digest(model)}"
    assert fall(loss) < 0.8


def test_ray(tmp_path):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    shape = (2000, 1001)
    scheme = pyinit.initializers.xavier_uniform()
    whole = scheme(np.empty(shape, np.float32), pyinit.Stream(0).child("fc.weight"))
    quiet = {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with tempfile.TemporaryDirectory(prefix="ray") as short:  # the names of Ray's sockets have a length limit
        *_, last = printed("ray/fill.py", tmp_path, "7", RAY_TMPDIR=short, **quiet)
    assert last == f"7 tasks: {hashlib.sha256(whole).hexdigest()}"


@pytest.fixture
def mpi(tmp_path):
    """The environment that mpi4py needs to find MPI."""
    if importlib.util.find_spec("mpi4py") is None or not shutil.which("mpiexec"):
        pytest.skip("no mpi4py, or no mpiexec")
    folder = tmp_path / "libraries"
    folder.mkdir()
    if mpich := ctypes.util.find_library("mpich"):  # Debian's name for the library that mpi4py's wheels need
        (folder / "libmpi.so.12").symlink_to(Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", mpich))
    found = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), str(folder)]))}
    tried = run(tmp_path, sys.executable, "-c", "from mpi4py import MPI", **found)
    if tried.returncode:
        pytest.skip(f"mpi4py finds no MPI: {tried.stderr.strip().splitlines()[-1]}")
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_mpi(tmp_path, mpi, processes):
    lines = printed("mpi/fill.py", tmp_path, launcher=["mpiexec", "-n", str(processes), sys.executable], **mpi)
    whole = {
        "up.weight": pyinit.Stream(0).child("up.weight").normal((1000, 301), std=math.sqrt(2 / 301)),
        "up.bias": np.zeros(1000, np.float32),
        "down.weight": pyinit.Stream(0).child("down.weight").normal((301, 1000), std=0.02 / math.sqrt(24)),
    }
    digest = hashlib.sha256(b"".join(w.tobytes() for w in whole.values())).hexdigest()
    assert lines == [f"{processes} processes: {digest}"]


def test_equinox(tmp_path):
    pytest.importorskip("jax", minversion="0.9")
    pytest.importorskip("equinox")
    size, loss = printed("jax/equinox_mlp.py", tmp_path)
    assert size == "345,168 weights from seed 0"
    assert fall(loss) < 0.2


def test_flax(tmp_path):
    pytest.importorskip("jax", minversion="0.9")
    for package in ("flax", "optax", "sklearn"):
        pytest.importorskip(package)
    size, loss, right = printed("jax/flax_mlp.py", tmp_path)
    assert size == "26,122 weights"
    assert fall(loss) < 0.1
    assert int(right.partition("%")[0]) > 80


def test_keras(tmp_path):
    for package in ("keras", os.environ["KERAS_BACKEND"], "sklearn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    weights, loss, right = printed("keras/train.py", tmp_path)
    stream = pyinit.Stream(0)
    kernels = {"conv": ((3, 3, 1, 16), "he"), "hidden": ((576, 64), "he"), "scores": ((64, 10), "glorot")}
    schemes = {
        "he": pyinit.initializers.he_truncated_normal(layout="in_out"),
        "glorot": pyinit.initializers.glorot_uniform(layout="in_out"),
    }
    digest = hashlib.sha256()
    for name, (shape, scheme) in kernels.items():
        digest.update(schemes[scheme](np.empty(shape, np.float32), stream.child(name)))
        digest.update(np.zeros(shape[-1], np.float32))
    assert weights == f"37,738 weights: {digest.hexdigest()}"
    assert fall(loss) < 0.3
    assert int(right.partition("%")[0]) > 80


def test_dask(tmp_path):
    pytest.importorskip("dask", minversion="2025.1")
    pytest.importorskip("zarr", minversion="3")
    scheme, stream = pyinit.initializers.xavier_uniform(), pyinit.Stream(0).child("layers.0.up.weight")
    digest = hashlib.sha256(scheme(np.empty((4000, 1500), np.float32), stream)).hexdigest()
    few, many = printed("dask/to_zarr.py", tmp_path)
    assert few.split() == f"4 chunks of (1000, 1500): {digest}".split()
    assert many.split() == f"24 chunks of (700, 400): {digest}".split()


def test_the_readme_has_a_row_for_each_program():
    programs = {str(p.relative_to(EXAMPLES)) for kind in ("py", "pyx", "c") for p in EXAMPLES.glob(f"*/*.{kind}")}
    listed = re.findall(r"^\| \[(.+?)\]\(\1\) \|", (EXAMPLES / "README.md").read_text(), re.M)
    assert sorted(listed) == sorted(programs - {"cython/setup.py"})


def test_the_folder_of_the_headers():
    assert {"pyinit.h", "philox.h", "simd_scalar.h"} <= set(os.listdir(pyinit.get_include()))
