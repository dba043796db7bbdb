"""Stream as a value: state, copies, children, pickles; and shared between threads and processes."""

import copy
import hashlib
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pyinit
from pyinit import Stream


def run(code, cwd=None, **environment):
    command, env = [sys.executable, "-c", textwrap.dedent(code)], {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_repr_is_the_constructors_call():
    for stream in (Stream(42), Stream(1, "ars5", position=9), Stream(2).child("w"), Stream(3, id=5, position=2**66)):
        assert eval(repr(stream)) == stream
    assert repr(Stream(42)) == "Stream(seed=42, generator='philox', position=0)"


def test_equality_is_of_all_four_parts():
    assert Stream(1) == Stream(1)
    for other in (Stream(2), Stream(1, "ars5"), Stream(1, id=1), Stream(1, position=1), 1, None, "Stream"):
        assert Stream(1) != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(Stream(1))


@pytest.mark.parametrize("again", [Stream.copy, copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)),
                                   lambda s: Stream.from_state(s.state)])  # fmt: skip
def test_copies_go_their_own_way(generator, again):
    stream = Stream(2**64 - 1, generator, id=3, position=2**65 + 1)
    twin = again(stream)
    assert twin == stream
    assert twin is not stream
    assert np.array_equal(twin.bits(5), stream.copy().bits(5))
    assert twin != stream


def test_seed_none_is_drawn_and_told():
    a, b = Stream(), Stream()
    assert a.seed != b.seed
    assert np.array_equal(a.normal(3), Stream(a.seed).normal(3))


def test_numpy_strings_are_strings():
    assert Stream(1, np.str_("ars5")) == Stream(1, "ars5")
    assert Stream(1).child(np.str_("a")) == Stream(1).child("a")


def test_numpy_integers_are_integers():
    assert Stream(np.uint64(2**64 - 1)).seed == 2**64 - 1
    assert Stream(np.int32(5)).skip_ahead(np.int64(7)).position == 7


def test_position_moves_with_fills_and_can_be_set():
    stream = Stream(1)
    stream.bits(1)
    stream.normal(3)  # pairs of words: 2 and 3, 4 and 5
    assert stream.position == 6
    stream.bits((2, 2))
    assert stream.position == 10
    stream.uniform(2, np.float64)
    assert stream.position == 14
    stream.position = 7
    assert stream == Stream(1).skip_ahead(7)


def test_child_ids_are_the_documented_hash(generator):
    root = Stream(11, generator, position=99)
    child = root.child("layers.0.weight")
    digest = hashlib.blake2b(bytes(8) + b"layers.0.weight", digest_size=8).digest()
    assert child == Stream(11, generator, id=int.from_bytes(digest, "little"))
    assert child.child("a") != root.child("a")
    assert root.child("ä").child("") == Stream(11, generator).child("ä").child("")
    assert root.position == 99


