"""Users of pyinit.BitGenerator: threads, C, NumPy's global generator, and an interpreter that imports it."""

import ctypes
import inspect
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import pyinit
from pyinit import BitGenerator, Stream


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_generators_share_it_between_threads(generator):
    bits, n, rounds = BitGenerator(Stream(6, generator)), 3001, 40
    barrier, parts, positions = threading.Barrier(4), [], []

    def work():
        drawn = np.random.Generator(bits)
        barrier.wait()
        for _ in range(rounds):
            parts.append(drawn.random(n))
            positions.append(bits.state["state"]["position"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    whole = Stream(6, generator).uniform((4 * rounds, n), np.float64)
    assert sorted(p.tobytes() for p in parts) == sorted(row.tobytes() for row in whole)
    assert {p % (2 * n) for p in positions} == {0}


def test_who_holds_the_lock_may_use_all_of_it():
    bits = BitGenerator(1)

    def work():
        with bits.lock:
            bits.state = bits.state
            bits.advance(1).spawn(1)
            pickle.dumps(bits.jumped())
            bits.random_raw()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_interfaces_to_c(generator):
    stream = Stream(7, generator, position=1)
    bits = BitGenerator(stream)
    c = bits.ctypes
    assert c.next_uint32(c.state) == stream.bits(1)[0]
    assert c.next_double(c.state) == stream.uniform((), np.float64)
    words = stream.bits(2)
    assert c.next_uint64(c.state) == int(words[0]) | int(words[1]) << 32
    is_valid = ctypes.pythonapi.PyCapsule_IsValid
    assert is_valid(ctypes.py_object(bits.capsule), b"BitGenerator")


def test_numpys_global_generator_can_be_it():
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(BitGenerator(1))
        np.random.seed(12)
        assert np.array_equal(np.random.random_sample(5), Stream(12).uniform(5, np.float64))
    finally:
        np.random.set_bit_generator(before)


def test_it_is_loaded_when_it_is_asked_for():
    code = "import sys, numpy; loaded = 'numpy.random' in sys.modules; import pyinit; "
    assert run(f"{code} print(('numpy.random' in sys.modules) == loaded)").stdout == "True\n"
    assert run(f"{code} print([m for m in pyinit.MODULES if f'pyinit.{{m}}' in sys.modules])").stdout == "[]\n"
    assert run(f"{code} print('pyinit.bit_generator' in sys.modules)").stdout == "False\n"
    assert run(f"{code} print(pyinit.BitGenerator(1))").stdout.startswith("BitGenerator(Stream(seed=1")
    assert "BitGenerator" in dir(pyinit)
    assert set(pyinit.__all__) <= set(dir(pyinit))
    assert not {"Any", "MODULES", "TYPE_CHECKING"} & set(dir(pyinit))
    with pytest.raises(AttributeError, match="module 'pyinit' has no attribute 'BitGenerators'"):
        _ = pyinit.BitGenerators
    assert inspect.signature(BitGenerator).parameters.keys() == {"stream"}


def test_another_layout_of_numpys_object_is_refused():
    code = """
import warnings, numpy.random.bit_generator as n
class BitGenerator(n.BitGenerator):
    __slots__ = ("one_more",)
n.BitGenerator = BitGenerator
warnings.simplefilter("ignore")
import pyinit.bit_generator
"""
    assert "ImportError: pyinit.BitGenerator was built for another layout" in run(code).stderr
