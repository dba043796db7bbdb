"""Huge pages: asked for in large memory that nobody has touched, and nowhere else."""

import mmap
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no transparent huge pages on this system"
)

HUGE = 1 << 21
SCRIPT = """
import mmap, re, sys
import numpy as np
import pyinit

def is_advised(address):
    for part in re.split(r"\\n(?=[0-9a-f]+-[0-9a-f]+ )", open("/proc/self/smaps").read()):
        first, last = (int(x, 16) for x in re.match(r"([0-9a-f]+)-([0-9a-f]+) ", part).groups())
        if first <= address < last:
            return " hg" in re.search(r"VmFlags:(.*)", part)[1]

size, how, shift = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
memory = mmap.mmap(-1, size + 4 * 2**21, mmap.MAP_PRIVATE)
base = np.frombuffer(memory, np.uint8)
first = -base.ctypes.data % 2**21 + shift
array = base[first : first + size].view(np.float32)
if how == "asked for here":
    memory.madvise(mmap.MADV_HUGEPAGE)
if how == "touched":
    array[...] = 1
if how == "many":
    pyinit.initialize({"a": array, "b": np.zeros(9)}, 0, {"*": "normal"})
    expected = pyinit.Stream(0).child("a").normal(array.size)
else:
    pyinit.Stream(3).fill_normal(array)
    expected = pyinit.Stream(3).normal(array.size)
assert array.tobytes() == expected.tobytes()
addresses = [array.ctypes.data + at for at in (0, size // 2, size - 1)]
print(*(is_advised(address) for address in addresses))
"""


def advised(size, how="new", shift=0, **environment):
    """Whether the first, the middle and the last byte of filled memory have huge pages asked for."""
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(size), how, str(shift)]
    environment = {**os.environ, **environment}
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return [word == "True" for word in done.stdout.split()]


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="no private mappings")
def test_where_huge_pages_are_asked_for():
    size = 1 << 24
    if advised(size, "asked for here", PYINIT_MADVISE_HUGEPAGE="0") != [True] * 3:
        pytest.skip("this system does not show that it takes the advice")
    assert advised(size) == [True] * 3
    assert advised(size, "many") == [True] * 3
    # Whole huge pages alone: the first one begins further on, and the last one is not full.
    assert advised(size, shift=4096) == [False, True, False]
    assert advised(size, "touched") == [False] * 3
    assert advised(1 << 20) == [False] * 3
    assert advised(size, PYINIT_MADVISE_HUGEPAGE="0") == [False] * 3
    assert advised(size, "many", PYINIT_MADVISE_HUGEPAGE="0") == [False] * 3
