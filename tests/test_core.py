"""The C core itself: the functions that it calls, and the builds that it refuses."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import COMPILER, CORE_FLAGS, ROOT, SANITIZERS, UNDER, compile_all

SOURCES = ROOT / "src_c"

pytestmark = pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF objects with nm")
def test_the_core_calls_no_allocator_and_no_mathematics_beyond_ieee(core_objects):
    listing = subprocess.run(["nm", "-u", *core_objects], capture_output=True, text=True, check=True).stdout
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
        "madvise",
        "memcmp",
        "mincore",
    }
    threads = {"pthread_create", "pthread_detach", "sched_yield", "nanosleep"}
    compilers_own = {name for name in called if name.startswith(("_GLOBAL_OFFSET", "__cpu_", "__stack_chk"))}
    assert not {n for n in called if not n.startswith("pyi_")} - exact - system - threads - compilers_own
    assert "pthread_create" in called


def macros(*flags):
    command = [COMPILER, *flags, "-dM", "-E", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="with the headers of Linux")
def test_no_number_of_64_bits_is_cut_on_32_bit_hosts(tmp_path):
    """Without a 32-bit machine, clang's warnings show where a size would lose its upper half."""
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu" / "stubs-32.h").touch()  # a 64-bit glibc alone lacks this file
    headers = [f"-I{tmp_path}", f"-I{SOURCES}", *(f"-isystem{p}" for p in Path("/usr/include").glob("x86_64-*"))]
    command = ["clang", "-m32", "-msse2", "-mfpmath=sse", "-std=gnu11", "-fsyntax-only", *headers]
    (tmp_path / "cut.c").write_text("#include <stdint.h>\n#include <stddef.h>\nsize_t f(uint64_t n) { return n; }\n")

    def compiled(sources, *flags):
        return subprocess.run([*command, *flags, *sources], capture_output=True, text=True, check=False)

    if not shutil.which("clang") or compiled([tmp_path / "cut.c"]).returncode:
        pytest.skip("no clang for 32 bits")
    strict = ("-Wno-everything", "-Werror=shorten-64-to-32")
    assert "[-Werror,-Wshorten-64-to-32]" in compiled([tmp_path / "cut.c"], *strict).stderr
    result = compiled(sorted(SOURCES.glob("*.c")), *strict)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("flag", ["-ffast-math", "-funsafe-math-optimizations", "-ffinite-math-only"])
def test_fast_math_is_refused(tmp_path, flag):
    if flag == "-funsafe-math-optimizations" and "__ASSOCIATIVE_MATH__" not in macros(flag):
        pytest.skip(f"{COMPILER} does not tell the sources of {flag}")
    _, errors = compile_all(tmp_path, [SOURCES / "fill_scalar.c"], [COMPILER, *CORE_FLAGS, flag])
    assert "must not be built with -ffast-math" in errors


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="reads x86 instructions")
def test_only_the_tiers_own_files_use_wide_instructions(core_objects):
    for file in core_objects:
        code = subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout
        assert ("%zmm" in code) == file.stem.startswith("fill_avx512"), file.name
        assert ("%ymm" in code) == file.stem.startswith("fill_avx"), file.name


@pytest.fixture(scope="module", params=["-O0", pytest.param("-O1", marks=pytest.mark.slow)])
def fuzz(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    sanitize = [*(SANITIZERS or ["-fsanitize=address,undefined", "-fno-sanitize=alignment"]), request.param]
    sources = [*SOURCES.glob("*.c"), ROOT / "tests" / "fuzz.c"]
    objects, errors = compile_all(folder, sources, [COMPILER, *CORE_FLAGS, *sanitize])
    assert not errors
    core = [path for path in objects if path.stem != "fuzz"]
    replay = [f"-I{SOURCES}", "-DREPLAY", ROOT / "tests" / "fuzzing" / "core.c"]
    for name, of_program in (("fuzz", [folder / "fuzz.o"]), ("replay", replay)):
        link = [COMPILER, *sanitize, *of_program, *core, "-o", folder / name, "-lm", "-lpthread"]
        linked = subprocess.run(link, capture_output=True, text=True, check=False)
        if linked.returncode and "asan" in linked.stderr:
            pytest.skip(f"{COMPILER} has no sanitizers here")
        assert linked.returncode == 0, linked.stderr
    return folder / "fuzz", 1 if request.param == "-O0" else 10


@pytest.mark.c_program
@pytest.mark.parametrize(("what", "number"), [("jobs", 2000), ("windows", 400), ("items", 200)])
def test_random_work_under_the_sanitizers(fuzz, what, number):
    program, times = fuzz
    result = subprocess.run([*UNDER, program, what, str(number * times)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr


def test_what_the_fuzzer_of_the_core_found_of_use(fuzz):
    corpus = sorted((ROOT / "tests" / "fuzzing" / "corpus" / "core").iterdir())
    result = subprocess.run([fuzz[0].with_name("replay"), *corpus], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout) == len(corpus) > 50
