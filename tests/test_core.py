"""The C core as such: what it calls, and how it may not be built."""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import COMPILER, ROOT

SOURCES = ROOT / "src_c"
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", f"-I{SOURCES}"]

pytestmark = pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")


def compile_all(folder, sources, *flags):
    """Compiles file by file, on all processors, the kernels first, which take longest; the errors."""

    def build(source):
        command = [COMPILER, *FLAGS, *flags, "-c", str(source), "-o", str(folder / f"{source.stem}.o")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(build, sorted(sources, key=lambda source: not source.stem.startswith("fill")))
        return "".join(result.stderr for result in results if result.returncode)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    assert not compile_all(folder, SOURCES.glob("*.c"))
    return list(folder.glob("*.o"))


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF objects with nm")
def test_the_core_calls_no_allocator_and_no_mathematics_beyond_ieee(objects):
    listing = subprocess.run(["nm", "-u", *objects], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1] for line in listing.splitlines() if " U " in line}
    exact = {"fma", "fmaf", "sqrt", "sqrtf", "nextafter", "nextafterf"}  # rounded correctly by definition
    system = {
        "memcpy",
        "memmove",
        "memset",
        "memchr",
        "strchr",
        "strcmp",
        "strlen",
        "strncmp",
        "strrchr",
        "strstr",
        "open",
        "read",
        "close",
        "getenv",
        "getpid",
        "getauxval",
        "clock_gettime",
        "sched_getaffinity",
        "__sched_cpucount",
        "sysconf",
    }
    threads = {"pthread_create", "pthread_detach", "sched_yield", "nanosleep"}
    compilers_own = {name for name in called if name.startswith(("_GLOBAL_OFFSET", "__cpu_", "__stack_chk"))}
    assert not {n for n in called if not n.startswith("pyi_")} - exact - system - threads - compilers_own
    assert "pthread_create" in called


def macros(*flags):
    command = [COMPILER, *flags, "-dM", "-E", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("flag", ["-ffast-math", "-funsafe-math-optimizations", "-ffinite-math-only"])
def test_fast_math_is_refused(tmp_path, flag):
    if flag == "-funsafe-math-optimizations" and "__ASSOCIATIVE_MATH__" not in macros(flag):
        pytest.skip(f"{COMPILER} does not tell the sources of {flag}")
    errors = compile_all(tmp_path, SOURCES.glob("fill_scalar.c"), flag)
    assert "must not be built with -ffast-math" in errors


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="reads x86 instructions")
def test_only_the_tiers_own_files_use_wide_instructions(objects):
    for file in objects:
        code = subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout
        assert ("%zmm" in code) == file.stem.startswith("fill_avx512"), file.name
        assert ("%ymm" in code) == file.stem.startswith("fill_avx"), file.name


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize=alignment", "-O1"]
    assert not compile_all(folder, [*SOURCES.glob("*.c"), ROOT / "tests" / "fuzz.c"], *sanitize)
    link = [COMPILER, *sanitize, *map(str, folder.glob("*.o")), "-o", str(folder / "fuzz"), "-lm", "-lpthread"]
    linked = subprocess.run(link, capture_output=True, text=True, check=False)
    if linked.returncode and "asan" in linked.stderr:
        pytest.skip(f"{COMPILER} has no sanitizers here")
    assert linked.returncode == 0, linked.stderr
    return folder / "fuzz"


@pytest.mark.parametrize("what", ["jobs", "windows"])
def test_random_work_under_the_sanitizers(fuzz, what):
    result = subprocess.run([fuzz, what], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr
