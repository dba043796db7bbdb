"""The team of threads of a fill, in C programs: each of its states, and no races."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import COMPILER, ROOT, SANITIZERS, UNDER

CHECKS = ("late", "other_generation", "at_work", "pending", "interrupted", "many")
FORKING_CHECKS = ("forked", "forked_and_stopped", "forked_beside")


def build(folder, *flags):
    """Compile tests/team.c with threads.c."""
    if sys.platform == "win32" or not shutil.which(COMPILER):
        pytest.skip("needs POSIX threads and a C compiler")
    program, sources = folder / "team", ROOT / "src_c"
    command = [COMPILER, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{sources}", *flags]
    held = folder / "threads.o"
    subprocess.run([*command, "-Dpthread_create=held_create", "-c", sources / "threads.c", "-o", held], check=True)
    parts = [ROOT / "tests" / "team.c", sources / "processors.c", held]
    linked = subprocess.run(
        [*command, *parts, "-o", program, "-lm", "-lpthread"], capture_output=True, text=True, check=False
    )
    if linked.returncode and "tsan" in linked.stderr:
        pytest.skip(f"{COMPILER} has no ThreadSanitizer here")
    assert linked.returncode == 0, linked.stderr
    return program


def check(program, name):
    result = subprocess.run([*UNDER, program, name], capture_output=True, text=True, check=False, timeout=120)
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("ThreadSanitizer does not know this system's layout of memory")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    return build(tmp_path_factory.mktemp("team"), *SANITIZERS)


@pytest.mark.c_program
@pytest.mark.parametrize("name", CHECKS + FORKING_CHECKS)
def test_the_team_of_a_fill(team, name):
    if SANITIZERS and name == "forked_beside":
        pytest.skip("a child waits for a lock of the sanitizer's allocator, which another thread held at the fork")
    check(team, name)


@pytest.fixture(scope="module")
def team_with_sanitizer(tmp_path_factory):
    return build(tmp_path_factory.mktemp("team"), "-fsanitize=thread")


@pytest.mark.parametrize("name", CHECKS)  # ThreadSanitizer cannot follow a forked child with threads
def test_the_team_of_a_fill_has_no_races(team_with_sanitizer, name):
    check(team_with_sanitizer, name)


def without_races(program, **environment):
    """Run a program built with ThreadSanitizer."""
    env = {**os.environ, **environment}
    result = subprocess.run([program], env=env, capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("ThreadSanitizer does not know this system's layout of memory")
    assert (result.returncode, result.stderr) == (0, "")


def build_with_sanitizer(program, sources):
    if sys.platform == "win32" or not shutil.which(COMPILER):
        pytest.skip("needs POSIX threads and a C compiler")
    flags = ["-std=gnu11", "-O1", "-g", "-ffp-contract=off", "-fno-math-errno", f"-I{ROOT / 'src_c'}"]
    command = [COMPILER, *flags, "-fsanitize=thread", *sources, "-o", program, "-lm", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode and "tsan" in built.stderr:
        pytest.skip(f"{COMPILER} has no ThreadSanitizer here")
    assert built.returncode == 0, built.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a sanitizer of Linux")
def test_first_calls_at_once_have_no_races(tmp_path):
    """tests/shared.c, without the kernels, which would take a minute to compile."""
    core = sorted(path for path in (ROOT / "src_c").glob("*.c") if not path.stem.startswith("fill_"))
    build_with_sanitizer(tmp_path / "shared", [*core, ROOT / "tests" / "shared.c"])
    for _ in range(3):
        without_races(tmp_path / "shared")


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["", "scalar"])
def test_fills_at_once_have_no_races(tmp_path_factory, tier):
    """The whole core, in tests/concurrent.c: a minute, mostly for the compiler."""
    program = tmp_path_factory.getbasetemp() / "concurrent"
    if not program.exists():
        build_with_sanitizer(program, [*sorted((ROOT / "src_c").glob("*.c")), ROOT / "tests" / "concurrent.c"])
    without_races(program, PYINIT_ISA=tier)
