"""Blocks of larger tensors, and arrays with any strides: the pieces of any tiling equal the whole, bit for bit."""

import math
import signal
import threading

import numpy as np
import pytest
from conftest import GENERATORS
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import DTYPES, KINDS, claim, empty, fill, name, words

import pyinit
from pyinit import Stream

POSITIONS = [0, 1, 2, 3, 2**33 + 1, 2**34 - 37, 2**34 - 6, 2**65 - 5, 2**66 - 100_000]
kinds, positions = st.sampled_from(KINDS), st.builds(int.__add__, st.sampled_from(POSITIONS), st.integers(0, 40))
generators, tiers = st.sampled_from(GENERATORS), st.sampled_from(pyinit.isa.available())


@st.composite
def shapes(draw, most=3000, dims=5):
    """A shape with 0 to `dims` dimensions and at most `most` elements."""
    shape, left = [], most
    for _ in range(draw(st.integers(0, dims))):
        shape.append(draw(st.one_of(st.integers(1, min(left, 4)), st.integers(1, min(left, 300)))))
        left //= shape[-1]
    return tuple(draw(st.permutations(shape)))


@st.composite
def tilings(draw):
    """A shape, and blocks (offset, shape) that cover it, split again and again."""
    shape = draw(shapes())
    blocks = [((0,) * len(shape), shape)]
    for _ in range(draw(st.integers(0, 5)) if shape else 0):
        offset, block = blocks.pop(draw(st.integers(0, len(blocks) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        at = draw(st.integers(0, block[axis]))  # sometimes an empty block
        for start, length in ((0, at), (at, block[axis] - at)):
            where, size = list(offset), list(block)
            where[axis] += start
            size[axis] = length
            blocks.append((tuple(where), tuple(size)))
    return shape, draw(st.permutations(blocks))


@st.composite
def layouts(draw, shape, kind):
    """An array of this shape in memory: permuted, with steps, negative strides, gaps, at any address."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 1, 2, 3])) for _ in shape]
    pads = [draw(st.sampled_from([0, 0, 1, 5])) for _ in shape]
    size = empty((), kind).itemsize
    shift = draw(st.integers(0, 70))
    memory_shape = [shape[i] * steps[i] + pads[i] for i in order]
    memory = np.full(shift + size * math.prod(memory_shape) + 70, 0xA5, np.uint8)
    block = memory[shift : shift + size * math.prod(memory_shape)].view(DTYPES[kind[1]])
    block = block.reshape(memory_shape).transpose(np.argsort(order))
    slices = []
    for n, step in zip(shape, steps, strict=True):
        down = draw(st.booleans()) and n > 0
        slices.append(slice((n - 1) * step, None, -step) if down else slice(0, n * step, step))
    out = block[tuple(slices)] if slices else block[...]
    assert out.shape == tuple(shape)
    return memory, out


@settings(deadline=None, max_examples=300)
@given(st.data(), generators, kinds, tilings(), positions)
def test_the_pieces_of_any_tiling_equal_the_whole(data, generator, kind, tiling, position):
    shape, blocks = tiling
    whole = fill(Stream(5, generator, position=position), kind, empty(shape, kind))
    pieces = empty(shape, kind)
    for offset, size in blocks:
        stream = Stream(5, generator, position=position)
        with pyinit.isa.use(data.draw(tiers)):
            _, part = data.draw(layouts(size, kind))
            threads = data.draw(st.sampled_from([None, 3]))
            fill(stream, kind, part, global_shape=shape, offset=offset, num_threads=threads)
        pieces[tuple(slice(o, o + n) for o, n in zip(offset, size, strict=True))] = part
        assert stream.position == claim(kind, position, math.prod(shape))[1]
    assert pieces.tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=300)
@given(st.data(), generators, kinds, shapes(), positions, tiers)
def test_any_strides_hold_the_same_values(data, generator, kind, shape, position, tier):
    memory, out = data.draw(layouts(shape, kind))
    stream = Stream(5, generator, position=position)
    with pyinit.isa.use(tier):
        assert fill(stream, kind, out) is out
    expected = fill(Stream(5, generator, position=position), kind, empty(shape, kind))
    assert out.tobytes() == expected.tobytes()
    assert stream.position == claim(kind, position, out.size)[1]
    # Around the elements and between them nothing has changed.
    out[...] = np.frombuffer(b"\xa5" * out.itemsize, out.dtype)[0]
    assert (memory == 0xA5).all()


def test_a_wrong_order_would_be_noticed():
    """A fill in memory order would give other values than required."""
    out = np.zeros((30, 20), np.float32).T
    Stream(1).fill_normal(out)
    memory_order = Stream(1).normal((30, 20)).T
    assert not np.array_equal(out, memory_order)
    assert np.array_equal(out, Stream(1).normal((20, 30)))


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("threads", [1, 3, None])
def test_large_arrays_in_any_order(generator, kind, threads):
    shape, position = (37, 61, 301), 2**34 - 5001
    whole = fill(Stream(2, generator, position=position), kind, empty(shape, kind))
    for order in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
        out = empty([shape[i] for i in order], kind).transpose(np.argsort(order))
        fill(Stream(2, generator, position=position), kind, out, num_threads=threads)
        assert out.tobytes() == whole.tobytes()
    for where in (np.s_[3:, 7:50, 2:], np.s_[:, :, 100:103], np.s_[5:6, :, :], np.s_[:, 4:60, 17:18]):
        part = empty(whole[where].shape, kind)
        offset = [s.start or 0 for s in where]
        fill(
            Stream(2, generator, position=position), kind, part, global_shape=shape, offset=offset, num_threads=threads
        )
        assert part.tobytes() == whole[where].tobytes()


@pytest.mark.parametrize("shape", [(3, 5_000_000), (5_000_000, 3), (1 << 23, 2), (4100, 4099)])
def test_larger_than_the_cache(generator, shape):
    # Above 8 MiB stores go past the cache if rows are long.
    whole = Stream(2, generator, position=3).normal(shape)
    for window in (np.s_[:, 1:], np.s_[1:, :-1]):
        part = np.zeros(whole[window].shape, np.float32)
        offset = [s.start or 0 for s in window]
        Stream(2, generator, position=3).fill_normal(part, global_shape=shape, offset=offset)
        assert np.array_equal(part, whole[window])
    out = np.zeros(shape[::-1], np.float32).T
    assert np.array_equal(Stream(2, generator, position=3).fill_normal(out), whole)
    wide = np.zeros((shape[0], shape[1] + 1), np.float32)
    Stream(2, generator, position=3).fill_normal(wide[:, 1:])
    assert np.array_equal(wide[:, 1:], whole)
    assert not wide[:, 0].any()


def test_fortran_order_and_memmaps(tmp_path, generator):
    expected = Stream(1, generator).normal((7, 300))
    assert np.array_equal(Stream(1, generator).fill_normal(np.zeros((7, 300), np.float32, order="F")), expected)
    out = np.memmap(tmp_path / "weights", np.float32, "w+", shape=(7, 300), order="F")
    Stream(1, generator).fill_normal(out)
    rows = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(7, 300))
    for first in (0, 4):
        part = rows[first : first + 4]
        Stream(1, generator).fill_normal(part, global_shape=(7, 300), offset=(first, 0))
    out.flush()
    rows.flush()
    assert np.array_equal(np.fromfile(tmp_path / "weights", np.float32).reshape(300, 7).T, expected)
    assert np.array_equal(np.fromfile(tmp_path / "rows", np.float32).reshape(7, 300), expected)


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("width", [1024, 1025, 1026])
@pytest.mark.parametrize("first", [8, 9])
def test_rows_of_whole_steps(tier, kind, width, first):
    """Long rows, filled in place: if the first one begins with a block, the others may not."""
    whole = fill(Stream(3), kind, empty((6, width), kind))
    part = fill(Stream(3), kind, empty((6, 512), kind), global_shape=whole.shape, offset=(0, first))
    assert part.tobytes() == whole[:, first : first + 512].tobytes()


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
def test_no_dimensions_and_no_elements(tier, dtype):
    one = Stream(1).normal(1, dtype)
    out = np.zeros((), dtype)
    assert Stream(1).fill_normal(out, global_shape=(), offset=()) is out
    assert out == one[0]
    for shape, window in (((0,), (7,)), ((3, 0), (3, 2)), ((0, 3), (0, 3)), ((0, 2), (5, 2))):
        stream = Stream(1)
        stream.fill_uniform(np.zeros(shape, dtype), global_shape=window, offset=(0,) * len(shape))
        assert stream.position == math.prod(window) * (2 if dtype == "f8" else 1)
    stream = Stream(1)
    stream.fill_normal(np.zeros((0, 1, 1), dtype), global_shape=(0, 2**40, 2**40))  # this tensor has no elements either
    assert stream.position == 0
    stream.fill_normal(np.zeros((0, 4), dtype), global_shape=(6, 4), offset=(6, 0))
    assert stream.position == 24 * (2 if dtype == "f8" else 1)


def test_many_dimensions():
    for dims in (33, 64):
        shape = (1,) * (dims - 5) + (2, 3, 1, 5, 2)
        out = np.zeros(shape, np.float32)
        assert np.array_equal(Stream(1).fill_normal(out).ravel(), Stream(1).normal(60))
        out = np.zeros(shape[::-1], np.float32).T
        assert np.array_equal(Stream(1).fill_normal(out).ravel(), Stream(1).normal(60))
        part = np.zeros((1,) * (dims - 5) + (1, 3, 1, 2, 1), np.float32)
        at = (0,) * (dims - 5) + (1, 0, 0, 3, 1)
        Stream(1).fill_normal(part, global_shape=shape, offset=at)
        whole = Stream(1).normal(60).reshape(shape)
        assert np.array_equal(part, whole[tuple(slice(o, o + n) for o, n in zip(at, part.shape, strict=True))])


@pytest.mark.parametrize(
    ("shape", "offset"),
    [
        ((2**20, 2**20), (2**20 - 2, 2**20 - 40)),
        ((2**31, 2**31), (2**31 - 3, 12345)),
        ((3, 2**60, 2), (1, 2**59 + 1, 1)),
        ((2**62,), (2**62 - 33,)),
        ((2**63 - 1,), (2**63 - 34,)),
        ((2**31 + 11, 2, 2**30), (2**31, 1, 2**30 - 40)),
    ],
)
@pytest.mark.parametrize("kind", [("bits", "uint32"), ("normal", "float32"), ("normal", "float64")])
def test_small_parts_of_huge_tensors(tier, generator, kind, shape, offset):
    position = 7
    size = [min(g - o, 33) for g, o in zip(shape, offset, strict=True)]
    part = empty(size[::-1], kind).T
    stream = Stream(1, generator, position=position)
    fill(stream, kind, part, global_shape=shape, offset=offset)
    assert stream.position == claim(kind, position, math.prod(shape))[1]
    # Row by row, each from the position of its first element.
    for index in np.ndindex(*size[:-1]):
        g = 0
        for o, i, n in zip(offset, (*index, 0), shape, strict=True):
            g = g * n + o + i
        # From an even sample on, at which Box-Muller can begin.
        start = claim(kind, position, 1)[0] + words(kind) * (g - g % 2)
        row = fill(Stream(1, generator, position=start), kind, empty(size[-1] + 1, kind))
        assert part[index].tobytes() == row[g % 2 :][: size[-1]].tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_a_window_at_element_2_to_the_32(tier, generator, kind):
    first = 2**32 - 1000
    whole = fill(Stream(3, generator, position=40 + first * words(kind)), kind, empty(2000, kind))
    flat = fill(Stream(3, generator, position=40), kind, empty(2000, kind), global_shape=2**33, offset=first)
    assert flat.tobytes() == whole.tobytes()
    columns = fill(
        *(Stream(3, generator, position=40), kind, empty((2, 400), kind)[:, ::2]),
        **{"global_shape": (2**23, 2**10), "offset": (2**22 - 1, 24)},
    )
    assert columns[0].tobytes() == whole[0:200].tobytes()
    assert columns[1].tobytes() == whole[1024:1224].tobytes()


def test_threads_share_a_tensor(generator):
    """Each thread uses its own stream, as hosts would."""
    shape = (64, 500)
    whole, out = Stream(1, generator).normal(shape), np.zeros(shape, np.float32)

    def work(first):
        part = out[:, first::1][:, :125]
        Stream(1, generator).fill_normal(part, global_shape=shape, offset=(0, first))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 500, 125)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert np.array_equal(out, whole)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_an_interrupt_ends_a_strided_fill():
    class SignalError(Exception):
        pass

    def interrupt(*_):
        raise SignalError

    def fill_again_and_again():
        for _ in range(1000):
            stream.fill_normal(out, num_threads=1)

    out = np.empty((2, 1 << 25), np.float32).T[:, ::-1]
    old = signal.signal(signal.SIGALRM, interrupt)
    stream = Stream(1)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.06)
        with pytest.raises(SignalError):
            fill_again_and_again()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert stream.position % out.size == 0
