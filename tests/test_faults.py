"""Faults around a fill: missing memory, limits, exits, clocks. See docs/reliability.md."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from conftest import COMPILER

from pyinit import Stream

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")


def run(code, *arguments, status=0, **environment):
    """Return the words that a program prints; it must end with the given status within a minute."""
    env = {**os.environ, "PYINIT_ISA": "scalar", "PYINIT_NUM_THREADS": "2", **environment}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == status, result.stderr
    return result.stdout.split()


@LINUX
def test_a_file_that_shrinks_under_a_memmap_ends_the_process(tmp_path):
    """The system does this to every program. A file that grows or is removed does no harm."""
    code = """
    import os, sys
    import numpy as np, pyinit
    out = np.memmap(sys.argv[1], np.float32, "w+", shape=1 << 20)
    os.truncate(sys.argv[1], 1 << 23)
    pyinit.Stream(1).fill_normal(out)
    os.unlink(sys.argv[1])
    pyinit.Stream(1).fill_normal(out)
    print("filled", flush=True)
    out = np.memmap(sys.argv[1], np.float32, "w+", shape=1 << 20)
    os.truncate(sys.argv[1], 1 << 12)
    pyinit.Stream(1).fill_normal(out)
    """
    assert run(code, tmp_path / "weights", status=-signal.SIGBUS) == ["filled"]


@LINUX
def test_without_memory_there_is_a_memory_error_and_nothing_is_lost():
    code = """
    import resource
    import numpy as np, pyinit
    stream, out = pyinit.Stream(1), np.zeros(1 << 20, np.float32)
    expected = bytes(pyinit.Stream(1).normal(out.size))
    square = np.zeros((3000, 3000), np.float32)
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, ((pages << 12) + (20 << 20),) * 2)
    errors = []
    for call in (
        lambda: stream.normal(1 << 26),
        lambda: pyinit.initializers.orthogonal()(square, stream),
        lambda: pyinit.initialize({"a": square, "b": out}, 1, {"a": "orthogonal", "b": "normal(std=1)"}),
    ):
        try:
            call()
        except MemoryError as error:
            errors.append(error)
    print(len(errors), stream.position == 0 or stream.position)
    print(bytes(pyinit.Stream(1).fill_normal(out)) == expected)  # on more threads than there is memory for, perhaps
    """
    assert run(code, PYINIT_NUM_THREADS="4") == ["3", "True", "True"]


@LINUX
@pytest.mark.parametrize("end", ["sys.exit(7)", "os._exit(7)"])
@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_may_end_during_a_fill(daemon, end):
    code = f"""
    import os, sys, threading, time
    import numpy as np, pyinit
    out = np.zeros(1 << 22, np.float32)
    for _ in range(4):
        threading.Thread(target=pyinit.Stream(1).fill_normal, args=(out,), daemon={daemon}).start()
    while not out[0]:
        time.sleep(0.001)
    {end}
    """
    assert run(code, status=7) == []


@pytest.mark.parametrize("n", [7, 5000])  # with the GIL, and without
def test_two_hundred_threads_take_each_word_of_a_stream_once(n):
    stream, found, start = Stream(3), [], threading.Barrier(200)

    def work():
        out = np.empty(n, np.uint32)
        start.wait()
        for _ in range(5):
            found.append(stream.fill_bits(out).copy())

    threads = [threading.Thread(target=work) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.position == 1000 * n
    expected = Stream(3).bits(1000 * n).reshape(1000, n)
    assert sorted(part.tobytes() for part in found) == sorted(part.tobytes() for part in expected)


RESIZED = """
import mmap, sys, threading, time
import numpy as np, pyinit
n = 1 << 22
owner = {owner}
out = {out}
filler = threading.Thread(target=pyinit.Stream(1).fill_normal, args=(out,), kwargs=dict(num_threads=1))
filler.start()
time.sleep(0.02)
errors = set()
while filler.is_alive():
    try:
        {change}
    except (BufferError, ValueError) as error:
        errors.add(type(error).__name__)
    time.sleep(0.001)
