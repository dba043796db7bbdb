"""The C core as such: what it calls, and how it may not be built."""

import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src_c"
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", f"-I{SOURCES}"]

pytestmark = pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")


def compile_all(folder, *flags):
    command = [COMPILER, *FLAGS, *flags, "-c", *sorted(map(str, SOURCES.glob("*.c")))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF objects with nm")
def test_the_core_calls_no_allocator_and_no_mathematics_beyond_ieee(tmp_path):
    assert compile_all(tmp_path).returncode == 0
    listing = subprocess.run(["nm", "-u", *tmp_path.glob("*.o")], capture_output=True, text=True, check=True).stdout
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


def test_fast_math_is_refused(tmp_path):
    result = compile_all(tmp_path, "-ffast-math")
    assert result.returncode != 0
    assert "must not be built with -ffast-math" in result.stderr


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="reads x86 instructions")
def test_only_the_tiers_own_files_use_wide_instructions(tmp_path):
    assert compile_all(tmp_path).returncode == 0
    for file in tmp_path.glob("*.o"):
        code = subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout
        assert ("%zmm" in code) == (file.stem == "fill_avx512"), file.name
        assert ("%ymm" in code) == (file.stem in ("fill_avx2", "fill_avx512")), file.name


def test_random_jobs_under_the_sanitizers(tmp_path):
    program, sanitize = tmp_path / "fuzz", ["-fsanitize=address,undefined", "-fno-sanitize=alignment", "-O1", "-g"]
    sources = [*sorted(SOURCES.glob("*.c")), SOURCES.parent / "tests" / "fuzz.c"]
    command = [COMPILER, *FLAGS, *sanitize, *map(str, sources), "-o", str(program), "-lm", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode and "asan" in built.stderr:
        pytest.skip(f"{COMPILER} has no sanitizers here")
    assert built.returncode == 0, built.stderr
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
