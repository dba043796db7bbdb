"""The stream contract: every tier against the slow reference, no words shared by two fills, golden hashes."""

import ctypes
import hashlib
import mmap
import os
import sys

import golden
import numpy as np
import pytest
import reference
import reference_truncated
from conftest import GENERATORS
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import DTYPES, KINDS, claim, empty, fill, name, words

import pyinit
from pyinit import Stream, _core
from pyinit.distributions import Distribution

assert reference_truncated.truncated_normal_of is reference.SAMPLERS["truncated_normal"]

GOLDEN = golden.hashes()
# The hash of each file of golden hashes, by contract version. A line changes only for a new kind of fill.
FROZEN = {1: "99aa5c7dd729fdb7e4fc0ef7ef3ae611e061ed06d5273de9e3270a81d3caef92"}
# Lengths around 4 to 16 lanes, around steps of 4 to 32 samples, and around the smallest parts of a fill.
EDGES = sorted({n + d for n in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256) for d in (-1, 0, 1) if n + d >= 0})
POSITIONS = (0, 1, 2, 3, 2**34 - 50, 2**66 - 202)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=name)
generators, kinds, tiers = map(st.sampled_from, (GENERATORS, KINDS, pyinit.isa.available()))


# Parameters of every size, most of which float32 cannot hold, and neighbouring numbers.

reals = st.one_of(
    st.floats(-3, 3),
    st.builds(lambda x, e: x * 10.0**e, st.floats(-1, 1), st.integers(-12, 12)),
    st.sampled_from([0.0, 1.0, -0.3, 1.7, 0.1, 1e-46, -1.4e-45, 1e-39, 65504.0]),
)
widths = st.one_of(st.floats(0, 3), st.builds(lambda e: 10.0**-e, st.floats(0, 12)), st.just(float("inf")))


@st.composite
def distributions(draw):
    """A distribution with random parameters."""
    sampler = draw(st.sampled_from(list(reference.SAMPLERS)))
    if sampler == "bits":
        return Distribution("bits")
    first = draw(reals)
    if sampler == "constant":
        return Distribution("constant", first)
    if sampler == "uniform":
        near = first + abs(first) * draw(st.floats(0, 1e-6))
        return Distribution("uniform", *sorted((first, draw(st.one_of(reals, st.just(near))))))
    parameters = [first, abs(draw(reals))]
    if sampler == "truncated_normal":
        near, width = draw(st.floats(0, 35)) if draw(st.booleans()) else draw(st.floats(-5, 5)), draw(widths)
        lower, upper = (near, near + width) if draw(st.booleans()) else (-near - width, -near)
        parameters += (lower, upper) if lower < upper else (lower, lower + 1)
    return Distribution(sampler, *parameters)


@settings(deadline=None, max_examples=1500)
@given(
    distribution=distributions(),
    dtype=st.sampled_from(list(DTYPES)),
    generator=generators,
    seed=st.integers(0, 2**64 - 1),
    id=st.integers(0, 2**64 - 1),
    position=st.sampled_from(POSITIONS),
    count=st.integers(0, 9),
    tier=tiers,
)
def test_samples_equal_the_reference(distribution, dtype, generator, seed, id, position, count, tier):
    if (distribution.sampler == "bits") != (dtype == "uint32"):
        dtype = "uint32" if distribution.sampler == "bits" else "float32"
    out, stream = np.empty(count, DTYPES[dtype]), Stream(seed, generator, id=id, position=position)
    try:
        with pyinit.isa.use(tier):
            stream.fill(out, distribution)
    except ValueError:
        a, b, *_ = *distribution.parameters.values(), 0.0
        largest = reference.TYPES[dtype][2]
        assert not max(abs(a), abs(b), abs(b - a)) <= largest / 36  # a bound is at most 35 std from the mean
        return
    where, parameters = (generator, seed, id, position), distribution.parameters.values()
    with np.errstate(all="ignore"):
        expected = reference.fill(*where, distribution.sampler, parameters, dtype, count)
    assert out.view(f"u{out.itemsize}").tolist() == expected
    assert stream.position == reference.claim(position, distribution.sampler, dtype, count)[1]


def test_bounds_that_float32_cannot_hold():
    """GCC 11 and 12 drop a rounding to float and back when they vectorise; this gave 0.99999994."""
    assert Stream(0).uniform(3, low=1.0, high=1 + 1e-9).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("ulps", "shares"), [(3, (1 / 6, 1 / 3, 1 / 2)), (2, (1 / 4, 3 / 4)), (1, (1,))])
def test_an_interval_of_a_few_numbers(ulps, shares):
    """Each number gets the values that round to it; those that would round to `high` go to the last one."""
    n, unit = 10**6, 2.0**-23
    x = Stream(3).uniform(n, low=1.0, high=1 + ulps * unit)
    counts = np.bincount(((x - 1) / unit).astype(int))
    assert np.all(abs(counts - n * np.array(shares)) < 5 * np.sqrt(n / 4))


