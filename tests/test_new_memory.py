"""Huge pages: requested for large untouched memory, and nowhere else."""

import ctypes
import mmap
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import COMPILER, CORE_FLAGS

import pyinit

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no transparent huge pages on this system"
)

HUGE = 1 << 21
SOURCES = Path(__file__).parents[1] / "src_c"
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
elif how == "some rows":
    place = {"global_shape": (size // 1024, 1024), "offset": (333, 0)}
    pyinit.Stream(3).fill_normal(array.reshape(-1, 1024), **place)
    expected = pyinit.Stream(3).normal((size // 4096, 1024), **place)
else:
    pyinit.Stream(3).fill_normal(array)
    expected = pyinit.Stream(3).normal(array.size)
assert array.tobytes() == expected.tobytes()
addresses = [array.ctypes.data + at for at in (0, size // 2, size - 1)]
print(*(is_advised(address) for address in addresses))
"""


def advised(size, how="new", shift=0, **environment):
    """Whether huge pages are requested for the first, the middle and the last byte of filled memory."""
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
    always = {"PYINIT_MADVISE_HUGEPAGE": "1"}  # even if they come slowly here
    assert advised(size, **always) == [True] * 3
    assert advised(size, "many", **always) == [True] * 3
    assert advised(size, "some rows", **always) == [True] * 3
    # Whole huge pages only: the first one begins after the start, and the last one is not full.
    assert advised(size, shift=4096, **always) == [False, True, False]
    assert advised(size, "touched", **always) == [False] * 3
    assert advised(1 << 20, **always) == [False] * 3
    assert advised(size, PYINIT_MADVISE_HUGEPAGE="0") == [False] * 3
    assert advised(size, "many", PYINIT_MADVISE_HUGEPAGE="0") == [False] * 3


@pytest.mark.parametrize(("slow", "given_up"), [(-1, True), (10**9, False)])
def test_huge_pages_that_come_slowly_are_given_up(core_objects, tmp_path, monkeypatch, slow, given_up):
    """A core that treats every huge page as slow, or none, fills new memory."""
    monkeypatch.delenv("PYINIT_MADVISE_HUGEPAGE", raising=False)
    library, rest = tmp_path / "core.so", [path for path in core_objects if path.stem != "memory"]
    flags = ["-O1", "-fPIC", "-shared", *CORE_FLAGS, f"-DSLOW_MICROSECONDS={slow}"]
    command = [COMPILER, *flags, SOURCES / "memory.c", *rest, "-o", library, "-lm", "-lpthread"]
    subprocess.run(command, check=True)
    size = 32 * HUGE
    memory = mmap.mmap(-1, size + HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    first = -np.frombuffer(memory, np.uint8).ctypes.data % HUGE
    out = np.frombuffer(memory, np.float32, size // 4, first)
    core, stream = ctypes.CDLL(str(library)), ctypes.create_string_buffer(256)
    assert core.pyi_stream_new(stream, 0, ctypes.c_uint64(3), ctypes.c_uint64(0)) == 0
    address, count = ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(out.size)
    assert core.pyi_fill_normal_f32(stream, address, count, ctypes.c_double(0), ctypes.c_double(1), None) == 0
    assert out.tobytes() == pyinit.Stream(3).normal(out.size).tobytes()
    flags = [flags_of(out.ctypes.data + at) for at in (size // 2, size - 1)]
    if not any("hg" in f or "nh" in f for f in flags):
        pytest.skip("this system does not show that it takes the advice")
    assert ["nh" in f for f in flags] == [given_up] * 2


def flags_of(address):
    """Return the flags of an address's mapping."""
    for part in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        first, last = (int(x, 16) for x in re.match(r"([0-9a-f]+)-([0-9a-f]+) ", part).groups())
        if first <= address < last:
            return re.search(r"VmFlags:(.*)", part)[1].split()
    raise AssertionError