@pytest.mark.parametrize("length", [*range(0, 400, 7), 119, 120, 121, 127, 128, 129, 247, 248, 249, 5000])
def test_child_ids_of_names_of_any_length(length):
    """The core's own BLAKE2b has blocks of 128 bytes; the first begins with the 8 bytes of the parent's id."""
    rng = np.random.default_rng(length)
    text = "".join(map(chr, rng.integers(1, 0x7FF, length)))
    for name in ("a" * length, text, text[: length // 2] + "\U0001f600"):
        parent = Stream(1, id=int(rng.integers(2**63)) * 2 + 1)
        digest = hashlib.blake2b(parent.id.to_bytes(8, "little") + name.encode(), digest_size=8).digest()
        assert parent.child(name).id == int.from_bytes(digest, "little")


def test_threads_share_a_stream_without_overlap(generator):
    stream, n, rounds = Stream(6, generator), 5_001, 40
    barrier, parts = threading.Barrier(4), []

    def work():
        barrier.wait()
        for _ in range(rounds):
            parts.append(stream.bits(n))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert stream.position == 4 * rounds * n
    whole = Stream(6, generator).bits((4 * rounds, n))
    assert sorted(p.tobytes() for p in parts) == sorted(row.tobytes() for row in whole)


def digest_of_a_fill(seed):
    return hashlib.sha256(Stream(seed).normal(600_000).tobytes()).hexdigest()


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called.*JAX:RuntimeWarning")  # if another test imported it
def test_processes_compute_the_same_after_use_in_the_parent(method):
    here = [digest_of_a_fill(seed) for seed in range(4)]  # with threads, which a forked child must not need
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(digest_of_a_fill, range(4)) == here
    assert [digest_of_a_fill(seed) for seed in range(4)] == here


def test_a_stream_travels_to_a_process():
    stream = Stream(1).child("w").skip_ahead(5)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(Stream.bits, (stream, 9)), stream.bits(9))


INTERRUPTED = """
import signal, sys, time
import numpy as np, pyinit
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's job in the background ignores
out = np.zeros(1 << 28, np.float32)
stream = pyinit.Stream(1, "ars5")
print("filling", flush=True)
begin = time.monotonic()
try:
    stream.fill_normal(out, num_threads={threads})
except KeyboardInterrupt:
    caught = time.time()
else:
    sys.exit("the fill was not interrupted")
assert np.array_equal(out[:1000], pyinit.Stream(1, "ars5").normal(1000))
assert not out[-1000:].any()
assert stream.position == out.size
assert np.array_equal(stream.bits(8), pyinit.Stream(1, "ars5", position=out.size).bits(8))
print(caught)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_long_fill(threads):
    # The slowest tier needs some ten seconds for this buffer; the answer may take one.
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(threads=threads)],
        env={**os.environ, "PYINIT_ISA": "scalar"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "filling\n"
    time.sleep(0.5)
    sent = time.time()
    process.send_signal(signal.SIGINT)
    caught, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert float(caught) - sent < 1.0


def test_a_fill_beside_the_main_thread_does_not_ask_for_the_gil():
    # If it asked while the interpreter ends, it would be ended in the middle of a fill.
    code = """
    import sys, threading, time
    import numpy as np, pyinit
    out = np.zeros(1 << 23, np.float32)
    sys.setswitchinterval(1000)  # the main thread keeps the GIL for as long as it computes
    filler = threading.Thread(target=pyinit.Stream(1, "ars5").fill_normal, args=(out,), kwargs={"num_threads": 1})
    filler.start()
    while not out[0]:
        time.sleep(0.001)
    deadline = time.monotonic() + 30
    while not out[-1] and time.monotonic() < deadline:
        pass
    print(bool(out[-1]))
    sys.setswitchinterval(0.005)
    filler.join()
    """
    assert run(code, PYINIT_ISA="scalar").stdout == "True\n"


def test_pyinit_isa_forces_a_tier():
    for name in pyinit.isa.available():
        result = run("import pyinit; print(pyinit.isa.active())", PYINIT_ISA=name)
        assert result.stdout.strip() == name
    assert run("import pyinit; print(pyinit.isa.active())", PYINIT_ISA="").stdout.strip() == pyinit.isa.available()[0]


@pytest.mark.parametrize("name", ["sse9", "neon" if "avx2" in pyinit.isa.available() else "avx512", "AVX2"])
def test_an_unknown_or_unavailable_tier_is_an_error_that_lists_those_there(name):
    result = run("import pyinit", PYINIT_ISA=name)
    assert result.returncode != 0
    assert f"PYINIT_ISA='{name}' is not available; available here: {', '.join(pyinit.isa.available())}" in result.stderr


def test_a_source_folder_without_the_core_says_what_to_do(tmp_path):
    shutil.copytree(Path(pyinit.__file__).parent, tmp_path / "pyinit", ignore=shutil.ignore_patterns("_core*"))
    # An editable install finds the core for any folder of that name.
    forget = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', '')]"
    result = run(f"{forget}; import pyinit", cwd=tmp_path)
    assert "holds pyinit's sources and not its compiled core: start Python in another folder" in result.stderr


def test_import_needs_numpy_alone():
    code = """
    import sys
    class Nothing:
        def find_spec(self, name, path=None, target=None):
            allowed = sys.stdlib_module_names | {"numpy", "pyinit"} | set(sys.builtin_module_names)
            if name.split(".")[0] not in allowed and not name.startswith("_"):
                raise ImportError(f"pyinit asked for {name}")
    sys.meta_path.insert(0, Nothing())
    import pyinit
    pyinit.Stream(1).normal(3)
    """
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_what_is_imported_later_is_there_when_asked_for():
    code = "import sys, pyinit; 'pyinit.files' in sys.modules and 1/0; pyinit.files.fill; dir(pyinit).index('network')"
    subprocess.run([sys.executable, "-c", code], check=True)


class Tagged(Stream):
    """A stream with an attribute of the user's."""

    def __init__(self, seed, tag):
        super().__init__(seed)
        self.tag = tag


def test_what_comes_of_a_stream_is_a_plain_one():
    stream = Tagged(1, "t")
    for other in (stream.copy(), stream.child("a"), copy.copy(stream), pickle.loads(pickle.dumps(stream))):
        assert type(other) is Stream
    assert stream.copy() == stream
    assert stream.child("a") == Stream(1).child("a")


@pytest.mark.parametrize("position", [-1, 2**66 + 1, 10**5000, -(10**5000)], ids=lambda n: str(n.bit_length()))
def test_a_position_out_of_range_is_named(position):
    stream = Stream(1, position=5)
    with pytest.raises(ValueError, match=r"position must be in \[0, 2\*\*66\]; got"):
        stream.position = position
    with pytest.raises(TypeError, match="position must be an integer; got str"):
        stream.position = "x"
    assert stream.position == 5