@pytest.mark.parametrize(("generator", "distribution"), [(g, d) for g in GENERATORS for d in golden.DISTRIBUTIONS])
def test_golden_hashes(tier, generator, distribution):
    cases = [case for case in GOLDEN if case.startswith(f"{generator}, {distribution}, ")]
    assert len(cases) >= len(golden.POSITIONS)
    assert {case: golden.digest(case) for case in cases} == {case: GOLDEN[case] for case in cases}


def test_every_case_has_a_golden_hash():
    assert list(GOLDEN) == golden.CASES


def test_a_change_of_bits_is_a_new_version():
    """The files of earlier versions stay unchanged, and this version has its own."""
    files = {version: golden.FILE.with_name(f"golden_{version}.json") for version in FROZEN}
    assert max(FROZEN) == _core.CONTRACT_VERSION
    assert {version: hashlib.sha256(file.read_bytes()).hexdigest() for version, file in files.items()} == FROZEN


@each_kind
def test_lengths_around_lane_edges(tier, generator, kind):
    whole = fill(Stream(1, generator), kind, empty(300, kind))
    for n in EDGES:
        for position in range(4):
            begin, end = claim(kind, position, n)
            stream, skip = Stream(1, generator, position=position), begin // words(kind)
            assert fill(stream, kind, empty(n, kind)).tobytes() == whole[skip : skip + n].tobytes(), (n, position)
            assert stream.position == end


drawn_kinds = kinds.filter(lambda kind: kind[0] != "constant")


@settings(deadline=None, max_examples=200)
@given(
    generator=generators,
    position=st.builds(int.__add__, st.sampled_from([0, 2**32, 2**34, 2**65]), st.integers(0, 9)),
    fills=st.lists(st.tuples(drawn_kinds, st.integers(0, 70), tiers), min_size=1, max_size=12),
)
def test_no_two_fills_share_a_word(generator, position, fills):
    """Each fill takes the same words as alone from its start, and starts after the one before."""
    stream, free = Stream(7, generator, position=position), position
    for kind, count, tier in fills:
        begin, end = claim(kind, stream.position, count)
        assert begin >= free
        with pyinit.isa.use(tier):
            out = fill(stream, kind, empty(count, kind))
        assert out.tobytes() == fill(Stream(7, generator, position=begin), kind, empty(count, kind)).tobytes()
        assert stream.position == end >= begin + count * words(kind)
        free = end if count else free


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["box_muller", "icdf"])
def test_a_uniform_and_a_normal_that_follow_each_other_are_independent(dtype, method):
    """They were not when a Box-Muller pair could begin at its second word: -2 ln u was the radius squared."""
    n, pairs, shared = 20_000, [], []
    for seed in range(n):
        stream = Stream(seed)
        pairs.append((stream.uniform(1, dtype)[0], stream.normal(1, dtype, method=method)[0]))
        shared.append((pairs[-1][0], Stream(seed).normal(2, dtype)[1]))
    for samples, related in ((pairs, False), (shared, True)):
        u, z = np.array(samples, np.float64).T
        correlation = np.corrcoef(-2 * np.log(u), z * z)[0, 1]
        assert (abs(correlation) > 0.6) == related
        assert abs(correlation) < 5 / np.sqrt(n) or related


def test_all_tiers_and_thread_counts_write_the_same_megabytes(generator):
    results = set()
    for tier in pyinit.isa.available():
        for threads in (1, 2, 3, 7, None):
            with pyinit.isa.use(tier):
                values = Stream(3, generator, position=5).normal(700_001, num_threads=threads)
            results.add(hashlib.sha256(values.tobytes()).hexdigest())
    assert len(results) == 1


# Position and address mod 64; fewer for float8, which takes the longest.
AT = [(8, 0), (8, 4), (7, 12), (8, 48), (7, 0), (7, 28), (7, 60)]
LARGE = {("uniform", "float32"): AT, ("normal", "bfloat16"): AT, ("uniform", "float8_e5m2"): AT[:3]}


def check_large(generator, kind, position, shift, count):
    """A buffer holds what fills of its parts hold, and nothing around it is written."""
    size = empty((), kind).itemsize
    raw = np.full(count * size + 128, 0xA5, np.uint8)  # written: new memory is not streamed to
    start = -raw.ctypes.data % 64 + shift
    out = raw[start : start + count * size].view(empty((), kind).dtype)
    fill(Stream(9, generator, position=position), kind, out)
    expected = empty(1 << 20, kind)
    stream = Stream(9, generator, position=position)
    for begin in range(0, count, 1 << 20):
        part = out[begin : begin + (1 << 20)]
        assert part.tobytes() == fill(stream, kind, expected[: len(part)]).tobytes(), begin
    assert (raw[:start] == 0xA5).all()
    assert (raw[start + count * size :] == 0xA5).all()


