"""The sanitizers and valgrind, as `make sanitize` uses them, find faults."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import COMPILER, ROOT, SANITIZERS

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which(COMPILER), reason="needs Linux and a C compiler"
)
MAKEFILE = (ROOT / "Makefile").read_text()
# Each tool's message for the faults in tests/faults.c.
FOUND = {
    "ADDRESS": {
        "none": "",
        "read": "heap-buffer-overflow",
        "write": "heap-buffer-overflow",
        "overflow": "signed integer overflow",
        "leak": "detected memory leaks",
    },
    "THREAD": {"none": "", "race": "data race"},
    "VALGRIND": {
        "none": "",
        "read": "Invalid read",
        "write": "Invalid write",
        "unset": "uninitialised value",
        "leak": "definitely lost",
    },
}


def variable(name):
    """Return the words of a variable in the Makefile."""
    return shlex.split(re.search(rf"^{name} := (.*)$", MAKEFILE, re.M)[1])


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    made = {}

    def built(flags):
        if flags not in made:
            made[flags] = tmp_path_factory.mktemp("faults") / "faults"
            command = [COMPILER, "-g", *flags, ROOT / "tests" / "faults.c", "-o", made[flags], "-lpthread"]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode and re.search("asan|tsan|ubsan", result.stderr):
                pytest.skip(f"{COMPILER} has no sanitizers here")
            assert result.returncode == 0, result.stderr
        return made[flags]

    return built


@pytest.mark.skipif(bool(SANITIZERS), reason="builds with flags of its own")
@pytest.mark.parametrize(("tool", "fault"), [(tool, fault) for tool, faults in FOUND.items() for fault in faults])
def test_a_planted_fault_is_found(build, tool, fault):
    under = variable(tool) if tool == "VALGRIND" else []
    if under and not shutil.which(under[0]):
        pytest.skip(f"{under[0]} is not installed")
    program = build(() if under else tuple(variable(tool)))
    result = subprocess.run([*under, program, fault], capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("ThreadSanitizer does not know this system's layout of memory")
    assert FOUND[tool][fault] in result.stderr
    assert (result.returncode != 0) == (fault != "none"), result.stderr
    assert fault != "none" or result.stderr == ""
