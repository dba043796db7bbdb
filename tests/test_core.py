"""The C core as such: what it calls, and how it may not be built."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src_c"
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", f"-I{SOURCES}"]

pytestmark = pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")


def compile_all(folder, *flags):
    """An object of each source, several at once; the errors of the compiler."""

    def run(source):
        command = [COMPILER, *FLAGS, *flags, "-c", source]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(run, sorted(SOURCES.glob("*.c"))))


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    assert not compile_all(folder)
    return sorted(folder.glob("*.o"))


def macros(*flags):
    command = [COMPILER, *flags, "-dM", "-E", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF objects with nm")
def test_the_core_calls_no_allocator_and_no_mathematics_beyond_ieee(objects):
    listing = subprocess.run(["nm", "-u", *objects], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1] for line in listing.splitlines() if " U " in line}
    exact = {"fma", "fmaf", "sqrt", "sqrtf", "nextafter", "nextafterf"}  # rounded correctly by definition
    system = {
        "memcpy",
        "memmove",
        "memset",
        "strcmp",
        "getenv",
        "getauxval",
        "clock_gettime",
        "sched_getaffinity",
        "__sched_cpucount",
        "sysconf",
    }
    threads = {"pthread_create", "pthread_join"}
    compilers_own = {name for name in called if name.startswith(("_GLOBAL_OFFSET", "__cpu_", "__stack_chk"))}
    assert not {n for n in called if not n.startswith("pyi_")} - exact - system - threads - compilers_own
    assert "pthread_create" in called


@pytest.mark.parametrize("flag", ["-ffast-math", "-funsafe-math-optimizations", "-ffinite-math-only"])
def test_fast_math_is_refused(tmp_path, flag):
    if flag == "-funsafe-math-optimizations" and "__ASSOCIATIVE_MATH__" not in macros(flag):
        pytest.skip(f"{COMPILER} does not tell the sources of {flag}")
    assert "must not be built with -ffast-math" in compile_all(tmp_path, flag)
    assert not (tmp_path / "fill_scalar.o").exists()


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="reads x86 instructions")
def test_only_the_tiers_own_files_use_wide_instructions(objects):
    for file in objects:
        code = subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout
        assert ("%zmm" in code) == (file.stem == "fill_avx512"), file.name
        assert ("%ymm" in code) == (file.stem in ("fill_avx2", "fill_avx512")), file.name


def test_random_jobs_under_the_sanitizers(tmp_path):
    program, sanitize = tmp_path / "fuzz", ["-fsanitize=address,undefined", "-fno-sanitize=alignment", "-O1", "-g"]
    assert not compile_all(tmp_path, *sanitize)
    sources = [*tmp_path.glob("*.o"), SOURCES.parent / "tests" / "fuzz.c"]
    command = [COMPILER, *FLAGS, *sanitize, *sources, "-o", program, "-lm", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode and "asan" in built.stderr:
        pytest.skip(f"{COMPILER} has no sanitizers here")
    assert built.returncode == 0, built.stderr
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