filler.join()
print(*errors)
print(np.array_equal(np.frombuffer(owner, np.float32), pyinit.Stream(1).normal(n)))
"""


@pytest.mark.parametrize(
    ("owner", "out", "change", "error"),
    [
        ("np.zeros(n, np.float32)", "owner", "owner.resize(1)", "ValueError"),
        ("bytearray(4 * n)", "memoryview(owner).cast('f')", "owner.clear()", "BufferError"),
        ("mmap.mmap(-1, 4 * n)", "memoryview(owner).cast('f')", "owner.close()", "BufferError"),
    ],
    ids=["array", "bytearray", "mmap"],
)
def test_memory_cannot_be_resized_while_it_is_filled(owner, out, change, error):
    assert run(RESIZED.format(owner=owner, out=out, change=change)) == [error, "True"]


@LINUX
def test_few_files_may_be_open(tmp_path):
    code = """
    import os, resource, sys
    import numpy as np, pyinit
    from pyinit import checkpoint, files
    params = {f"layer{i}": (300, 40) for i in range(40)}
    checkpoint.write(params, sys.argv[1] + "/before", 1, plan={"*": "normal(std=1)"}, shard_bytes=50_000)
    most = max(map(int, os.listdir("/proc/self/fd"))) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 3, most + 3))
    checkpoint.write(params, sys.argv[1] + "/out", 1, plan={"*": "normal(std=1)"}, shard_bytes=50_000)
    print(checkpoint.verify(sys.argv[1] + "/out", {"*": "normal(std=1)"}, seed=1).equal)
    files.fill(sys.argv[1] + "/a.npy", (300, 40), "normal(std=1)", seed=1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most - 1, most + 3))
    for call in (
        lambda: files.fill(sys.argv[1] + "/b.npy", (300, 40), "normal(std=1)", seed=1),
        lambda: checkpoint.write(params, sys.argv[1] + "/none", 1, plan={"*": "normal(std=1)"}),
    ):
        try:
            call()
        except OSError as error:
            print(error.errno, sep="")
    out = pyinit.Stream(1).normal(1 << 20)  # for which no file is needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 3, most + 3))
    checkpoint.write(params, sys.argv[1] + "/none", 1, plan={"*": "normal(std=1)"})  # takes up what was left behind
    print(*sorted(os.listdir(sys.argv[1])))
    """
    assert run(code, tmp_path) == ["True", "24", "24", "a.npy", "before", "none", "out"]


CLOCKS = """
#include <time.h>
#include <sys/time.h>
static long calls;
int clock_gettime(clockid_t clock, struct timespec *t) {
    (void)clock;
    calls++;
    t->tv_sec = calls % 3 ? calls * 7919 % 100000 : 1; /* years forward, and back */
    t->tv_nsec = calls * 104729 % 1000000000;
    return 0;
}
"""


@LINUX
@pytest.mark.parametrize("threads", [1, 4])
def test_clocks_may_jump(tmp_path, threads):
    """All clocks, also the monotonic one, jump forward and back at every reading."""
    if not shutil.which(COMPILER):
        pytest.skip(f"no C compiler {COMPILER}")
    source, library = tmp_path / "clocks.c", tmp_path / "clocks.so"
    source.write_text(CLOCKS)
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
    code = f"""
    import hashlib, time
    import pyinit
    assert any(time.monotonic() > time.monotonic() for _ in range(9)), "the clocks do not jump"
    print(hashlib.sha256(pyinit.Stream(1).normal(1 << 22, num_threads={threads})).hexdigest())
    """
    expected = run("import hashlib, pyinit; print(hashlib.sha256(pyinit.Stream(1).normal(1 << 22)).hexdigest())")
    assert run(code, LD_PRELOAD=str(library)) == expected


@LINUX
def test_proc_may_be_missing(tmp_path):
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("only root hides /proc")
    code = """
    import os, sys
    import numpy as np, pyinit
    from pyinit import checkpoint
    assert not os.path.exists("/proc/self")
    params = {"a": np.empty((300, 40), np.float32)}
    pyinit.initialize(params, 1, {"*": "normal(std=1)"})
    checkpoint.write({"a": (300, 40)}, sys.argv[1] + "/out", 1, plan={"*": "normal(std=1)"})
    print(checkpoint.verify(sys.argv[1] + "/out", {"*": "normal(std=1)"}, seed=1).equal)
    print(pyinit.Stream(1).normal(1 << 20, num_threads=4)[0] == pyinit.Stream(1).normal(1)[0])
    from pyinit import cli
    print(cli.main(["info"]) or "fine", file=sys.stderr)
    """
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    command = [*hidden, sys.executable, "-c", textwrap.dedent(code), tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "unshare" in result.stderr or "mount" in result.stderr:
        pytest.skip(f"cannot hide /proc here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[:2] == ["True", "True"]
