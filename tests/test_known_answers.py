"""The words compared with others' results: Random123's vectors, C++26, MKL's own streams."""

import ctypes
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
from conftest import GENERATORS

from pyinit import Stream

VECTORS = [
    line.split()
    for line in (Path(__file__).parent / "vectors" / "known_answers.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v[0]}-{v[1]}-{v[2]}")
def test_reference_gives_the_published_words(vector):
    name, rounds, *words = vector
    words = [int(w, 16) for w in words]
    function = reference.philox4x32 if name == "philox" else reference.ars4x32
    assert function(words[:4], words[4:-4], int(rounds)) == words[-4:]


def of_streams():
    """Return the vectors that a seed and an id can reach, with the generator's name; for ARS the key ends in zeros."""
    for name, rounds, *words in VECTORS:
        if name == "philox":
            yield name, words
        elif set(words[6:8]) == {"00000000"}:
            yield name + rounds, words


@pytest.mark.parametrize(("name", "vector"), [*of_streams()], ids=lambda v: v if isinstance(v, str) else v[0])
def test_stream_gives_the_published_words(tier, name, vector):
    words = [int(w, 16) for w in vector]
    (block, stream, seed), expected = (words[i] | words[i + 1] << 32 for i in (0, 2, 4)), words[-4:]
    assert Stream(seed, name, id=stream, position=4 * block).bits(4).tolist() == expected


def test_streams_of_every_generator_are_compared_with_published_words():
    assert {name for name, _ in of_streams()} == set(GENERATORS)


def test_philox_gives_the_ten_thousandth_output_that_cpp26_asks_for(tier):
    # [rand.predef]: the 10000th consecutive invocation of a default-constructed philox4x32.
    assert Stream(20111115).bits(10_000)[-1] == 1955073260
    assert Stream(20111115).skip_ahead(9_999).bits(1)[0] == 1955073260


class Mkl:
    """The functions of MKL's vector statistics library that the comparison needs."""

    BRNG = {"philox": 16 << 20, "ars5": 15 << 20}  # noqa: RUF012

    def __init__(self, library):
        self.library = ctypes.CDLL(str(library))

    def words(self, generator, seed, skip, n):
        stream, out = ctypes.c_void_p(), np.empty(n, np.uint32)
        key = (ctypes.c_uint * 2)(seed & 0xFFFFFFFF, seed >> 32)
        if seed < 2**32:
            assert self.library.vslNewStream(ctypes.byref(stream), self.BRNG[generator], key[0]) == 0
        else:
            assert self.library.vslNewStreamEx(ctypes.byref(stream), self.BRNG[generator], 2, key) == 0
        if skip:
            assert self.library.vslSkipAheadStream(stream, ctypes.c_longlong(skip)) == 0
        pointer = out.ctypes.data_as(ctypes.c_void_p)
        assert self.library.viRngUniformBits32(0, stream, ctypes.c_int(n), pointer) == 0
        assert self.library.vslDeleteStream(ctypes.byref(stream)) == 0
        return out


@pytest.fixture(scope="module")
def mkl():
    libraries = sorted((Path(sys.prefix) / "lib").glob("libmkl_rt.so*"))
    if not libraries and platform.machine() != "x86_64":
        pytest.skip("MKL has no wheel for this machine")
    assert libraries, "MKL's library was not found: install the package's test extra"
    return Mkl(libraries[0])


@pytest.mark.parametrize("generator", Mkl.BRNG)
@pytest.mark.parametrize("seed", [0, 1, 42, 777, 2**31, 2**32 - 1, 0x123456789ABCDEF0])
@pytest.mark.parametrize("skip", [0, 1, 2, 3, 5, 1000, 2**32 + 7, 2**34 - 3, 2**40 + 1, 2**62 + 5])
def test_words_equal_those_of_mkl(mkl, generator, seed, skip):
    n = 1013
    assert np.array_equal(Stream(seed, generator).skip_ahead(skip).bits(n), mkl.words(generator, seed, skip, n))


@pytest.mark.parametrize("generator", Mkl.BRNG)
def test_a_million_words_equal_those_of_mkl(mkl, tier, generator):
    assert np.array_equal(Stream(7, generator).bits(10**6), mkl.words(generator, 7, 0, 10**6))
