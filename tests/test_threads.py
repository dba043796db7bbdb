"""The threads of a fill: their number, identical bits, and the effects of forks, loads and limits."""

import hashlib
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import pyinit
from pyinit import Stream

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
N = 600_000  # float32, enough for four threads


def digest(array):
    return hashlib.sha256(array).hexdigest()


def run(code, **environment):
    """Return the words that a program prints; it has a minute."""
    quiet = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # about forks: NumPy has threads of its own
    env = {**os.environ, **quiet, "PYINIT_ISA": "scalar", "PYINIT_NUM_THREADS": "", **environment}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split()


@pytest.mark.parametrize("n", [1, 5000, 262_144, 262_145, N, 3_000_001])
def test_any_number_of_threads_gives_the_same(n):
    expected = digest(Stream(1).normal(n, num_threads=1))
    for threads in (2, 3, 4, 7, 64, 255, 256, 257, 10**9, None):
        assert digest(Stream(1).normal(n, num_threads=threads)) == expected


def test_fifty_threads_fill_at_once():
    expected, found = digest(Stream(1).normal(N, num_threads=1)), []
    barrier = threading.Barrier(50)

    def work(i):
        out = np.empty(N, np.float32)
        barrier.wait()
        for threads in (4, None, 1 + i % 9):
            found.append(digest(Stream(1).fill_normal(out, num_threads=threads)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {expected}
    assert len(found) == 150


# Prints the largest number of threads during a fill, itself included. It fills several times, since a fill can end
# before a busy processor counts.
COUNTED = """
import os, threading
import numpy as np, pyinit
def threads():
    return len(os.listdir("/proc/self/task"))
out, before, most = np.ones(1 << 23, np.float32), threads(), 0
def fill():
    for _ in range(10):
        pyinit.Stream(1).fill_normal(out, **{arguments})
filler = threading.Thread(target=fill)
filler.start()
while filler.is_alive():
    most = max(most, threads() - before)
print(most)
"""


@LINUX
@pytest.mark.parametrize(
    ("number", "arguments", "threads"),
    [("1", {}, 1), ("5", {}, 5), ("1", {"num_threads": 3}, 3), ("5", {"num_threads": 1}, 1), ("", {}, None)],
)
def test_a_fill_takes_as_many_threads_as_it_is_told(number, arguments, threads):
    expected = str(threads or pyinit._core.processors())
    assert run(COUNTED.format(arguments=arguments), PYINIT_NUM_THREADS=number) == [expected]


@LINUX
def test_no_threads_pile_up():
    code = f"""
    import os, time
    import numpy as np, pyinit
    out, before = np.ones({N}, np.float32), len(os.listdir("/proc/self/task"))
    for _ in range(150):
        pyinit.Stream(1, "ars5").fill_normal(out, num_threads=4)
    most = len(os.listdir("/proc/self/task")) - before
    deadline = time.monotonic() + 30
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    print(most, len(os.listdir("/proc/self/task")) - before)
    """
    most, left = map(int, run(code))
    assert most <= max(4, pyinit._core.processors()) + 12  # some of them are ending
    assert left == 0


@FORKS
def test_forks_between_and_beside_fills():
    code = f"""
    import os, signal, threading
    import numpy as np, pyinit
    out = np.empty({N}, np.float32)
    def right():
        return bytes(pyinit.Stream(1).fill_normal(out, num_threads=3)) == expected
    expected = bytes(pyinit.Stream(1).normal(out.size, num_threads=1))
    def forked():
        child = os.fork()
        if not child:
            signal.alarm(50)  # ends it where it hangs
            os._exit(not (right() and right()))
        return os.waitpid(child, 0)[1] == 0
    print(all([right() and forked() and right() for _ in range(20)]))
    beside, stop = np.empty(out.size, np.float32), threading.Event()
    def work():
        while not stop.is_set():
            pyinit.Stream(1).fill_normal(beside, num_threads=3)
    fillers = [threading.Thread(target=work) for _ in range(5)]
    for filler in fillers:
        filler.start()
    print(all([forked() for _ in range(20)]))
    stop.set()
    for filler in fillers:
        filler.join()
    print(right())
    """
    assert run(code) == ["True"] * 3


@FORKS
def test_forks_and_signals_while_the_text_of_a_scheme_is_read():
    """Threads read one at a time, and change the warning filters meanwhile, which a child must not inherit."""
    code = """
    import os, signal, threading, warnings
    from pyinit.initializers import scheme
    filters, stop = list(warnings.filters), threading.Event()
    def work():
        while not stop.is_set():
            scheme("normal(std=0.5)")
    def forked():
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends it where it hangs
            scheme("zeros")
            os._exit(warnings.filters != filters)
        return os.waitpid(child, 0)[1] == 0
    readers = [threading.Thread(target=work) for _ in range(2)]
    for reader in readers:
        reader.start()
    print(all(forked() for _ in range(20)))
    stop.set()
    for reader in readers:
        reader.join()
    handled = []
    signal.signal(signal.SIGALRM, lambda *_: handled.append(scheme("zeros")))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    while len(handled) < 100:
        scheme("normal(std=0.5)")
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(warnings.filters == filters)
    """
    assert run(code) == ["True"] * 2


@FORKS
@pytest.mark.parametrize("end", ["", "raise ZeroDivisionError"])
def test_a_fork_in_a_signal_handler_during_a_fill(end):
    """The child has none of the helpers: it does the whole fill again, or lets the handler's exception through."""
    code = f"""
    import os, signal, sys
    import numpy as np, pyinit
    n, child = 1 << 24, None
    expected = hash(bytes(pyinit.Stream(1).normal(n, num_threads=1)))
    out = np.zeros(n, np.float32)
    def handler(*_):
        global child
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(50)  # ends it where it hangs
            {end or "pass"}
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    raised = False
    try:
        pyinit.Stream(1).fill_normal(out, num_threads=4)
    except ZeroDivisionError:
        raised = True
    signal.alarm(0) if child else None
    if child == 0:
        good = raised == bool({end!r}) and (raised or hash(bytes(out)) == expected)
        again = hash(bytes(pyinit.Stream(1).fill_normal(out, num_threads=4))) == expected
        os._exit(not (good and again))
    print(child is not None, hash(bytes(out)) == expected, os.waitpid(child, 0)[1])
    """
    assert run(code) == ["True", "True", "0"]


# As another user, since process limits do not apply to root.
LIMITED = """
import os, resource, threading
import numpy as np, pyinit.models
if os.getuid() == 0:  # what is imported later must be readable for all
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=int).start()
    print("unlimited")
except RuntimeError:
    print("limited")
"""


@LINUX
def test_without_more_threads_a_fill_does_all_itself():
    code = """
    out = pyinit.Stream(1).normal(3_000_000, num_threads=4)
    print(bytes(out) == bytes(pyinit.Stream(1).normal(out.size, num_threads=1)))
    params = {str(i): np.zeros(200_000, np.float32) for i in range(30)}
    pyinit.initialize(params, 1, {"*": "normal(std=1)"}, num_threads=4)
    print(all(bytes(pyinit.Stream(1).child(k).normal(w.size)) == bytes(w) for k, w in params.items()))
    """
    limited, *right = run(LIMITED + textwrap.dedent(code))
    if limited == "unlimited":
        pytest.skip("this user's number of processes cannot be limited")
    assert right == ["True", "True"]


@LINUX
def test_without_more_threads_a_file_is_refused_and_nothing_has_changed():
    """Writing and comparing files use threads of their own."""
    imported = "import fcntl, pathlib, tempfile\nfrom pyinit import checkpoint, files"  # while all files can be read
    code = """
    folder = pathlib.Path(tempfile.mkdtemp())
    shape, plan = (300, 200), {"w": {"shape": [300, 200], "scheme": "normal"}}
    calls = (
        lambda: files.fill(folder / "a.npy", shape, "normal", 1),
        lambda: checkpoint.write(plan, folder / "b", 1),
        lambda: checkpoint.write(plan, folder / "c.safetensors", 1),
    )
    for call in calls:
        try:
            call()
        except RuntimeError as error:
            print("start new thread" in str(error))
    print(not list(folder.iterdir()))
    folder.rmdir()
    """
    limited, *right = run(imported + LIMITED + textwrap.dedent(code))
    if limited == "unlimited":
        pytest.skip("this user's number of processes cannot be limited")
    assert right == ["True"] * 4
