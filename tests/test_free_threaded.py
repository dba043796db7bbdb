"""Threads that share streams, bit generators and the package's own tables, on any Python; without the GIL they run in
parallel. Also the interpreters of one process: only the first one can use the core."""

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pyinit
from pyinit import BitGenerator, Stream, checkpoint, distributions

THREADS = 16
ROUNDS = 40


def at_once(work):
    """Call `work` with a number in each of 16 threads, which begin together; return their results and exceptions."""
    barrier = threading.Barrier(THREADS)

    def begin(number):
        barrier.wait()
        return work(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # with a GIL: so that threads switch in the middle of operations
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(begin, range(THREADS)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(not hasattr(sys, "_is_gil_enabled"), reason="of Python 3.13 and newer")
def test_the_extensions_leave_the_gil_as_it_was():
    code = "import sys; was = sys._is_gil_enabled(); import pyinit; print(was == sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_fills_of_one_stream_share_no_word(generator):
    stream, sizes, n = Stream(3, generator), (1, 7, 64, 1, 3, 5000, 2, 1), 5 * ROUNDS
    total = THREADS * n // len(sizes) * sum(sizes)

    def work(number):
        return [stream.bits(sizes[(number + i) % len(sizes)]) for i in range(n)]

    found = np.concatenate([part for parts in at_once(work) for part in parts])
    assert stream.position == total
    assert np.array_equal(np.sort(found), np.sort(Stream(3, generator).bits(total)))


def test_a_stream_that_moves_is_never_read_half_moved(generator):
    """Every position read is one that some thread set; the seed, the generator and the id never change."""
    stream, places = Stream(9, generator, id=5), [2**66, 2**66 - 4, 2**34 + 1, 3]

    def work(number):
        for i in range(10 * ROUNDS):
            stream.position = places[(number + i) % 4]
            again = stream.copy()
            assert again.position in places
            assert stream.state | {"position": 0} == Stream(9, generator, id=5).state
            assert stream.child("a") == Stream(9, generator, id=5).child("a")

    at_once(work)


def test_children_of_one_seed_sequence_are_all_different():
    children, n = BitGenerator(1).seed_seq, 25 * ROUNDS
    found = at_once(lambda number: [c.stream.id for _ in range(n) for c in children.spawn(1)])
    assert children.n_children_spawned == THREADS * n
    assert len({i for ids in found for i in ids}) == THREADS * n
    assert {c.stream.id for c in BitGenerator(1).seed_seq.spawn(THREADS * n)} == {i for ids in found for i in ids}


def test_a_number_of_children_may_spawn_children_itself():
    children = BitGenerator(1).seed_seq

    class Spawning:
        def __index__(self):
            self.inner = children.spawn(1)
            return 1

    number = Spawning()
    found = [*children.spawn(number), *number.inner]
    assert {c.stream.id for c in found} == {c.stream.id for c in BitGenerator(1).seed_seq.spawn(2)}


def test_numbers_of_one_bit_generator_are_drawn_once():
    bits, n = BitGenerator(4), 700  # more than its buffer

    def work(number):
        drawn = []
        for i in range(6):
            drawn.append(np.random.Generator(bits).integers(2**64, size=n, dtype=np.uint64))
            if i % 3 == number % 3:
                assert bits.state["state"]["seed"] == bits.jumped().stream.seed == 4
        return drawn

    found = np.concatenate([part for parts in at_once(work) for part in parts])
    assert np.array_equal(np.sort(found), np.sort(BitGenerator(4).random_raw(len(found))))


SHAPES = {f"layers.{i}.{kind}": shape for i in range(6) for kind, shape in (("weight", (40, 30)), ("bias", (40,)))}
PLAN = {"*.weight": "kaiming_normal", "*.bias": "zeros"}


def test_models_are_initialized_and_checkpoints_compared_at_once_while_the_tier_changes(tmp_path):
    def model(number, threads):
        made = {name: np.empty(shape, np.float32) for name, shape in SHAPES.items()}
        pyinit.initialize(made, number, PLAN, num_threads=threads)
        return made

    expected = [model(number, 1) for number in range(THREADS)]
    tiers, before = pyinit.isa.available(), pyinit.isa.active()
    checkpoint.write(SHAPES, tmp_path / "whole.safetensors", 7, plan=PLAN)

    def work(number):
        chance = random.Random(number)
        for _ in range(ROUNDS // 10):
            pyinit._core.isa_select(chance.choice(tiers))
            found = model(number, 1 + number % 3)
            assert all(np.array_equal(found[name], values) for name, values in expected[number].items())
            assert checkpoint.verify(tmp_path / "whole.safetensors", seed=7).equal
        checkpoint.write(SHAPES, tmp_path / f"{number}.safetensors", 7, plan=PLAN)
        return (tmp_path / f"{number}.safetensors").read_bytes()

    try:
        assert set(at_once(work)) == {(tmp_path / "whole.safetensors").read_bytes()}
    finally:
        pyinit._core.isa_select(before)


def test_distributions_and_dtypes_are_made_and_used_at_once():
    """The numbers of types that other packages register are cached at first use."""
    dtypes = ["float16", "bfloat16", "float8_e4m3fn", "float32", "float64"]
    expected = {dtype: Stream(1).normal(50, dtype, std=0.5).tobytes() for dtype in dtypes}
    ml_dtypes = pytest.importorskip("ml_dtypes")

    def work(number):
        for i in range(10 * ROUNDS):
            name = dtypes[(number + i) % len(dtypes)]
            dtype = getattr(ml_dtypes, name, name)
            distribution = distributions.normal(std=0.5)
            assert distribution == distributions.normal(std=0.5)
            assert Stream(1).fill(np.empty(50, dtype), distribution).tobytes() == expected[name]

    at_once(work)


# Loads both extensions in another interpreter, with this Python's module for interpreters; prints the errors.
INSIDE = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import pyinit
before = pyinit.BitGenerator(1).random_raw()
code = '''
import importlib.machinery, importlib.util
for name, path in PATHS:
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    try:
        importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path, loader=loader))
        print(name, "was loaded")
    except ImportError as error:
        print("ImportError:", error)
'''
names = "pyinit._core", "pyinit.bit_generator"
code = code.replace("PATHS", repr([(name, sys.modules[name].__file__) for name in names]))
for arguments in [(), ("legacy",)] if sys.version_info >= (3, 13) else [()]:
    failed = interpreters.run_string(interpreters.create(*arguments), code)
    assert failed is None, failed
assert pyinit.BitGenerator(1).random_raw() == before
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="of CPython")
def test_another_interpreter_of_the_process_is_refused_the_core():
    done = subprocess.run([sys.executable, "-c", INSIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == (4 if sys.version_info >= (3, 13) else 2), done.stdout
    assert all(line.startswith("ImportError:") and "interpreter" in line for line in lines), done.stdout
