"""The stream contract: every tier against the slow reference, and a value by its position alone."""

import ctypes
import hashlib
import json
import mmap
import os
import sys

import golden
import numpy as np
import pytest
import reference
from conftest import GENERATORS
from hypothesis import given, settings
from hypothesis import strategies as st

import pyinit
from pyinit import Stream
from pyinit.arrays import BFLOAT16

GOLDEN = json.loads(golden.FILE.read_text())
DTYPES = {"float32": np.float32, "float64": np.float64}
SAMPLERS = ("normal", "uniform", "bits")
# The lengths around the edges of 4 to 16 lanes, of steps of 4 to 32 samples, and of the smallest parts of a fill.
EDGES = sorted({n + d for n in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256) for d in (-1, 0, 1) if n + d >= 0})


def sample(stream, sampler, shape, dtype="float32", **parameters):
    kind = () if sampler == "bits" else (dtype,)
    return getattr(stream, sampler)(shape, *kind, **parameters)


def kinds():
    return [(s, d) for s in SAMPLERS for d in (DTYPES if s != "bits" else ("float32",))]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize(
    ("seed", "id", "position"),
    [(0, 0, 0), (42, 0, 2), (2**64 - 1, 2**64 - 1, 2**34 - 50), (20111115, 7, 2**66 - 202), (1, 2**32, 2**36 - 4)],
)
def test_samples_equal_the_reference(tier, generator, dtype, seed, id, position):
    size, n = dtype().itemsize // 4, 100
    where = range(position, position + n * size, size)
    stream = Stream(seed, generator, id=id, position=position)
    expected = [reference.normal(generator, seed, id, p, dtype, mean=0.5, std=0.02) for p in where]
    assert stream.copy().normal(n, dtype, mean=0.5, std=0.02).tolist() == expected
    expected = [reference.normal_icdf(generator, seed, id, p, dtype, mean=0.5, std=0.02) for p in where]
    assert stream.copy().normal(n, dtype, mean=0.5, std=0.02, method="icdf").tolist() == expected
    if dtype is np.float32:
        halves = [reference.half_bits(float(x), "float16") for x in expected]
        assert stream.copy().normal(n, "f2", 0.5, 0.02, method="icdf").view(np.uint16).tolist() == halves
        halves = [reference.half_bits(float(x), "bfloat16") for x in expected]
        assert stream.copy().normal(n, BFLOAT16, 0.5, 0.02, method="icdf").view(np.uint16).tolist() == halves
    expected = [reference.uniform(generator, seed, id, p, dtype, low=-0.3, high=1.7) for p in where]
    assert stream.copy().uniform(n, dtype, low=-0.3, high=1.7).tolist() == expected
    expected = [reference.word(generator, seed, id, p) for p in range(position, position + n)]
    assert stream.bits(n).tolist() == expected


@pytest.mark.parametrize("key", GOLDEN)
def test_golden_hashes(tier, key):
    assert golden.digest(key) == GOLDEN[key]


def test_every_case_has_a_golden_hash():
    assert list(GOLDEN) == golden.CASES


@pytest.mark.parametrize(("sampler", "dtype"), kinds())
def test_lengths_around_lane_edges(tier, generator, sampler, dtype):
    whole = sample(Stream(1, generator), sampler, 300, dtype)
    for n in EDGES:
        for skip in (0, 1, 2, 3):
            step = whole.itemsize // 4
            stream = Stream(1, generator, position=skip * step)
            assert np.array_equal(sample(stream, sampler, n, dtype), whole[skip : skip + n]), (n, skip)
            assert stream.position == (skip + n) * step


def test_all_tiers_and_thread_counts_write_the_same_megabytes(generator):
    results = set()
    for name in pyinit.isa.available():
        for threads in (1, 2, 3, 7, None):
            with pyinit.isa.use(name):
                values = Stream(3, generator, position=5).normal(700_001, num_threads=threads)
            results.add(hashlib.sha256(values.tobytes()).hexdigest())
    assert len(results) == 1


@pytest.mark.parametrize(("position", "shift"), [(8, 0), (8, 4), (8, 48), (7, 0), (7, 12), (7, 28), (7, 60)])
def test_buffers_large_enough_to_stream_past_the_cache(tier, generator, position, shift):
    # Streaming stores need alignment, and the head of the buffer is cut for it where whole blocks can bring it
    # about. `shift` is the address mod 64: with the position 7 they can at 12, 28 and 60, with 8 at 0 and 48.
    n = (1 << 24) + 1025
    raw = np.zeros(n + 64, np.float32)
    start = (-raw.ctypes.data % 64 + shift) // 4
    out = raw[start : start + n]
    Stream(9, generator, position=position).fill_normal(out)
    stream = Stream(9, generator, position=position)
    for begin in range(0, n, 1 << 20):
        part = out[begin : begin + (1 << 20)]
        assert np.array_equal(part, stream.normal(len(part))), begin
    assert not raw[:start].any()
    assert not raw[start + n :].any()


@st.composite
def chunkings(draw):
    """A position, and the lengths of the pieces that a fill is cut into."""
    near = draw(st.sampled_from([0, 2**32, 2**34, 2**63, 2**65, 2**66 - 10_000]))
    return near + draw(st.integers(0, 40)), draw(st.lists(st.integers(0, 300), min_size=1, max_size=8))