@pytest.mark.parametrize(
    ("kind", "position", "shift"),
    [pytest.param(k, *at, id=f"{name(k)}-{at}") for k, all_at in LARGE.items() for at in all_at],
)
def test_buffers_large_enough_to_stream_past_the_cache(tier, generator, kind, position, shift):
    # Streaming stores need alignment; the head of the buffer is cut off if whole blocks lead to an aligned address.
    # `shift` is the address mod 64: they do so at 12, 28 and 60 for position 7, and at 0 and 48 for position 8.
    check_large(generator, kind, position, shift, (9 << 20) // empty((), kind).itemsize + 1025)


@pytest.mark.parametrize("kind", LARGE, ids=name)
def test_buffers_large_enough_for_chunks_of_huge_pages(generator, kind):
    check_large(generator, kind, 7, 12, (1 << 26) // empty((), kind).itemsize + 1025)


@st.composite
def chunkings(draw):
    """A position, and the lengths of the pieces of a fill."""
    near = draw(st.sampled_from([0, 2**32, 2**34, 2**63, 2**65, 2**66 - 10_000]))
    return near + draw(st.integers(0, 40)), draw(st.lists(st.integers(0, 300), min_size=1, max_size=8))


@settings(deadline=None, max_examples=150)
@given(
    generator=generators,
    kind=kinds,
    tiers=st.lists(tiers, min_size=8, max_size=8),
    chunking=chunkings(),
    threads=st.sampled_from([None, 1, 2, 5]),
)
def test_pieces_equal_the_whole(generator, kind, tiers, chunking, threads):
    """For Box-Muller, all lengths but the last must be even."""
    position, lengths = chunking
    if kind[0] in ("normal", "subnormal"):
        lengths = [*(n - n % 2 for n in lengths[:-1]), lengths[-1]]
    whole = fill(Stream(5, generator, position=position), kind, empty(sum(lengths), kind), num_threads=threads)
    stream, pieces = Stream(5, generator, position=position), []
    for length, tier in zip(lengths, tiers, strict=False):
        with pyinit.isa.use(tier):
            pieces.append(fill(stream, kind, empty(length, kind)))
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=100)
@given(generator=generators, kind=kinds, tier=tiers, shift=st.integers(0, 70), n=st.integers(0, 400))
def test_any_address_holds_the_same_values(generator, kind, tier, shift, n):
    memory = bytearray(b"\xa5" * (70 + 8 * n + 70))
    size = empty((), kind).itemsize
    out = np.frombuffer(memory, np.uint8, n * size, shift).view(empty((), kind).dtype)
    with pyinit.isa.use(tier):
        fill(Stream(8, generator), kind, out)
    assert out.tobytes() == fill(Stream(8, generator), kind, empty(n, kind)).tobytes()
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
        Stream(1, position=2**66 - 7).normal(3, np.float64)  # there is room for two from the next multiple of four on
    last = Stream(1, generator, position=2**66 - 3)
    assert last.normal(1).tolist() == Stream(1, generator, position=2**66 - 2).normal(2)[:1].tolist()
    assert last.position == 2**66
    assert Stream(1, position=2**66).normal(0).size == 0


@pytest.fixture
def wrapped():
    """2^32 + 2^24 uint32 at distinct addresses, all mapped to the same 64 MiB of memory."""
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or sys.maxsize < 2**34, reason="maps 16 GiB of addresses, as Linux does")
def test_more_than_2_to_the_32_elements(generator, wrapped):
    # One thread writes from front to back, so the window holds the last samples.
    stream, position = Stream(2, generator, position=2**33 + 1), 2**33 + 1
    stream.fill_bits(wrapped, num_threads=1)
    assert stream.position == position + len(wrapped)
    for begin in (2**32 - 2**20, 2**32 - 2000, 2**32, 2**32 + 2**24 - 1000):
        part = Stream(2, generator, position=position + begin).bits(1000)
        assert np.array_equal(wrapped[begin : begin + 1000], part) == (begin >= 2**32)
    # The previous lap, unchanged: the same fill, one window shorter.
    shorter = wrapped[: 2**32]
    Stream(2, generator, position=position).fill_bits(shorter, num_threads=1)
    for begin in (2**32 - 2**24, 2**32 - 2**20, 2**32 - 1000):
        assert np.array_equal(shorter[begin : begin + 1000], Stream(2, generator, position=position + begin).bits(1000))


@pytest.mark.slow
def test_more_than_2_to_the_32_normals_on_all_threads(generator):
    n = 2**32 + 5
    out = np.empty(n, np.float32)
    Stream(2, generator, position=2**33 + 1).fill_normal(out)
    for begin in (0, 2**31 - 4, 2**32 - 100):  # even, so that a part begins with a pair of the whole
        part = Stream(2, generator, position=2**33 + 1 + begin).normal(105)
        assert np.array_equal(out[begin : begin + 105], part)
