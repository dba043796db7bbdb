"""Fixtures of several test modules: every tier and every generator in turn, and the core's own functions."""

import ctypes
import gc
import os
import shlex
import shutil
import subprocess
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import pyinit
from pyinit import _core

# For the tests of shardings, JAX shows a CPU as several devices if this is set before it starts.
if "device_count" not in (flags := os.environ.get("XLA_FLAGS", "")):
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else JAX takes most of a GPU's memory

GENERATORS = tuple(_core.GENERATORS)
ROOT = Path(__file__).parents[1]
os.environ.setdefault("KERAS_BACKEND", "jax")  # the tests need JAX anyway; Keras reads this on import
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
# `make sanitize` sets these: flags for compiling the C programs, and a program to run them under, such as valgrind.
SANITIZERS = shlex.split(os.environ.get("PYINIT_TEST_CFLAGS", ""))
UNDER = shlex.split(os.environ.get("PYINIT_TEST_UNDER", ""))


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """A kernel cache for this session, shared by all workers of pytest-xdist; the user's cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYINIT_CACHE_DIR", str(shared_folder(tmp_path_factory) / "cache"))
        yield


def shared_folder(tmp_path_factory):
    """The temporary folder of all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(params=pyinit.isa.available())
def tier(request):
    """Run the test once on each instruction set of this machine."""
    with pyinit.isa.use(request.param):
        yield request.param


@pytest.fixture(params=GENERATORS[:2])
def generator(request):
    """Philox, and ARS with five rounds. Tests of bits and of quality use GENERATORS, which also has ARS with seven."""
    return request.param


@pytest.fixture(scope="session")
def cupy():
    """CuPy, if it finds a GPU."""
    module = pytest.importorskip("cupy", reason="no CuPy, and so no GPU to run on")
    try:
        module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    if "PYINIT_TEST_EACH_ALLOCATION" in os.environ:  # so that a memory checker sees the end of each array
        module.cuda.set_allocator(None)
    return module


@pytest.fixture
def no_threads_left():
    """Wait until the threads of a case have ended: a later test that forks must not meet them."""
    before = threading.active_count()
    yield
    gc.collect()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)


class Core:
    """The one-lane kernels on given words, and the functions that turn parameters into constants."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        pointer = np.ctypeslib.ndpointer
        self.library.samples_of_words.argtypes = (
            ctypes.c_int,
            pointer(np.float64),
            ctypes.c_int,
            pointer(np.uint64),
            ctypes.c_size_t,
            pointer(np.float64),
        )

    def samples(self, sampler, parameters, words, dtype="float32"):
        """Return the samples of `words` as float64, and the method; words have 64 bits for float64 and otherwise 32."""
        words = np.asarray(words, np.uint64)
        out, p = np.empty(len(words)), np.zeros(4)
        p[: len(parameters)] = parameters
        kind = _core.DTYPES[dtype].number
        method = self.library.samples_of_words(_core.SAMPLERS[sampler].number, p, kind, words, len(words), out)
        assert method >= 0
        return out, _core.METHODS[method].removeprefix("PYI_METHOD_").removeprefix("TRUNCATED_").lower()

    def call(self, name, *x):
        function = getattr(self.library, f"call_{name}")
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * len(x)
        return function(*x)


# Also the flags of test_processors.py, which checks that the bits hold without -ffp-contract=off.
CORE_FLAGS = ["-std=gnu11", "-fno-math-errno", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'src_c'}"]


def compile_all(folder, sources, command):
    """Compile each file on its own, on all processors, kernels first as the slowest; return objects and errors."""

    def build(source):
        return subprocess.run(
            [*command, "-c", source, "-o", folder / f"{source.stem}.o"], capture_output=True, text=True, check=False
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(build, sorted(sources, key=lambda source: not source.stem.startswith("fill")))
        errors = "".join(result.stderr for result in results if result.returncode)
    return sorted(folder.glob("*.o")), errors


@pytest.fixture(scope="session")
def core_objects(tmp_path_factory):
    """The whole core, built as for use, once for all tests and all workers of pytest-xdist."""
    if not shutil.which(COMPILER):
        pytest.skip(f"no C compiler {COMPILER}")
    fcntl = pytest.importorskip("fcntl")
    folder = shared_folder(tmp_path_factory)
    with (folder / "core.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = folder / "core"
        if not built.exists():
            built.mkdir()
            command = [COMPILER, "-O3", "-fPIC", *CORE_FLAGS, *SANITIZERS]
            _, errors = compile_all(built, (ROOT / "src_c").glob("*.c"), command)
            assert not errors
        return sorted(built.glob("*.o"))


@pytest.fixture(scope="session")
def core(tmp_path_factory):
    if not shutil.which(COMPILER):
        pytest.skip(f"no C compiler {COMPILER}")
    path = tmp_path_factory.mktemp("core") / "core.so"
    flags = ["-std=gnu11", "-O1", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", f"-I{ROOT / 'src_c'}"]
    sources = [ROOT / "tests" / "words.c", ROOT / "tests" / "parameters.c", ROOT / "src_c" / "tables.c"]
    subprocess.run([COMPILER, *flags, *SANITIZERS, *sources, "-o", path, "-lm"], check=True)
    return Core(path)