@settings(deadline=None, max_examples=150)
@given(
    generator=st.sampled_from(GENERATORS),
    kind=st.sampled_from(kinds()),
    tiers=st.lists(st.sampled_from(pyinit.isa.available()), min_size=8, max_size=8),
    chunking=chunkings(),
    threads=st.sampled_from([None, 1, 2, 5]),
)
def test_pieces_equal_the_whole(generator, kind, tiers, chunking, threads):
    sampler, dtype = kind
    position, lengths = chunking
    whole = sample(Stream(5, generator, position=position), sampler, sum(lengths), dtype, num_threads=threads)
    stream, pieces = Stream(5, generator, position=position), []
    for length, name in zip(lengths, tiers, strict=False):
        with pyinit.isa.use(name):
            pieces.append(sample(stream, sampler, length, dtype))
    assert np.array_equal(np.concatenate(pieces), whole)


@settings(deadline=None, max_examples=100)
@given(
    generator=st.sampled_from(GENERATORS),
    kind=st.sampled_from(kinds()),
    name=st.sampled_from(pyinit.isa.available()),
    shift=st.integers(0, 70),
    n=st.integers(0, 400),
)
def test_any_address_holds_the_same_values(generator, kind, name, shift, n):
    sampler, dtype = kind
    dtype = np.uint32 if sampler == "bits" else DTYPES[dtype]
    memory = bytearray(b"\xa5" * (70 + 8 * n + 70))
    out = np.frombuffer(memory, dtype, n, shift)
    with pyinit.isa.use(name):
        getattr(Stream(8, generator), f"fill_{sampler}")(out)
    expected = sample(Stream(8, generator), sampler, n, dtype)
    assert out.tobytes() == expected.tobytes()
    assert set(memory[:shift]) | set(memory[shift + out.nbytes :]) <= {0xA5}


def test_a_step_over_2_to_the_34_carries_into_the_second_counter_word(tier, generator):
    whole = Stream(1, generator, position=2**34 - 64).bits(128)
    assert np.array_equal(whole[64:], Stream(1, generator, position=2**34).bits(64))
    assert not np.array_equal(whole[64:], Stream(1, generator).bits(64))


def test_the_last_words_can_be_used_and_no_more(tier, generator):
    stream = Stream(1, generator, position=2**66 - 8)
    assert stream.bits(8).tolist() == [reference.word(generator, 1, 0, p) for p in range(2**66 - 8, 2**66)]
    assert stream.position == 2**66
    out = np.zeros(1, np.uint32)
    with pytest.raises(ValueError, match=r"beyond position 2\*\*66"):
        stream.fill_bits(out)
    assert out[0] == 0
    with pytest.raises(ValueError, match=r"beyond position 2\*\*66"):
        Stream(1, position=2**66 - 7).normal(4, np.float64)
    assert Stream(1, position=2**66).normal(0).size == 0


def test_doubles_begin_at_an_even_position(generator):
    for sampler in ("normal", "uniform"):
        odd, even = Stream(4, generator, position=5), Stream(4, generator, position=6)
        assert np.array_equal(sample(odd, sampler, 9, "float64"), sample(even, sampler, 9, "float64"))
        assert odd.position == even.position == 24
    empty = Stream(4, position=5)
    empty.normal(0, np.float64)
    assert empty.position == 5


@pytest.fixture
def wrapped():
    """2^32 + 2^24 uint32 at addresses of their own in 64 MiB of memory, mapped again and again."""
    window, total = 1 << 26, (1 << 34) + (1 << 26)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    file = os.memfd_create("window")
    os.ftruncate(file, window)
    address = libc.mmap(None, total, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    fixed, access = 0x10, mmap.PROT_READ | mmap.PROT_WRITE
    for offset in range(0, total, window):
        assert libc.mmap(address + offset, window, access, mmap.MAP_SHARED | fixed, file, 0) == address + offset
    yield np.frombuffer((ctypes.c_char * total).from_address(address), np.uint32)
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(total))
    os.close(file)


@pytest.mark.skipif(sys.platform != "linux" or sys.maxsize < 2**34, reason="maps 16 GiB of addresses, as Linux does")
def test_more_than_2_to_the_32_elements(generator, wrapped):
    # One thread goes from the front to the back, so that the window holds what was written last.
    stream, position = Stream(2, generator, position=2**33 + 1), 2**33 + 1
    stream.fill_bits(wrapped, num_threads=1)
    assert stream.position == position + len(wrapped)
    for begin in (2**32 - 2**20, 2**32 - 2000, 2**32, 2**32 + 2**24 - 1000):
        part = Stream(2, generator, position=position + begin).bits(1000)
        assert np.array_equal(wrapped[begin : begin + 1000], part) == (begin >= 2**32)
    # The lap before, as it stood: the same fill, one window shorter.
    shorter = wrapped[: 2**32]
    Stream(2, generator, position=position).fill_bits(shorter, num_threads=1)
    for begin in (2**32 - 2**24, 2**32 - 2**20, 2**32 - 1000):
        assert np.array_equal(shorter[begin : begin + 1000], Stream(2, generator, position=position + begin).bits(1000))


@pytest.mark.slow
def test_more_than_2_to_the_32_normals_on_all_threads(generator):
    n = 2**32 + 5
    out = np.empty(n, np.float32)
    Stream(2, generator, position=2**33 + 1).fill_normal(out)
    for begin in (0, 2**31 - 3, 2**32 - 100):
        part = Stream(2, generator, position=2**33 + 1 + begin).normal(105)
        assert np.array_equal(out[begin : begin + 105], part)
